package agent_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent"
)

func TestConnectionSaysWhoAndWhat(t *testing.T) {
	t.Parallel()
	_, l := start(t)
	access, secret, _ := l.request.BasicAuth()
	if access != "access" || secret != "secret" {
		t.Errorf("logged in as %q, %q", access, secret)
	}
	names := l.request.URL.Query()["eventNames"]
	for _, name := range []string{wire.Ping, wire.ConfigUpdate, wire.ComputeInstanceActivate, wire.StorageVolumeRemove, wire.StorageImageDeactivate, wire.DelegateRequest} {
		if !slices.Contains(names, name) {
			t.Errorf("not subscribed to %s", name)
		}
	}
	h := l.hello.Hello
	if h.Version != 2 || h.AgentUUID == "" || h.BootID == "" || !slices.Equal(h.Kinds, []string{"sim"}) {
		t.Errorf("hello %+v", h)
	}
}

func TestCommandIsDoneAndAnswered(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	e := g.command(wire.ComputeInstanceActivate+";agent=5", "a", "")
	e.ResourceType, e.ResourceID = wire.Text("instanceHostMap"), wire.Text("50")
	got := l.ask(e)
	if got.ID == "" || got.PreviousIDs[0] != e.ID || *got.ResourceType != "instanceHostMap" || *got.ResourceID != "50" {
		t.Errorf("got %+v", got)
	}
	if got := g.running(l); !slices.Equal(got, []string{"a"}) {
		t.Errorf("running %q", got)
	}
	l.ask(g.command(wire.ComputeInstanceDeactivate, "a", ""))
	if got := g.running(l); len(got) != 0 {
		t.Errorf("running %q", got)
	}
}

func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	foreign := g.command(wire.ComputeInstanceActivate, "a", "")
	foreign.Data = json.RawMessage(`{"instanceHostMap":{"host":{"kind":"docker"},"instance":{"uuid":"a"}}}`)
	empty := g.command(wire.ComputeInstanceActivate, "a", "")
	empty.Data = nil
	for _, c := range []struct {
		command *wire.Event
		want    string
	}{
		{g.command(wire.ComputeInstanceActivate, "a", `"compute.instance.activate::fail":true`), "Failing [compute.instance.activate]"},
		{g.command("compute.instance.fly", "a", ""), `command "compute.instance.fly" is not supported`},
		{foreign, `hosts of kind "docker" are not served here`},
		{empty, `command "compute.instance.activate" does not say what it is about`},
	} {
		got := l.ask(c.command)
		if wire.Value(got.Transitioning) != wire.Failure || !strings.HasPrefix(wire.Value(got.TransitioningMessage), c.want) {
			t.Errorf("want %s, got %v: %s", c.want, wire.Value(got.Transitioning), wire.Value(got.TransitioningMessage))
		}
	}
}

func TestRepeatedRequestIsAnsweredAndNotDoneAgain(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	begin := g.command(wire.ComputeInstanceActivate, "a", "")
	l.ask(begin)
	l.ask(g.command(wire.ComputeInstanceDeactivate, "a", ""))
	begin.ReplyTo = wire.Text("reply.elsewhere")
	if got := l.ask(begin); got.PreviousIDs[0] != begin.ID {
		t.Errorf("got %+v", got)
	}
	if got := g.running(l); len(got) != 0 {
		t.Errorf("running %q", got)
	}
}

func TestBusyResourceAnswersWithProgressAndTheNewestIsDoneNext(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	slow := g.command(wire.ComputeInstanceActivate, "a", `"simDelayMillis":1500`)
	l.send(slow)
	slow.ReplyTo = wire.Text("reply.again")
	l.send(slow)
	if got := receive(t, l.frames); got.IsFinal() || got.Name != "reply.again" {
		t.Errorf("got %+v", got)
	}
	stop := g.command(wire.ComputeInstanceDeactivate, "a", "")
	l.send(stop)
	if got := receive(t, l.frames); got.IsFinal() || got.Name != *stop.ReplyTo {
		t.Errorf("got %+v", got)
	}
	if got := receive(t, l.frames); !got.IsFinal() || got.Name != "reply.again" {
		t.Errorf("got %+v", got)
	}
	l.answer(*stop.ReplyTo)
	if got := g.running(l); len(got) != 0 {
		t.Errorf("running %q", got)
	}
}

