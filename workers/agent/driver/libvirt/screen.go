package libvirt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/workers/agent/driver"
)

const screenPath = "websockify"

// screens shows the screens of machines to browsers: VNC over WebSockets, to whoever has
// a token for one. Tokens are given out for the server only, and forgotten soon.
type screens struct {
	listener net.Listener
	host     string // as users reach it
	life     time.Duration

	mu     sync.Mutex
	tokens map[string]string // the address of a screen
}

// openScreens listens at an address. Of one that is no particular one, users are told
// the host's.
func openScreens(config Config) (*screens, error) {
	listener, err := net.Listen("tcp", config.Screens)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for viewers of screens: %w", err)
	}
	at := listener.Addr().(*net.TCPAddr)
	s := &screens{listener: listener, host: at.IP.String(), life: config.TokenLife, tokens: map[string]string{}}
	if at.IP.IsUnspecified() && config.HostIP != "" {
		s.host = config.HostIP
	}
	return s, nil
}

// admit gives a token with which a screen may be looked at.
func (s *screens) admit(address string) string {
	b := make([]byte, 15)
	_, _ = rand.Read(b) // never fails
	token := hex.EncodeToString(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = address
	time.AfterFunc(s.life, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.tokens, token)
	})
	return token
}

// answer says where a screen is shown.
func (s *screens) answer(address, password string) map[string]any {
	port := s.listener.Addr().(*net.TCPAddr).Port
	path := screenPath + "?token=" + s.admit(address)
	return map[string]any{
		"url":  "ws://" + net.JoinHostPort(s.host, strconv.Itoa(port)) + "/" + path,
		"host": s.host, "port": port, "path": path, "kind": "websocket-vnc", "password": password,
	}
}

// serve shows screens until ctx ends, and none after that.
func (s *screens) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+screenPath, func(w http.ResponseWriter, r *http.Request) { s.show(ctx, w, r) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// show connects a viewer with a screen. Whatever is not a clean upgrade leaves no
// connection behind.
func (s *screens) show(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	address, known := s.tokens[r.URL.Query().Get("token")]
	s.mu.Unlock()
	if !known {
		http.Error(w, "no such token", http.StatusForbidden)
		return
	}
	screen, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(r.Context(), "tcp", address)
	if err != nil {
		http.Error(w, "the machine shows no screen", http.StatusBadGateway)
		return
	}
	defer screen.Close()
	viewer, err := gws.NewUpgrader(&view{screen: screen}, &gws.ServerOption{SubProtocols: []string{"binary"},
		ReadMaxPayloadSize: 1 << 20, HandshakeTimeout: 5 * time.Second}).Upgrade(w, r)
	if err != nil {
		return // the upgrader has answered
	}
	stop := context.AfterFunc(ctx, func() { _ = viewer.NetConn().Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(frames{viewer}, screen) // its end is the viewer's
		_ = viewer.WriteClose(1000, nil)
		_ = viewer.NetConn().Close()
	}()
	viewer.ReadLoop()
}

// view carries what a viewer does.
type view struct {
	gws.BuiltinEventHandler
	screen net.Conn
}

func (v *view) OnMessage(viewer *gws.Conn, m *gws.Message) {
	defer m.Close()
	if _, err := v.screen.Write(m.Bytes()); err != nil {
		_ = viewer.NetConn().Close()
	}
}

// frames carries what a screen shows.
type frames struct{ viewer *gws.Conn }

func (f frames) Write(p []byte) (int, error) {
	return len(p), f.viewer.WriteMessage(gws.OpcodeBinary, p)
}

// Run shows screens until ctx ends, if the driver was made to.
func (d *Driver) Run(ctx context.Context) error {
	if d.screens == nil {
		return nil
	}
	return d.screens.serve(ctx)
}

// Console says how to look at the screen of a machine; nil is that it shows none.
func (d *Driver) Console(ctx context.Context, name string) (any, error) {
	if d.screens == nil {
		return nil, nil
	}
	address, machine, err := d.screenOf(ctx, name)
	if address == "" || err != nil {
		return nil, err
	}
	return d.screens.answer(address, machine.password()), nil
}

// screenOf is where this host reaches the screen of a machine, "" where there is none.
func (d *Driver) screenOf(ctx context.Context, name string) (address string, machine *live, err error) {
	s, err := d.open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer s.close()
	domain, found, err := s.find(name)
	if err != nil || !found {
		return "", nil, err
	}
	text, err := s.DomainGetXMLDesc(domain, 0)
	if err != nil {
		return "", nil, s.failed("cannot read machine "+name, err)
	}
	machine = &live{}
	if err := xml.Unmarshal([]byte(text), machine); err != nil {
		return "", nil, fmt.Errorf("cannot read machine %s: %w", name, err)
	}
	return machine.screen("127.0.0.1"), machine, nil // one that listens everywhere does so here
}

var (
	_ driver.Console  = (*Driver)(nil)
	_ driver.Runner   = (*Driver)(nil)
	_ driver.Accessor = (*Driver)(nil)
)
