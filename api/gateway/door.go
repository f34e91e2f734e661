package gateway

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/wire"
)

// The door is what stands before any work for a caller. It keeps a storm of
// connections, one agent that says too much and one that says what it was not asked
// from harming the others:
//
//   - so many connections are begun in a second, are asked about, and are open; the
//     others are told to come again, each after another time;
//   - what an agent says faster than allowed is left in its connection until it is due,
//     so that TCP slows the agent down;
//   - an agent that goes on to answer what others were asked is cut off for a while, and so
//     are two hosts that take the connection of one agent from each other;
//   - a page of a foreign site gets no event stream with the key that a browser keeps.
type door struct {
	connects *limit.Buckets
	says     *limit.Buckets
	suspects *limit.Strikes
	twice    *limit.Strikes
	asking   atomic.Int64
}

func newDoor() door {
	return door{connects: limit.NewBuckets(), says: limit.NewBuckets(), suspects: limit.NewStrikes(), twice: limit.NewStrikes()}
}

const (
	mostAsking  = 4096 // callers at once who wait to be known
	strikeTime  = 10 * time.Minute
	furthestTry = 30 // seconds
)

// number reads a setting of the door.
func (g *Gateway) number(name string, standard int64) int64 {
	if g.Settings == nil || g.Settings.Get(name) == "" {
		return standard
	}
	return g.Settings.Int(name)
}

// later sends somebody away who may come again: each after another time.
func later(why string) error {
	return &fault.Fault{Status: http.StatusServiceUnavailable, Code: "Service Unavailable", Message: why,
		After: time.Duration(1+rand.IntN(furthestTry)) * time.Second}
}

// knock lets a connection begin.
func (g *Gateway) knock() error {
	rate := float64(g.number("gateway.connects.per.second", 2000))
	if g.door.connects.Take("", rate, 2*rate, time.Now()) > 0 {
		return later("too many connect at once")
	}
	if most := g.number("gateway.connections.max", 0); most > 0 && int64(g.Sessions()+g.Streams()+g.Accesses()) >= most {
		return later("this gateway is full")
	}
	return nil
}

// wait counts one who waits to be known, until done is called.
func (d *door) wait() (done func(), err error) {
	if d.asking.Add(1) > mostAsking {
		d.asking.Add(-1)
		return nil, later("too many connect at once")
	}
	return func() { d.asking.Add(-1) }, nil
}

// pace is how many frames an agent may say in a second.
func (g *Gateway) pace() float64 { return float64(g.number("gateway.frames.per.second", 500)) }

// heard refuses what an agent publishes too fast, or that is cut off.
func (g *Gateway) heard(who *wire.Caller) error {
	if who.AgentID == 0 {
		return nil
	}
	if err := g.trusted(who.AgentID); err != nil {
		return err
	}
	rate := g.pace()
	if wait := g.door.says.Take(strconv.FormatInt(who.AgentID, 10), rate, 2*rate, time.Now()); wait > 0 {
		return fault.TooMany(wait, "the agent says too much")
	}
	return nil
}

// trusted refuses an agent that is cut off.
func (g *Gateway) trusted(agent int64) error {
	if wait := g.door.suspects.Out(agent, time.Now()); wait > 0 {
		return fault.TooMany(wait, "the agent has answered for others")
	}
	if wait := g.door.twice.Out(agent, time.Now()); wait > 0 {
		return fault.TooMany(wait, "several hosts are this agent")
	}
	return nil
}

// contested tells all gateways that an agent has connected from one address while it was
// connected from another.
func (g *Gateway) contested(agent int64) {
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	if text, err := json.Marshal(wire.Suspect{AgentID: agent, Twice: true}); err == nil {
		_, _ = g.Bus.Publish(ctx, wire.SuspectChannel, string(text))
	}
}

// suspected counts an answer that another agent was asked for, or a change of the host that
// an agent is connected from.
func (g *Gateway) suspected(payload string) {
	var s wire.Suspect
	if json.Unmarshal([]byte(payload), &s) != nil {
		return
	}
	after, out := int(g.number("gateway.quarantine.after", 5)), time.Duration(g.number("gateway.quarantine.seconds", 600))*time.Second
	strikes, within, why := g.door.suspects, strikeTime, "answers for others"
	if s.Twice {
		after, strikes, within, why = int(g.number("gateway.takeovers.per.minute", 6)), g.door.twice, time.Minute, "several hosts are this agent"
	}
	if after <= 0 || !strikes.Strike(s.AgentID, after, within, out, time.Now()) {
		return
	}
	g.Log.Warn("agent is cut off", "agent", s.AgentID, "pause", out, "reason", why)
	g.mu.Lock()
	defer g.mu.Unlock()
	if held := g.sessions[s.AgentID]; held != nil {
		held.out.close(closeRevoked, why)
	}
}

// invited refuses a WebSocket for the page of another site: browsers send the key that
// they keep for us with it, and say whose page it is. Other clients name us, or nobody.
func (g *Gateway) invited(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	from, err := url.Parse(origin)
	if err == nil && (hostOf(from.Host) == hostOf(r.Host) || g.allows(origin)) {
		return nil
	}
	return fault.Forbidden("pages of this site may not listen; api.allowed.origins lists those that may")
}

// allows tells whether a setting names the origin.
func (g *Gateway) allows(origin string) bool {
	if g.Settings == nil {
		return false
	}
	for _, known := range strings.Split(g.Settings.Get("api.allowed.origins"), ",") {
		if strings.EqualFold(strings.TrimSpace(known), origin) {
			return true
		}
	}
	return false
}

// hostOf is the name of a host, whatever its port: a proxy may have another than we.
func hostOf(host string) string { return strings.ToLower((&url.URL{Host: host}).Hostname()) }
