package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// observing is how long an agent counts as observed after an observer was last heard of.
const observing = 3 * streamCheck

// announce says which agents a stream observes. Commands do not go where events do: only
// while somebody observes an agent, whoever holds it tells of them there.
func (s *stream) announce(ctx context.Context) {
	for _, agent := range s.observes {
		if text, err := json.Marshal(wire.Observed{AgentID: agent}); err == nil {
			_, _ = s.g.Bus.Publish(ctx, wire.ObserveChannel, string(text))
		}
	}
}

// noted notes that an agent is observed.
func (g *Gateway) noted(payload string) {
	var o wire.Observed
	if json.Unmarshal([]byte(payload), &o) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.observed[o.AgentID] = time.Now().Add(observing)
}

// observes tells whether an agent is observed; 0 is all of them.
func (g *Gateway) observes(agent int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.observed[agent]
	if ok = ok && time.Now().Before(until); !ok {
		delete(g.observed, agent)
	}
	return ok
}

// shown tells the observers of an agent of a command that it gets. It does not block.
func (g *Gateway) shown(p wire.Parcel) {
	if !g.observes(p.AgentID) && !g.observes(0) {
		return
	}
	e, err := p.Event()
	if err != nil {
		return
	}
	e.Name, e.Fence = wire.ForAgent(e.Name, p.AgentID), nil
	text, err := wire.Encode(e)
	if err != nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), authWait)
		defer cancel()
		_, _ = g.Bus.Publish(ctx, wire.EventChannel(e.Name), string(text))
	}()
}

// veil takes from a command what it is about where the reader could not answer it: there
// are secrets in that.
func (s *stream) veil(e *wire.Event) {
	if wire.AgentOf(e.Name) != 0 && !slices.Contains(s.who.Publish, "POST") {
		e.Data = nil
	}
}
