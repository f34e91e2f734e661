package gateway

import (
	"context"
	"strconv"
	"time"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/wire"
)

// played is an agent that this gateway plays itself.
type played struct {
	g      *Gateway
	agent  int64
	player Player
	epoch  int64
	cancel func() // ends the subscription
	gone   bool
}

// offered takes an agent that nobody plays. Of several gateways the one that gets
// the lock does; a second one after all the first lets go of.
func (g *Gateway) offered(ctx context.Context, payload string) {
	p, err := wire.OpenParcel(payload)
	if err != nil || p.Name == "" || !g.servesGroup(p.GroupID) {
		return
	}
	go func() {
		for end := time.Now().Add(2 * g.connecting()); time.Now().Before(end); {
			if g.plays(ctx, p, payload) {
				return
			}
			select { // another gateway is just taking the agent on, or died while it did
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}

// connecting is how long one gateway may take to take an agent on.
func (g *Gateway) connecting() time.Duration {
	if millis := g.Settings.Int("agent.connection.management.lock.wait.millis"); millis > 0 {
		return time.Duration(millis) * time.Millisecond
	}
	return 2 * time.Second
}

// plays gives a command to the agent, here or at the gateway that plays it, and
// takes the agent on if nobody does.
func (g *Gateway) plays(ctx context.Context, p wire.Parcel, payload string) bool {
	name := strconv.FormatInt(p.AgentID, 10)
	if s := g.played(p.AgentID); s != nil {
		s.play(ctx, p)
		return true
	}
	if _, ok := g.Locks.Try(ctx, "AGENT.CONNECTION."+name, g.connecting()); !ok {
		n, err := g.Bus.Publish(ctx, wire.AgentChannel(name), payload)
		return err != nil || n > 0
	}
	s := &played{g: g, agent: p.AgentID, player: g.Sim(p), epoch: g.Bus.Now(ctx)}
	g.mu.Lock()
	g.playing[p.AgentID] = s
	g.mu.Unlock()
	if text, err := (wire.Parcel{AgentID: s.agent, Evict: s.epoch, By: g.Server}).Encode(); err == nil {
		_ = g.Bus.PublishAll(ctx, []event.Message{{Channel: wire.AgentChannel(name), Payload: text}})
	}
	s.cancels(g.Bus.SubscribeOwn(ctx, wire.AgentChannel(name), func(m string) { s.deliver(ctx, m) }))
	s.play(ctx, p)
	return true
}

func (g *Gateway) played(agent int64) *played {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.playing[agent]
}

// cancels keeps how to end the subscription, and ends it at once if the agent has
// been let go of already.
func (s *played) cancels(end func()) {
	s.g.mu.Lock()
	s.cancel = end
	gone := s.gone
	s.g.mu.Unlock()
	if gone {
		end()
	}
}

// stop ends playing an agent. The next command for it begins anew, with the data
// that its row has then.
func (s *played) stop() {
	s.g.mu.Lock()
	if s.g.playing[s.agent] == s {
		delete(s.g.playing, s.agent)
	}
	end := s.cancel
	s.cancel, s.gone = nil, true
	s.g.mu.Unlock()
	if end != nil {
		end()
	}
}

func (s *played) deliver(ctx context.Context, payload string) {
	p, err := wire.OpenParcel(payload)
	if err != nil {
		return
	}
	switch {
	case p.Evict != 0:
		if p.Evict > s.epoch || p.Evict == s.epoch && p.By != s.g.Server {
			go s.stop()
		}
	case p.Name != "":
		go s.play(ctx, p)
	}
}

func (s *played) play(ctx context.Context, p wire.Parcel) {
	e, err := p.Event()
	if err != nil {
		return
	}
	s.g.shown(p)
	if e.Name == wire.AgentClose {
		s.stop()
		if reply, err := e.Reply(nil); err == nil {
			s.up(ctx, p.Server, reply)
		}
		return
	}
	reply := s.player.Handle(ctx, e, func(progress *wire.Event) { s.up(ctx, p.Server, progress) })
	if reply != nil {
		s.up(ctx, p.Server, reply)
	}
}

func (s *played) up(ctx context.Context, server string, reply *wire.Event) {
	_, _ = s.g.up(ctx, server, wire.Answer{AgentID: s.agent, Epoch: s.epoch, Reply: reply}, "")
}
