package gateway

import (
	"errors"
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

// readBuffer is how much is read of a connection at once; what is longer is read to where
// it is wanted. Each connection has one, so it is no larger than most of what agents say.
const readBuffer = 512

// socket is a WebSocket. It reads what the client says, and hands it on. It is what its
// connection keeps in place of a map.
type socket struct {
	noMap
	conn  *gws.Conn
	said  func(text []byte) // nil where a client has nothing to say
	typed func(b []byte)    // takes what comes in binary frames; nil takes it as said
	over  func(lost bool)   // lost: without a word from either side
	bye   atomic.Bool       // we have said it

	begun  time.Time
	heard  atomic.Int64 // how long after that it last said anything; a clock that is set does not count
	queued atomic.Int64 // bytes

	rate   float64 // frames that may be said in a second, and twice as many at once
	owed   float64 // of them, since
	lately time.Duration
}

// upgraders make sockets of one subprotocol each, or of none: what they hold is the same
// for all of them, and a gateway has many.
type upgraders map[string]*gws.Upgrader

func newUpgraders(protocols ...string) upgraders {
	u := upgraders{}
	for _, p := range protocols {
		options := &gws.ServerOption{ReadMaxPayloadSize: maxFrame, WriteMaxPayloadSize: 2 * maxFrame, ReadBufferSize: readBuffer, WriteBufferSize: 1 << 10,
			ParallelGolimit: 1, HandshakeTimeout: handshake, NewSession: func() gws.SessionStorage { return &socket{begun: time.Now()} }}
		if p != "" {
			options.SubProtocols = []string{p}
		}
		u[p] = gws.NewUpgrader(handler{}, options)
	}
	return u
}

func (u upgraders) open(w http.ResponseWriter, r *http.Request, protocol string) (*socket, error) {
	conn, err := u[protocol].Upgrade(w, r)
	if err != nil {
		return nil, err
	}
	s := socketOf(conn)
	s.conn = conn
	return s, nil
}

func socketOf(c *gws.Conn) *socket { return c.Session().(*socket) }

// handler hands what comes over any connection to its socket.
type handler struct{ gws.BuiltinEventHandler }

func (handler) OnPong(c *gws.Conn, _ []byte)          { socketOf(c).pong() }
func (handler) OnPing(c *gws.Conn, payload []byte)    { socketOf(c).ping(payload) }
func (handler) OnClose(c *gws.Conn, err error)        { socketOf(c).closed(err) }
func (handler) OnMessage(c *gws.Conn, m *gws.Message) { socketOf(c).message(m) }

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
	s.bye.Store(true)
	s.queue(0, func() error { s.conn.WriteClose(code, []byte(reason)); return nil })
}

func (s *socket) closed(err error) {
	var said *gws.CloseError
	s.over(!s.bye.Load() && !errors.As(err, &said))
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

// noMap keeps nothing by name.
type noMap struct{}

func (noMap) Len() int                     { return 0 }
func (noMap) Load(string) (any, bool)      { return nil, false }
func (noMap) Delete(string)                {}
func (noMap) Store(string, any)            {}
func (noMap) Range(func(string, any) bool) {}

func (s *socket) pong() { s.heard.Store(int64(time.Since(s.begun))) }

func (s *socket) ping(payload []byte) {
	s.slow()
	s.heard.Store(int64(time.Since(s.begun)))
	pong := append([]byte(nil), payload...)
	s.queue(0, func() error { return s.conn.WritePong(pong) })
}

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

func (s *socket) message(m *gws.Message) {
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

// run writes what is queued until the client goes, which is lost then, or l is closed.
func (l *lines) run(w http.ResponseWriter, r *http.Request) (lost bool) {
	control := http.NewResponseController(w)
	for {
		select {
		case <-l.done:
			return false
		case <-r.Context().Done():
			return true
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
			return true
		}
		_ = control.SetWriteDeadline(time.Time{})
	}
}
