package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// stream is one live subscription of somebody who is no agent.
type stream struct {
	line
	g       *Gateway
	names   []string // as subscribed; for callers that are qualified, without suffix
	base    string   // scheme and host of the URLs it is shown
	include []string
	plain   bool // ids are written plainly for it

	observes []int64 // agents whose commands it reads, 0 for all

	resumes bool         // it asked for cursors
	cursor  string       // with which it came
	at      atomic.Value // the cursor it has got to
	behind  atomic.Bool  // it is being told what it has missed
	expired bool         // what it has missed is not known
	atBegin func()       // after the first ping
}

// streamCheck is how often a stream is asked about anew: whoever lost the right to it
// loses it within half a minute, even where the news of that were lost.
const streamCheck = 15 * time.Second

func newStream(g *Gateway, who *wire.Caller, names []string) *stream {
	s := &stream{line: line{who: who}, g: g}
	s.early = true
	s.every, s.pings, s.again = g.pingEvery(), g.pings(), streamCheck
	s.mark = func() string { c, _ := s.at.Load().(string); return c }
	for _, n := range names {
		if who.Style != wire.Raw || who.Observes != 0 {
			n, _, _ = strings.Cut(n, ";")
		}
		if n != "" && !slices.Contains(s.names, n) {
			s.names = append(s.names, n)
		}
	}
	return s
}

// open brings the subscriptions into force and says so.
func (s *stream) open() {
	s.g.mu.Lock()
	s.g.streams[s] = true
	s.g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	for _, n := range s.names {
		s.listen(ctx, n)
	}
	s.announce(ctx)
	s.begin()
	if s.atBegin != nil {
		s.atBegin()
	}
}

func (s *stream) shut() {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	delete(s.g.streams, s)
}

// listen subscribes to one name.
func (s *stream) listen(ctx context.Context, name string) {
	if agent := s.who.Observes; agent != 0 {
		s.observes = []int64{agent}
		s.atEnd(s.g.Bus.Subscribe(ctx, wire.EventChannel(wire.ForAgent(name, agent)), func(p string) { s.deliver(name, name, p) }))
		return
	}
	raw := s.who.Style == wire.Raw
	if agent := wire.AgentOf(name); raw && (agent != 0 || strings.HasSuffix(name, ";agent=*")) && !slices.Contains(s.observes, agent) {
		s.observes = append(s.observes, agent)
	}
	if raw && matches(name, wire.ResourceChange) {
		s.atEnd(s.g.changes.add(ctx, reader{stream: s}))
	}
	switch account, ofAccount := strings.CutPrefix(name, wire.ResourceChange+";account="); {
	case !raw && name == wire.ResourceChange:
		s.atEnd(s.g.changes.add(ctx, reader{stream: s, account: fmt.Sprint(s.who.AccountID)}))
	case !raw:
		s.atEnd(s.g.Bus.Subscribe(ctx, wire.EventChannel(name+";account="+fmt.Sprint(s.who.AccountID)), func(p string) { s.deliver(name, name, p) }))
	case ofAccount:
		s.atEnd(s.g.changes.add(ctx, reader{stream: s, account: account, name: name}))
	case strings.Contains(name, "*"):
		s.atEnd(s.g.Bus.SubscribeAll(ctx, wire.EventChannel(""), func(channel, p string) { s.caught(name, channel, p) }))
	default:
		s.atEnd(s.g.Bus.Subscribe(ctx, wire.EventChannel(name), func(p string) { s.deliver(name, "", p) }))
	}
}

// deliver takes an event from the bus for one of the names. It runs where the bus
// is read and must not block: writes are queued on the connection.
func (s *stream) deliver(subscribed, as, payload string) {
	var e wire.Event
	if json.Unmarshal([]byte(payload), &e) != nil || as == "" && s.best(e.Name) != subscribed {
		return
	}
	s.veil(&e)
	if as != "" {
		e.Name = as
	}
	show(&e, s.plain)
	s.send(&e)
}

// caught takes any event for a pattern. A copy of it under a bare name is left out.
func (s *stream) caught(pattern, channel, payload string) {
	var e struct {
		Name string `json:"name"`
	}
	if json.Unmarshal([]byte(payload), &e) == nil && wire.EventChannel(e.Name) == channel {
		s.deliver(pattern, "", payload)
	}
}

// best returns the name by which an event comes here, of several that it could come
// by: the same event is delivered once. Requests to handlers are also heard under
// the bare name of their process.
func (s *stream) best(name string) string {
	if slices.Contains(s.names, name) {
		return name
	}
	for _, n := range s.names {
		if strings.Contains(n, "*") && matches(n, name) {
			return n
		}
	}
	bare, _, _ := strings.Cut(name, ";")
	return bare
}

// matches tells whether a name is one of a pattern, in which * stands for any text.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	last := len(parts) - 1
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1:last] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, parts[last])
}
