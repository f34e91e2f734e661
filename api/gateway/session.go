package gateway

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/wire"
)

// session is one live connection of an agent.
type session struct {
	line
	g      *Gateway
	agent  int64
	plain  bool // ids are written plainly for it
	modern bool // speaks wire.Subprotocol
	names  map[string]bool
	epoch  int64
}

// deliver takes a message from the agent's channel. It runs where the bus is read
// and must not block: writes are queued on the connection.
func (s *session) deliver(payload string) {
	var p wire.Parcel
	if json.Unmarshal([]byte(payload), &p) != nil {
		return
	}
	switch {
	case p.Evict > s.epoch || p.Evict == s.epoch && p.By != s.g.Server && p.Evict != 0:
		s.out.close(closeReplaced, "replaced")
	case p.Event == nil:
	case p.Event.Name == wire.AgentClose:
		s.closed(p.Event)
		s.out.close(1000, "closed")
	case s.names[p.Event.Name] || s.names["*"]:
		if !s.modern {
			show(p.Event, s.plain)
		}
		s.send(p.Event)
	}
}

// show puts an event into the words of those who know nothing of fences and read
// ids as the API writes them.
func show(e *wire.Event, plain bool) {
	e.Fence = nil
	if plain || e.ResourceID == nil {
		return
	}
	if k := resource.All.Kind(wire.Value(e.ResourceType)); k != nil {
		e.ResourceID = wire.Text(k.Type.Obfuscate(*e.ResourceID))
	}
}

// closed answers agent.close in the agent's place.
func (s *session) closed(e *wire.Event) {
	reply, err := e.Reply(nil)
	if server, _, ok := asker(wire.Value(e.ReplyTo)); ok && err == nil {
		go s.up(server, reply)
	}
}

func (s *session) up(server string, reply *wire.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	if _, err := s.g.up(ctx, server, wire.Answer{AgentID: s.agent, Epoch: s.epoch, Reply: reply}); err != nil {
		s.g.Log.Warn("reply was not passed on", "agent", s.agent, "event", reply.ID, "err", err)
	}
}

// said takes what a modern agent says: its greeting and its replies. Classic
// agents have nothing to say here.
func (s *session) said(text []byte) {
	if !s.modern {
		return
	}
	var frame struct {
		wire.Event
		Hello json.RawMessage `json:"hello"`
	}
	if err := json.Unmarshal(text, &frame); err != nil {
		s.out.close(4000, "not an object")
		return
	}
	if frame.Hello != nil {
		var w wire.Welcome
		w.Welcome.AgentID, w.Welcome.Epoch = s.agent, s.epoch
		w.Welcome.HeartbeatMillis, w.Welcome.ServerTimeMillis = heartbeat.Milliseconds(), time.Now().UnixMilli()
		s.send(w)
		return
	}
	if server, _, ok := asker(frame.Name); ok {
		reply := frame.Event
		s.up(server, &reply)
	}
}
