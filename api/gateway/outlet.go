package gateway

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// outlet is the way to one client. Its methods queue what they are given and
// return at once; a client that takes too little is cut off.
type outlet interface {
	write(frame []byte)
	beat() // shows and looks whether the connection lives, where its kind can
	close(code uint16, reason string)
}

const writeTime = 10 * time.Second

// socket is a WebSocket. It reads what the client says, and hands it on.
type socket struct {
	gws.BuiltinEventHandler
	conn  *gws.Conn
	said  func(text []byte) // nil where a client has nothing to say
	typed func(b []byte)    // takes what comes in binary frames; nil takes it as said
	over  func()

	begun  time.Time
	heard  atomic.Int64 // how long after that it last said anything; a clock that is set does not count
	queued atomic.Int64 // bytes

	rate   float64 // frames that may be said in a second, and twice as many at once
	owed   float64 // of them, since
	lately time.Duration
}

func newSocket(w http.ResponseWriter, r *http.Request, protocol string) (*socket, error) {
	options := &gws.ServerOption{ReadMaxPayloadSize: maxFrame, WriteMaxPayloadSize: 2 * maxFrame, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, HandshakeTimeout: handshake}
	if protocol != "" {
		options.SubProtocols = []string{protocol}
	}
	s := &socket{begun: time.Now()}
	var err error
	s.conn, err = gws.NewUpgrader(s, options).Upgrade(w, r)
	return s, err
}

func (s *socket) write(frame []byte) {
	s.queue(len(frame), func() error { return s.conn.WriteMessage(gws.OpcodeText, frame) })
}

// binary writes bytes, and then says so.
func (s *socket) binary(b []byte, written func()) {
	s.queue(len(b), func() error {
		err := s.conn.WriteMessage(gws.OpcodeBinary, b)
		if err == nil {
			written()
		}
		return err
	})
}

func (s *socket) close(code uint16, reason string) {
	s.queue(0, func() error { s.conn.WriteClose(code, []byte(reason)); return nil })
}

func (s *socket) beat() {
	if time.Since(s.begun)-time.Duration(s.heard.Load()) > silence {
		s.cut()
		return
	}
	s.queue(0, func() error { return s.conn.WritePing(nil) })
}

// queue does one write after the others. A connection that takes none for ten
// seconds, or lets too much wait, is cut: its reading side sees that and ends.
func (s *socket) queue(size int, f func() error) {
	if s.queued.Add(int64(size)) > maxQueue {
		s.cut()
	}
	s.conn.Async(func() {
		defer s.queued.Add(-int64(size))
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
		if f() != nil {
			s.cut()
		}
	})
}

func (s *socket) cut() { _ = s.conn.NetConn().Close() }

func (s *socket) OnPong(*gws.Conn, []byte) { s.heard.Store(int64(time.Since(s.begun))) }

func (s *socket) OnPing(_ *gws.Conn, payload []byte) {
	s.slow()
	s.heard.Store(int64(time.Since(s.begun)))
	pong := append([]byte(nil), payload...)
	s.queue(0, func() error { return s.conn.WritePong(pong) })
}

func (s *socket) OnClose(*gws.Conn, error) { s.over() }

// slow keeps the reader of a client that says too much, and with it the client. It runs
// where the connection is read.
func (s *socket) slow() {
	if s.rate <= 0 {
		return
	}
	now := time.Since(s.begun)
	s.owed = max(s.owed-s.rate*(now-s.lately).Seconds(), 0) + 1
	s.lately = now
	if over := s.owed - 2*s.rate; over > 0 {
		time.Sleep(time.Duration(over / s.rate * float64(time.Second)))
	}
}

func (s *socket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	s.slow()
	s.heard.Store(int64(time.Since(s.begun)))
	switch {
	case s.typed != nil && m.Opcode == gws.OpcodeBinary:
		s.typed(m.Bytes())
	case s.said != nil:
		s.said(m.Bytes())
	}
}

// lines is the answer to a POST that never ends: a frame a line and an empty line
// behind it.
type lines struct {
	mu     sync.Mutex
	frames [][]byte
	size   int
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once
}

func newLines() *lines {
	return &lines{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (l *lines) write(frame []byte) {
	l.mu.Lock()
	l.frames = append(l.frames, frame)
	l.size += len(frame)
	full := l.size > maxQueue
	l.mu.Unlock()
	if full {
		l.close(0, "")
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lines) beat() {} // a client that is gone is noticed by the next write

func (l *lines) close(uint16, string) { l.once.Do(func() { close(l.done) }) }

// run writes what is queued until the client goes or l is closed.
func (l *lines) run(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	for {
		select {
		case <-l.done:
			return
		case <-r.Context().Done():
			return
		case <-l.wake:
		}
		l.mu.Lock()
		frames := l.frames
		l.frames, l.size = nil, 0
		l.mu.Unlock()
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		for _, f := range frames {
			_, _ = w.Write(f)
			_, _ = w.Write([]byte("\n\n"))
		}
		if control.Flush() != nil {
			return
		}
		_ = control.SetWriteDeadline(time.Time{})
	}
}
