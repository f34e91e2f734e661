package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/wire"
)

// session is one live connection of an agent.
type session struct {
	line
	g      *Gateway
	agent  int64
	plain  bool                    // ids are written plainly for it
	modern bool                    // speaks wire.Subprotocol
	names  []unique.Handle[string] // what it wants to hear
	epoch  int64
	from   string // the address of the peer

	looked sync.Mutex
	looks  map[string]string // accesses over this connection, with the servers that hear them
}

// deliver takes a message from the agent's channel. It runs where the bus is read
// and must not block: writes are queued on the connection.
func (s *session) deliver(payload string) {
	p, err := wire.OpenParcel(payload)
	if err != nil {
		return
	}
	if p.Name != "" {
		s.g.shown(p)
	}
	switch {
	case p.Evict > s.epoch || p.Evict == s.epoch && p.By != s.g.Server && p.Evict != 0:
		s.out.close(closeReplaced, "replaced")
		if p.By != s.g.Server && p.From != s.from {
			go s.g.contested(s.agent)
		}
	case p.Name == wire.AgentClose:
		if e, err := p.Event(); err == nil {
			s.closed(e)
		}
		s.out.close(1000, "closed")
	case !s.wants(p.Name):
	case s.modern:
		if p.Name == wire.AccessOpen {
			s.look(p)
		}
		s.out.write([]byte(p.Text))
	default:
		if e, err := p.Event(); err == nil {
			show(e, s.plain)
			s.send(e)
		}
	}
}

func (s *session) wants(name string) bool {
	return slices.ContainsFunc(s.names, func(n unique.Handle[string]) bool { return n.Value() == name || n.Value() == "*" })
}

// show puts an event into the words of those who know nothing of fences and read
// ids as the API writes them.
func show(e *wire.Event, plain bool) {
	e.Fence = nil
	if e.ResourceType == nil {
		e.ResourceID = nil // an id alone names nothing
	}
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
		go s.up(server, reply, "")
	}
}

func (s *session) up(server string, reply *wire.Event, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	if _, err := s.g.up(ctx, server, wire.Answer{AgentID: s.agent, Epoch: s.epoch, Reply: reply}, text); err != nil {
		s.g.Log.Warn("reply was not passed on", "agent", s.agent, "event", reply.ID, "err", err)
	}
}

// said takes what a modern agent says: its greeting and its replies. Classic
// agents have nothing to say here.
func (s *session) said(text []byte) {
	if !s.modern {
		return
	}
	var frame struct { // the rest is for whoever asked
		ID    string          `json:"id"`
		Name  string          `json:"name"`
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
		w.Welcome.Program = s.g.program()
		s.send(w)
		return
	}
	server, request, ok := asker(frame.Name)
	if !ok {
		return
	}
	if strings.HasPrefix(server, wire.AccessServer) {
		s.show(server, request, text)
		return
	}
	reply := &wire.Event{ID: frame.ID}
	if frame.ID == "" {
		if err := json.Unmarshal(text, reply); err != nil {
			s.out.close(4000, "not an event")
			return
		}
		text = nil
	}
	s.up(server, reply, string(text))
}

// look remembers an access that is opened over this connection.
func (s *session) look(p wire.Parcel) {
	e, err := p.Event()
	if err != nil {
		return
	}
	s.looked.Lock()
	defer s.looked.Unlock()
	if s.looks == nil {
		s.looks = map[string]string{}
	}
	s.looks[e.ID] = p.Server
}

// show passes on what an agent says to a user who has opened an access over this
// connection. One who has gone without a word is said good-bye for.
func (s *session) show(server, id string, text []byte) {
	s.looked.Lock()
	known := s.looks[id] == server
	s.looked.Unlock()
	var reply wire.Event
	if !known || json.Unmarshal(text, &reply) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	reply.PreviousIDs = []string{id}
	there, err := s.g.up(ctx, server, wire.Answer{AgentID: s.agent, Epoch: s.epoch, Reply: &reply}, "")
	if !reply.IsFinal() && (there || err != nil) {
		return
	}
	s.looked.Lock()
	delete(s.looks, id)
	s.looked.Unlock()
	if data, err := wire.Encode(wire.AccessPart{ID: id, Close: true}); err == nil && !reply.IsFinal() {
		s.send(&wire.Event{ID: id + ".close", Name: wire.AccessInput, Data: data, TimeMillis: time.Now().UnixMilli()})
	}
}

// fail ends the accesses over a connection that is gone.
func (s *session) fail(why string) {
	s.looked.Lock()
	looks := s.looks
	s.looks = nil
	s.looked.Unlock()
	for id, server := range looks {
		s.up(server, (&wire.Event{ID: id, ReplyTo: wire.Text("reply." + server + "." + id)}).Fail(why, ""), "")
	}
}
