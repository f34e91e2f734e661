package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// gateway plays the server's side of the wire.
type gateway struct {
	*httptest.Server
	mux   *http.ServeMux
	links chan *link
	ids   atomic.Int64
}

// link is one connection of an agent, as the gateway sees it.
type link struct {
	gws.BuiltinEventHandler
	t       *testing.T
	conn    *gws.Conn
	request *http.Request
	hello   wire.Hello
	frames  chan *wire.Event
	pongs   chan string
	closed  chan struct{}
}

func newGateway(t *testing.T) *gateway { return serve(t, httptest.NewServer) }

func serve(t *testing.T, listen func(http.Handler) *httptest.Server) *gateway {
	g := &gateway{mux: http.NewServeMux(), links: make(chan *link, 10)}
	g.mux.HandleFunc("GET /v1/subscribe", func(w http.ResponseWriter, r *http.Request) {
		l := &link{t: t, request: r, frames: make(chan *wire.Event, 1000), pongs: make(chan string, 10), closed: make(chan struct{})}
		conn, err := gws.NewUpgrader(l, &gws.ServerOption{SubProtocols: []string{wire.Subprotocol}}).Upgrade(w, r)
		if err != nil {
			return
		}
		l.conn = conn
		go conn.ReadLoop()
		g.links <- l
	})
	g.Server = listen(g.mux)
	t.Cleanup(g.Close)
	return g
}

func (l *link) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	var f struct {
		wire.Event
		wire.Hello
	}
	if err := json.Unmarshal(message.Bytes(), &f); err != nil {
		l.t.Errorf("unreadable frame: %s", message.Bytes())
	}
	if f.Hello.Hello.Version != 0 {
		l.hello = f.Hello
		_ = conn.WriteString(`{"welcome":{"agentId":5,"epoch":1,"heartbeatMs":15000}}`)
		return
	}
	l.frames <- &f.Event
}

func (l *link) OnPong(_ *gws.Conn, payload []byte) { l.pongs <- string(payload) }
func (l *link) OnClose(*gws.Conn, error)           { close(l.closed) }

// accept waits for the agent to connect and to say something after its hello.
func (g *gateway) accept(t *testing.T) *link {
	t.Helper()
	l := receive(t, g.links)
	l.send(g.ping(`{"options":{}}`))
	l.answer("reply.ping")
	return l
}

func (g *gateway) ping(data string) *wire.Event {
	return &wire.Event{ID: g.id(), Name: wire.Ping, ReplyTo: wire.Text("reply.ping"), Data: json.RawMessage(data)}
}

func (g *gateway) id() string { return fmt.Sprintf("request-%d", g.ids.Add(1)) }

// command makes one for an instance of a simulated host; extra is JSON in its data.
func (g *gateway) command(name, instance, extra string) *wire.Event {
	data := fmt.Sprintf(`{"instanceHostMap":{"host":{"kind":"sim"},"instance":{"uuid":%q,"data":{%s}}}}`, instance, extra)
	id := g.id()
	return &wire.Event{ID: id, Name: name, ReplyTo: wire.Text("reply." + id), Data: json.RawMessage(data)}
}

func (l *link) send(e *wire.Event) {
	l.t.Helper()
	text, err := wire.Encode(e)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.conn.WriteMessage(gws.OpcodeText, text); err != nil {
		l.t.Fatal(err)
	}
}

// answer waits for a final answer of that name; progress goes by.
func (l *link) answer(name string) *wire.Event {
	l.t.Helper()
	for {
		if e := receive(l.t, l.frames); e.Name == name && e.IsFinal() {
			return e
		}
	}
}

// ask sends a command and waits for its answer.
func (l *link) ask(e *wire.Event) *wire.Event {
	l.t.Helper()
	l.send(e)
	return l.answer(*e.ReplyTo)
}

// running asks which instances run.
func (g *gateway) running(l *link) []string {
	l.t.Helper()
	var pong wire.PingData
	if err := json.Unmarshal(l.ask(g.ping(`{"options":{"instances":true}}`)).Data, &pong); err != nil {
		l.t.Fatal(err)
	}
	uuids := []string{}
	for _, r := range pong.Resources {
		uuids = append(uuids, r.UUID)
	}
	return uuids
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// run starts an agent with simulated hosts and ends it with the test, or before.
func run(t *testing.T, config agent.Config) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if config.Home == "" {
		config.Home = t.TempDir()
	}
	if config.Drivers == nil {
		config.Drivers = []string{"sim"}
	}
	config.Retry = time.Millisecond
	config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	go func() { done <- agent.Run(ctx, config) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("agent ended with %v", err)
		}
	}
	t.Cleanup(end)
	return end
}

// start runs an agent with keys against a gateway of its own.
func start(t *testing.T) (*gateway, *link) {
	t.Helper()
	g := newGateway(t)
	run(t, agent.Config{URL: g.URL, AccessKey: "access", SecretKey: "secret"})
	return g, g.accept(t)
}