func TestPingsPassBusyWorkers(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	for i := range 60 { // more than run and wait; the rest is dropped
		l.send(g.command(wire.ComputeInstanceActivate, fmt.Sprint("busy", i), `"simDelayMillis":3600000`))
	}
	if got := g.running(l); len(got) != 0 {
		t.Errorf("running %q", got)
	}
}

func TestAnswerReachesTheNextConnection(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	slow := g.command(wire.ComputeInstanceActivate, "a", `"simDelayMillis":500`)
	l.send(slow)
	l.send(slow)
	receive(t, l.frames) // progress: it is in work
	_ = l.conn.NetConn().Close()
	l = receive(t, g.links)
	if got := l.answer(*slow.ReplyTo); got.PreviousIDs[0] != slow.ID {
		t.Errorf("got %+v", got)
	}
}

func TestNewConnectionHearsWhatIsInWork(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	endless := g.command(wire.ComputeInstanceActivate, "a", `"simDelayMillis":3600000`)
	l.send(endless)
	l.send(endless)
	receive(t, l.frames) // progress: it is in work
	_ = l.conn.NetConn().Close()
	if l = g.accept(t); !slices.Equal(l.hello.Hello.Held, []string{endless.ID}) {
		t.Errorf("held %q", l.hello.Hello.Held)
	}
}

func TestStaleCommandIsRefusedAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	config := agent.Config{URL: g.URL, AccessKey: "k", Home: t.TempDir()}
	end := run(t, config)
	fenced := func(name string, epoch int64) *wire.Event {
		e := g.command(name, "a", "")
		e.Fence = &wire.Fence{Resource: "a", Epoch: epoch}
		return e
	}
	refused := func(l *link, e *wire.Event) bool {
		return wire.Value(l.ask(e).TransitioningMessage) == "stale command"
	}
	l := g.accept(t)
	if refused(l, fenced(wire.ComputeInstanceActivate, 7)) || refused(l, fenced(wire.ComputeInstanceActivate, 7)) {
		t.Error("a fresh command was refused")
	}
	if !refused(l, fenced(wire.ComputeInstanceDeactivate, 6)) {
		t.Error("a stale command was done")
	}
	if got := g.running(l); !slices.Equal(got, []string{"a"}) {
		t.Errorf("running %q", got)
	}
	end()
	run(t, config)
	l = g.accept(t)
	if !refused(l, fenced(wire.ComputeInstanceDeactivate, 6)) || refused(l, fenced(wire.ComputeInstanceDeactivate, 8)) {
		t.Error("the order was forgotten")
	}
}

func TestAgentReconnectsAndIsTheSame(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	first := l.hello.Hello
	_ = l.conn.WriteClose(1012, nil)
	receive(t, l.closed)
	again := g.accept(t).hello.Hello
	if again.AgentUUID != first.AgentUUID || again.BootID != first.BootID {
		t.Errorf("was %+v, is %+v", first, again)
	}
}

// The port of a tunnel changes while the agent works, and nothing tells that the old one
// is dead: a command that came by it is answered by the new one.
func TestAnAgentFollowsItsTunnel(t *testing.T) {
	t.Parallel()
	first, second := newGateway(t), newGateway(t)
	home := t.TempDir()
	tunnel := func(g *gateway) {
		t.Helper()
		_, port, _ := net.SplitHostPort(g.Listener.Addr().String())
		fresh := filepath.Join(home, "fresh")
		if err := os.WriteFile(fresh, []byte("CATTLE_ACCESS_KEY='access'\nCATTLE_AGENT_PORT='"+port+"'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(home, "agent.env")); err != nil {
			t.Fatal(err)
		}
	}
	tunnel(first)
	run(t, agent.Config{URL: "http://localhost:1/v1", Tunnel: true, Home: home, AccessKey: "access", SecretKey: "secret"})
	l := first.accept(t)
	slow := first.command(wire.ComputeInstanceActivate, "a", `"simDelayMillis":3000`)
	l.send(slow)
	l.send(slow)
	receive(t, l.frames) // progress: it is in work
	tunnel(second)
	receive(t, l.closed)
	next := receive(t, second.links)
	if got := next.answer(*slow.ReplyTo); got.PreviousIDs[0] != slow.ID {
		t.Errorf("it answers %v", got.PreviousIDs)
	}
}

func TestSilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	run(t, agent.Config{URL: g.URL, AccessKey: "k", Silence: 200 * time.Millisecond})
	first := receive(t, g.links)
	receive(t, first.closed)
	receive(t, g.links)
}

