package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/wire"
)

// session is one live connection of an agent.
type session struct {
	gws.BuiltinEventHandler
	g      *Gateway
	conn   *gws.Conn
	agent  int64
	plain  bool
	modern bool // speaks wire.Subprotocol
	names  map[string]bool
	epoch  int64

	heard atomic.Int64 // when it last said anything, in milliseconds
	mu    sync.Mutex
	gone  bool
	stop  func() // ends the subscription
	timer *time.Timer
}

// subscribed keeps how to end the subscription, and ends it at once if the
// connection is gone already.
func (s *session) subscribed(stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		stop()
		return
	}
	s.stop = stop
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
		s.close(closeReplaced, "replaced")
	case p.Event == nil:
	case p.Event.Name == wire.AgentClose:
		s.answer(p.Event, "")
		s.close(1000, "closed")
	case s.names[p.Event.Name] || s.names["*"]:
		if !s.modern {
			p.Event.Fence = nil
		}
		s.send(p.Event)
	}
}

// answer replies in the agent's place; a failure is given in words.
func (s *session) answer(e *wire.Event, failure string) {
	reply, err := e.Reply(nil)
	if failure != "" {
		reply, err = e.Fail(failure, ""), nil
	}
	if server, ok := asker(wire.Value(e.ReplyTo)); ok && err == nil {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), authWait)
			defer cancel()
			_ = s.g.up(ctx, s.agent, server, reply)
		}()
	}
}

// send queues one frame.
func (s *session) send(v any) {
	raw, err := wire.Encode(v)
	if err != nil {
		return
	}
	s.write(func() error { return s.conn.WriteMessage(gws.OpcodeText, raw) })
}

func (s *session) close(code uint16, reason string) {
	s.write(func() error { s.conn.WriteClose(code, []byte(reason)); return nil })
}

// write queues one write. A connection that takes none for ten seconds is closed:
// its reading side sees that and ends the session.
func (s *session) write(f func() error) {
	s.conn.Async(func() {
		_ = s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if f() != nil {
			_ = s.conn.NetConn().Close()
		}
	})
}

// beat pings the agent and gives up one that has been silent too long. One timer a
// connection, no goroutine.
func (s *session) beat() {
	s.heard.Store(time.Now().UnixMilli())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.timer = time.AfterFunc(heartbeat, func() {
		if time.Since(time.UnixMilli(s.heard.Load())) > silence {
			_ = s.conn.NetConn().Close()
			return
		}
		s.write(func() error { return s.conn.WritePing(nil) })
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.gone {
			s.timer.Reset(heartbeat)
		}
	})
}

func (s *session) OnPong(*gws.Conn, []byte) { s.heard.Store(time.Now().UnixMilli()) }

func (s *session) OnPing(c *gws.Conn, payload []byte) {
	s.heard.Store(time.Now().UnixMilli())
	pong := append([]byte(nil), payload...)
	s.write(func() error { return c.WritePong(pong) })
}

func (s *session) OnClose(*gws.Conn, error) {
	s.mu.Lock()
	s.gone = true
	stop, timer := s.stop, s.timer
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	if timer != nil {
		timer.Stop()
	}
	s.g.leave(s)
}

// OnMessage takes what a modern agent says: its greeting and its replies. Classic
// agents have nothing to say here.
func (s *session) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	s.heard.Store(time.Now().UnixMilli())
	if !s.modern {
		return
	}
	var frame struct {
		wire.Event
		Hello json.RawMessage `json:"hello"`
	}
	if err := json.Unmarshal(m.Bytes(), &frame); err != nil {
		s.close(4000, "not an object")
		return
	}
	if frame.Hello != nil {
		var w wire.Welcome
		w.Welcome.AgentID, w.Welcome.Epoch = s.agent, s.epoch
		w.Welcome.HeartbeatMillis, w.Welcome.ServerTimeMillis = heartbeat.Milliseconds(), time.Now().UnixMilli()
		s.send(w)
		return
	}
	server, ok := asker(frame.Name)
	if !ok || !strings.HasPrefix(frame.Name, "reply.") {
		return
	}
	reply := frame.Event
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	if err := s.g.up(ctx, s.agent, server, &reply); err != nil {
		s.g.Log.Warn("reply was not passed on", "agent", s.agent, "err", err)
	}
}
