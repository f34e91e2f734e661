// Package faulty is what a program stands on, made to break: a Postgres and a Redis
// of one's own that can be killed, and a way to a server on which connections and
// single messages get lost. It knows nothing of who uses them.
package faulty

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Relay passes on one unit of what a server says to its client. An error breaks the
// connection.
type Relay func(to io.Writer, from *bufio.Reader) error

// Proxy is a way to a server, on loopback. Whoever takes it sees what a bad network
// would show.
type Proxy struct {
	ln     net.Listener
	target string
	relay  Relay

	mu     sync.Mutex
	links  map[*link]bool
	refuse bool
	flow   chan struct{} // closed while bytes pass
	closed bool
	delay  atomic.Int64
}

// link is one connection: its two ends.
type link struct{ client, server net.Conn }

// NewProxy opens a way to the server at target. relay may be nil: then all that the
// server says passes as it is.
func NewProxy(target string, relay Relay) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if relay == nil {
		relay = whole
	}
	p := &Proxy{ln: ln, target: target, relay: relay, links: map[*link]bool{}, flow: make(chan struct{})}
	close(p.flow)
	go p.accept()
	return p, nil
}

// Address is host:port of the way.
func (p *Proxy) Address() string { return p.ln.Addr().String() }

// Cut resets all connections, as the loss of a network card does. New ones may come.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Refuse resets all connections and lets no new ones in, or lets them in again.
func (p *Proxy) Refuse(yes bool) {
	p.mu.Lock()
	p.refuse = yes
	p.mu.Unlock()
	if yes {
		p.Cut()
	}
}

// Stall keeps connections open on which nothing passes any more, or lets what has
// gathered pass.
func (p *Proxy) Stall(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flow:
		if yes {
			p.flow = make(chan struct{})
		}
	default:
		if !yes {
			close(p.flow)
		}
	}
}

// Delay makes each piece of what passes wait.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Close ends the way and all connections on it.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close()
	p.Stall(false)
	p.Cut()
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		go p.serve(&link{client: c})
	}
}

func (p *Proxy) serve(l *link) {
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		reset(l.client)
		return
	}
	l.server = server
	p.mu.Lock()
	if p.refuse || p.closed {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(l, l.server, l.client, whole) })
	both.Go(func() { p.copy(l, l.client, l.server, p.relay) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	l.reset()
}

// copy passes on what comes in one direction. The end of it is the end of both, so
// that a client sees a server that dies die.
func (p *Proxy) copy(l *link, to, from net.Conn, relay Relay) {
	in, out := bufio.NewReaderSize(from, 32<<10), &gate{p: p, to: to}
	for relay(out, in) == nil {
	}
	l.reset()
}

// gate is a writer that holds back while the way is stalled.
type gate struct {
	p  *Proxy
	to net.Conn
	mu sync.Mutex
}

func (g *gate) Write(b []byte) (int, error) {
	if d := time.Duration(g.p.delay.Load()); d > 0 {
		time.Sleep(d)
	}
	g.p.mu.Lock()
	flow := g.p.flow
	g.p.mu.Unlock()
	<-flow
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.to.Write(b)
}

// whole passes on what is there.
func whole(to io.Writer, from *bufio.Reader) error {
	if _, err := from.Peek(1); err != nil {
		return err
	}
	b, err := from.Peek(from.Buffered())
	if err != nil {
		return err
	}
	if _, err := to.Write(b); err != nil {
		return err
	}
	_, err = from.Discard(len(b))
	return err
}

func (l *link) reset() {
	reset(l.client)
	if l.server != nil {
		reset(l.server)
	}
}

// reset ends a connection without a word.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// errLost ends a connection on which something was to be lost.
var errLost = errors.New("lost on purpose")