func TestWebSocketPingIsAnswered(t *testing.T) {
	t.Parallel()
	_, l := start(t)
	if err := l.conn.WritePing([]byte("there?")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, l.pongs); got != "there?" {
		t.Errorf("got %q", got)
	}
}

func TestTokenIsExchangedForKeysOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var posts, gets atomic.Int32
	var key atomic.Value
	g.mux.HandleFunc("GET /v1/register", func(w http.ResponseWriter, r *http.Request) {
		user, token, _ := r.BasicAuth()
		if user != "registrationToken" || token != "T" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch gets.Add(1); {
		case posts.Load() == 0 || key.Load() != r.URL.Query().Get("key"):
			fmt.Fprint(w, `{"type":"collection","data":[]}`)
		case gets.Load() < 3:
			fmt.Fprint(w, `{"data":[{"id":"1r1","accessKey":null}]}`)
		default:
			fmt.Fprint(w, `{"data":[{"id":"1r1","accessKey":"AK","secretKey":"SK"}]}`)
		}
	})
	g.mux.HandleFunc("POST /v1/register", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Key string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		key.Store(body.Key)
		posts.Add(1)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"1r1"}`)
	})
	config := agent.Config{URL: g.URL + "/v1", Token: "T", Home: t.TempDir()}
	end := run(t, config)
	access, secret, _ := g.accept(t).request.BasicAuth()
	if access != "AK" || secret != "SK" || posts.Load() != 1 {
		t.Errorf("got %q, %q after %d registrations", access, secret, posts.Load())
	}
	end()
	asked := gets.Load()
	run(t, config)
	g.accept(t)
	if gets.Load() != asked {
		t.Error("registered again although it has keys")
	}
	files, _ := filepath.Glob(filepath.Join(config.Home, ".*"))
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestRefusedTokenEndsTheAgent(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.mux.HandleFunc("GET /v1/register", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	err := agent.Run(t.Context(), agent.Config{URL: g.URL, Token: "bad", Home: t.TempDir(), Drivers: []string{"sim"}})
	if err == nil || !strings.Contains(err.Error(), "token is not valid") {
		t.Errorf("got %v", err)
	}
}

func TestServerWithoutLoginsGetsToKnowTheHost(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var made atomic.Value
	g.mux.HandleFunc("GET /v1/agents", func(w http.ResponseWriter, r *http.Request) {
		row, _ := made.Load().(map[string]any)
		if row == nil || row["uuid"] != r.URL.Query().Get("uuid") {
			fmt.Fprint(w, `{"data":[]}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"id":"1a5"}]}`)
	})
	g.mux.HandleFunc("POST /v1/agents", func(w http.ResponseWriter, r *http.Request) {
		if made.Load() != nil {
			t.Error("made twice")
		}
		var row map[string]any
		_ = json.NewDecoder(r.Body).Decode(&row)
		made.Store(row)
		fmt.Fprint(w, `{"id":"1a5"}`)
	})
	config := agent.Config{URL: g.URL, Home: t.TempDir(), Hostname: "node1"}
	end := run(t, config)
	l := g.accept(t)
	row := made.Load().(map[string]any)
	if row["uri"] != "event://"+l.hello.Hello.AgentUUID || row["name"] != "node1" || row["managedConfig"] != false {
		t.Errorf("made %v", row)
	}
	end()
	run(t, config)
	l = g.accept(t)
	if _, _, login := l.request.BasicAuth(); login || l.request.URL.Query().Get("agentId") != "1a5" {
		t.Errorf("connected with %s, login %v", l.request.URL, login)
	}
}

func TestConfigurationItemsOfThisProgramAreReported(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	reported := make(chan string, 10)
	g.mux.HandleFunc("PUT /v1/configcontent/{item}", func(_ http.ResponseWriter, r *http.Request) {
		reported <- r.PathValue("item") + " " + r.URL.Query().Get("version")
	})
	update := g.command(wire.ConfigUpdate, "", "")
	update.Data = json.RawMessage(`{"configUrl":"x","items":[{"name":"pyagent","requestedVersion":1}]}`)
	if got := l.ask(update); got.Transitioning != nil {
		t.Errorf("got %+v", got)
	}
	if got := receive(t, reported); got != "pyagent latest" {
		t.Errorf("reported %q", got)
	}
	update = g.command(wire.ConfigUpdate, "", "")
	update.Data = json.RawMessage(`{"items":[{"name":"host-iptables"}]}`)
	if got := l.ask(update); wire.Value(got.Transitioning) != wire.Failure {
		t.Errorf("got %+v", got)
	}
}

func TestServerWithACertificateOfItsOwnAuthority(t *testing.T) {
	t.Parallel()
	g := serve(t, httptest.NewTLSServer)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, agent.Config{URL: g.URL, AccessKey: "k", CAFile: authority})
	if l := g.accept(t); l.request.TLS == nil {
		t.Error("connected without TLS")
	}
}

func TestHostWithoutEngineServesTheOthers(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	t.Setenv("CATTLE_DOCKER_REQUIRED", "false")
	g := newGateway(t)
	run(t, agent.Config{URL: g.URL, AccessKey: "k", Drivers: []string{"docker", "sim"}, Patience: time.Second})
	l := g.accept(t)
	var pong wire.PingData
	if err := json.Unmarshal(l.ask(g.ping(`{"options":{"resources":true,"instances":true}}`)).Data, &pong); err != nil {
		t.Fatal(err)
	}
	if len(pong.Resources) != 3 || pong.Resources[0].Kind != "sim" || !pong.Options.Instances {
		t.Errorf("reported %+v", pong)
	}
	command := g.command(wire.ComputeInstanceActivate, "a", "")
	command.Data = json.RawMessage(strings.Replace(string(command.Data), "sim", "docker", 1))
	if got := l.ask(command); !strings.Contains(wire.Value(got.TransitioningMessage), "its engine does not answer") {
		t.Errorf("got %s", wire.Value(got.TransitioningMessage))
	}
	if got := l.ask(g.command(wire.ComputeInstanceActivate, "b", "")); got.Transitioning != nil {
		t.Errorf("got %+v", got)
	}
}

// A command for the agent inside an instance goes through this one, whose answer has that
// agent's in it. What nobody is there to hear has no answer, and holds up nothing.
func TestACommandIsHandedToTheAgentInsideAnInstance(t *testing.T) {
	t.Parallel()
	g, l := start(t)
	request := g.command(wire.DelegateRequest, "", "")
	request.Data = json.RawMessage(`{"instanceData":{"uuid":"i"},"event":{"id":"i1","name":"ping","replyTo":"ping.reply","data":{}}}`)
	l.send(request)
	request = g.command(wire.DelegateRequest, "", "")
	request.Data = json.RawMessage(`{"instanceData":{"uuid":"i","agentId":12},"event":{"id":"i1","name":"ping","replyTo":"ping.reply","data":{}}}`)
	got := l.ask(request)
	var inner wire.Event
	if err := json.Unmarshal(got.Data, &inner); err != nil {
		t.Fatal(err)
	}
	if got.Transitioning != nil || inner.Name != "ping.reply" || len(inner.PreviousIDs) != 1 || inner.PreviousIDs[0] != "i1" || inner.ID == "" {
		t.Errorf("got %+v", inner)
	}
}
