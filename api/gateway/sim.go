package gateway

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// played is an agent that this gateway plays itself.
type played struct {
	g      *Gateway
	agent  int64
	player Player
	cancel func() // ends the subscription
	epoch  int64
}

// offered takes an agent that nobody plays. Of several gateways the one that gets
// the lock does; a second one after all the first lets go of.
func (g *Gateway) offered(ctx context.Context, payload string) {
	var p wire.Parcel
	if json.Unmarshal([]byte(payload), &p) != nil || p.Event == nil {
		return
	}
	go func() {
		if s := g.played(p.AgentID); s != nil {
			s.play(ctx, p)
			return
		}
		name := strconv.FormatInt(p.AgentID, 10)
		if _, ok := g.Locks.Try(ctx, "AGENT.CONNECTION."+name, 2*time.Second); !ok {
			g.again(ctx, p, payload)
			return
		}
		s := &played{g: g, agent: p.AgentID, player: g.Sim(p), epoch: time.Now().UnixMilli()}
		g.mu.Lock()
		g.playing[p.AgentID] = s
		g.mu.Unlock()
		if text, err := json.Marshal(wire.Parcel{AgentID: p.AgentID, Evict: s.epoch, By: g.Server}); err == nil {
			_, _ = g.Bus.Publish(ctx, wire.AgentChannel(name), string(text))
		}
		s.cancel = g.Bus.Subscribe(ctx, wire.AgentChannel(name), func(m string) { s.deliver(ctx, m) })
		s.play(ctx, p)
	}()
}

// again hands a command to the gateway that is just taking the agent on.
func (g *Gateway) again(ctx context.Context, p wire.Parcel, payload string) {
	for range 5 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
		if s := g.played(p.AgentID); s != nil {
			s.play(ctx, p)
			return
		}
		if n, err := g.Bus.Publish(ctx, wire.AgentChannel(strconv.FormatInt(p.AgentID, 10)), payload); err != nil || n > 0 {
			return
		}
	}
}

func (g *Gateway) played(agent int64) *played {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.playing[agent]
}

// stop ends playing an agent. The next command for it begins anew, with the data
// that its row has then.
func (s *played) stop() {
	s.g.mu.Lock()
	if s.g.playing[s.agent] == s {
		delete(s.g.playing, s.agent)
	}
	s.g.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *played) deliver(ctx context.Context, payload string) {
	var p wire.Parcel
	if json.Unmarshal([]byte(payload), &p) != nil {
		return
	}
	switch {
	case p.Evict != 0:
		if p.Evict > s.epoch || p.Evict == s.epoch && p.By != s.g.Server {
			go s.stop()
		}
	case p.Event != nil:
		go s.play(ctx, p)
	}
}

func (s *played) play(ctx context.Context, p wire.Parcel) {
	if p.Event.Name == wire.AgentClose {
		s.stop()
		if reply, err := p.Event.Reply(nil); err == nil {
			s.up(ctx, p.Server, reply)
		}
		return
	}
	reply := s.player.Handle(ctx, p.Event, func(progress *wire.Event) { s.up(ctx, p.Server, progress) })
	if reply != nil {
		s.up(ctx, p.Server, reply)
	}
}

func (s *played) up(ctx context.Context, server string, reply *wire.Event) {
	_, _ = s.g.up(ctx, server, wire.Answer{AgentID: s.agent, Reply: reply})
}
