package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Split deals the connections of one listener to two servers by the first request
// on each: what is for the event stream goes to the gateway, anything else to the
// web. One port serves both then, and each part keeps the server that suits it. A
// connection that says nothing for five seconds is closed.
func Split(ctx context.Context, ln net.Listener) (gateway, web net.Listener) {
	g, w := newBranch(ln.Addr()), newBranch(ln.Addr())
	w.gateway = g
	go func() {
		<-ctx.Done()
		_ = ln.Close()
	}()
	go func() {
		defer g.Close()
		defer w.Close()
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(5 * time.Millisecond) // out of descriptors: give some back first
				continue
			}
			go deal(conn, g, w)
		}
	}()
	return g, w
}

// longest is how much of a first line is looked at.
const longest = 4096

func deal(conn net.Conn, gateway, web *branch) {
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReaderSize(conn, longest)
	line, found := peekTo(r, "\n")
	if !found && line == "" {
		_ = conn.Close()
		return
	}
	to := web
	if streams(line) && !isPlain(r, line) {
		to = gateway
	}
	_ = conn.SetReadDeadline(time.Time{})
	p := &peeked{Conn: conn, r: r}
	if secure, ok := conn.(*tls.Conn); ok {
		to.give(&peekedTLS{p, secure})
		return
	}
	to.give(p)
}

// peekTo returns what stands before end, or what there is if that is not found, without
// taking it.
func peekTo(r *bufio.Reader, end string) (text string, found bool) {
	for n := 1; ; n = min(r.Buffered()+1, longest) {
		_, err := r.Peek(n) // waits for one byte more than there is
		b, _ := r.Peek(r.Buffered())
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			return string(b[:i]), true
		}
		if err != nil || n >= longest {
			return string(b), false
		}
	}
}

// streams tells whether a request line is one for the gateway.
func streams(line string) bool { return forGateway(methodAndPath(line)) }

func methodAndPath(line string) (method, path string) {
	method, rest, _ := strings.Cut(line, " ")
	path, _, _ = strings.Cut(rest, " ")
	path, _, _ = strings.Cut(path, "?")
	return method, path
}

// isPlain tells whether a request by its path the gateway's asks for no connection: it is
// the web's, which answers it as it answers any other.
func isPlain(r *bufio.Reader, line string) bool {
	method, path := methodAndPath(line)
	if method != fiber.MethodGet || strings.EqualFold(path, agentProgram) {
		return false
	}
	head, whole := peekTo(r, "\r\n\r\n")
	return whole && !strings.Contains(strings.ToLower(head), "\nupgrade:")
}

// agentProgram is where agents get the gateway's program.
const agentProgram = "/v1/agentprogram"

func forGateway(method, path string) bool {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	if !strings.HasPrefix(path, "/v1/") { // in this case alone
		return false
	}
	path = strings.TrimRight(strings.ToLower(path), "/")
	return (method == "GET" || method == "POST") && (path == "/v1/subscribe" || path == "/v1/hostaccess" || path == agentProgram) || method == "POST" && path == "/v1/publish"
}

// peeked is a connection whose beginning has been read already.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.r == nil {
		return p.Conn.Read(b)
	}
	n, err := p.r.Read(b)
	if p.r.Buffered() == 0 {
		p.r = nil // let the buffer go
	}
	return n, err
}

// peekedTLS is one over TLS, and says so.
type peekedTLS struct {
	*peeked
	secure *tls.Conn
}

func (p *peekedTLS) Handshake() error                     { return p.secure.Handshake() }
func (p *peekedTLS) ConnectionState() tls.ConnectionState { return p.secure.ConnectionState() }

// branch is a listener that gets its connections from elsewhere.
type branch struct {
	addr    net.Addr
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
	gateway *branch // of the web's: where requests for the event stream belong
}

func newBranch(addr net.Addr) *branch {
	return &branch{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (b *branch) give(c net.Conn) {
	select {
	case b.conns <- c:
	case <-b.done:
		_ = c.Close()
	}
}

func (b *branch) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.done:
		return nil, net.ErrClosed
	}
}

func (b *branch) Close() error   { b.once.Do(func() { close(b.done) }); return nil }
func (b *branch) Addr() net.Addr { return b.addr }

// handOver gives a connection that has been the web's, and now asks for the event
// stream, to the gateway together with the request.
func (b *branch) handOver(c *fiber.Ctx) error {
	plain := c.Method() == fiber.MethodGet && c.Get(fiber.HeaderUpgrade) == ""
	if !forGateway(c.Method(), c.Path()) || plain && !strings.EqualFold(c.Path(), agentProgram) {
		return c.Next()
	}
	request := c.Request().String()
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(conn net.Conn) {
		if inner, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
			conn = inner.UnsafeConn()
		}
		_ = conn.SetDeadline(time.Time{})
		h := &handed{Conn: conn, head: []byte(request), closed: make(chan struct{})}
		b.gateway.give(h)
		<-h.closed // the web closes the connection once this returns
	})
	return nil
}

// handed is a connection whose first request has been read already.
type handed struct {
	net.Conn
	head   []byte
	once   sync.Once
	closed chan struct{}
}

func (h *handed) Read(b []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(b, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	return h.Conn.Read(b)
}

func (h *handed) Close() error {
	defer h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}
