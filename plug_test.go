package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cattleio/cattle/localdev/faulty"
	"github.com/cattleio/cattle/shared/testkit"
)

// point is a step of an agent's work: what it asks Docker for, counted from the beginning
// of the work, before Docker hears of it or after Docker has done it.
type point struct {
	step  int
	after bool
}

// never is no step of any work.
var never = point{-1, false}

func (p point) String() string {
	if p == never {
		return "undisturbed"
	}
	return fmt.Sprintf("%s step %d", map[bool]string{true: "after", false: "before"}[p.after], p.step)
}

// steps counts what an agent does, and a plug is pulled at one point of it.
type steps struct {
	mu    sync.Mutex
	at    point
	pull  func() // nil while nobody waits for the point
	taken []string
	down  bool
}

// arm counts from now on, and pulls at a point.
func (s *steps) arm(at point, pull func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.pull, s.taken = at, pull, nil
}

// disarm tells whether the point was come to, and which steps there were.
func (s *steps) disarm() (pulled bool, taken []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pulled, taken = s.pull == nil, s.taken
	s.pull, s.taken = nil, nil
	return pulled, taken
}

func (s *steps) refuse(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = yes
}

func (s *steps) refuses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// take counts a step; 0 while nobody waits for one.
func (s *steps) take(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pull == nil {
		return 0
	}
	s.taken = append(s.taken, what)
	return len(s.taken)
}

// pulls pulls the plug if this is the point.
func (s *steps) pulls(at point) {
	s.mu.Lock()
	pull := s.pull
	here := pull != nil && at == s.at
	if here {
		s.pull = nil
	}
	s.mu.Unlock()
	if here {
		pull()
	}
}

// engineWay is a way to the Docker engine of this machine on which what an agent asks for
// is counted.
type engineWay struct {
	steps
	socket, engine string
	to             http.RoundTripper
}

// engineSocket is where the engine of this machine is asked.
func engineSocket() string {
	if at, given := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); given {
		return at
	}
	return "/var/run/docker.sock"
}

func newEngineWay(t *testing.T, engine string) *engineWay {
	t.Helper()
	w := &engineWay{engine: engine, to: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engine)
	}}}
	var ln net.Listener
	ln, w.socket = listenUnix(t)
	server := &http.Server{Handler: w}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return w
}

// listenUnix listens at a path that is short enough.
func listenUnix(t *testing.T) (ln net.Listener, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "plug")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "sock")
	if ln, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	return ln, path
}

// step counts a request; those by which an agent looks around are none.
func (w *engineWay) step(r *http.Request) int {
	path := r.URL.Path
	if i := strings.Index(path[1:], "/"); i > 0 && strings.HasPrefix(path, "/v1.") {
		path = path[i+1:]
	}
	if path == "/_ping" || path == "/containers/json" || path == "/info" || path == "/version" || path == "/events" {
		return 0
	}
	return w.take(r.Method + " " + path)
}

// changing lets an engine do little at a time: one of the versions that are about takes
// locks in two orders when many containers leave a network at once, and stands still for ever.
var changing = make(chan struct{}, 2)

func (w *engineWay) ask(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/wait") {
		changing <- struct{}{}
		defer func() { <-changing }()
	}
	return w.to.RoundTrip(r)
}

func (w *engineWay) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	n := w.step(r)
	w.pulls(point{n, false})
	if w.refuses() || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	to := r.Clone(context.WithoutCancel(r.Context())) // what Docker has heard of it does
	to.RequestURI, to.URL.Scheme, to.URL.Host = "", "http", "docker"
	resp, err := w.ask(to)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	if n > 0 {
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	w.pulls(point{n, true})
	if w.refuses() || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		out.Header()[name] = values
	}
	out.WriteHeader(resp.StatusCode)
	buffer := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			_, _ = out.Write(buffer[:n])
			_ = http.NewResponseController(out).Flush()
		}
		if err != nil {
			return
		}
	}
}

func (w *engineWay) kind() string { return "docker" }

func (w *engineWay) agent(_, program string, args ...string) (env, command []string) {
	return []string{"DOCKER_HOST=unix://" + w.socket}, append([]string{program}, args...)
}

// instance is in a network in which it has an address of Docker's.
func (w *engineWay) instance(h *plugged) (kind string, body object) {
	networks := h.p.list("/v1/networks?uuid=unmanaged&state=active")
	if len(networks) != 1 {
		h.t.Fatalf("the networks are %v", networks)
	}
	return "containers", object{"instanceTriggeredStop": "restart", "imageUuid": "docker:" + image, "command": "sh", "commandArgs": []string{"-c", "trap exit TERM; sleep 300 & wait"},
		"networkIds": []string{networks[0].id()}}
}

func (w *engineWay) docker(args ...string) ([]byte, error) {
	return exec.Command("docker", append([]string{"-H", "unix://" + w.engine}, args...)...).Output()
}

func (w *engineWay) forget(uuid string) { _, _ = w.docker("rm", "-f", uuid) }

func (w *engineWay) has(h *plugged, o object) (n int, same bool, seen string) {
	out, err := w.docker("ps", "-a", "--no-trunc", "--filter", "label=io.cattle.instance.uuid="+h.uuid, "--format", "{{.ID}}")
	if err != nil {
		return -1, false, err.Error()
	}
	ids := strings.Fields(string(out))
	if len(ids) != 1 {
		return len(ids), false, fmt.Sprint(ids)
	}
	var there []struct {
		State           struct{ Running bool }
		NetworkSettings struct{ IPAddress string }
	}
	if out, err := w.docker("inspect", ids[0]); err != nil || json.Unmarshal(out, &there) != nil || len(there) != 1 {
		return 1, false, "it has just gone"
	}
	return 1, there[0].State.Running && o["primaryIpAddress"] == there[0].NetworkSettings.IPAddress, fmt.Sprintf("%+v", there[0])
}

// machinery is what a host runs its instances with.
type machinery interface {
	arm(at point, pull func())
	disarm() (pulled bool, taken []string)
	refuse(yes bool)
	// kind is that of the hosts.
	kind() string
	// agent is how an agent with that home is started that uses it.
	agent(home, program string, args ...string) (env, command []string)
	// instance is what is asked for.
	instance(h *plugged) (collection string, body object)
	// has tells how much there is of the instance, -1 when nobody knows, and whether it is as the record says.
	has(h *plugged, o object) (n int, same bool, seen string)
	// forget removes it in any case.
	forget(uuid string)
}

// plugged is a host with all that can be pulled out of it.
type plugged struct {
	t       *testing.T
	p       *program // the API
	name    string
	home    string
	engine  machinery
	cable   *faulty.Proxy // from the agent to its gateway, unless it has an island
	island  *island
	agent   *program
	restart func() *program // of the agent
	gateway *program
	another func() *program // a gateway at the same address
	host    string

	at     point // where the plug is pulled
	pull   func(h *plugged)
	apart  sync.WaitGroup // who mends what was pulled
	came   bool           // to the point
	limit  time.Time      // of the present part of the story
	uuid   string         // of the instance
	path   string
	volume string
}

// plug is what is pulled, and mended a moment later.
type plug struct {
	name string
	// ways are in how many ways it is pulled, each at each point.
	ways []func(h *plugged)
	// beside says that the agent works on while it is out: after a step is then as good as
	// before the next.
	beside bool
	// own is what a host has for itself, so that it may be pulled.
	own equipment
}

type equipment int

const (
	ownCable equipment = iota
	ownGateway
	ownIsland // a network of its own
)

var plugs = []plug{
	{name: "Docker", ways: []func(h *plugged){pullEngine}},
	{name: "the agent", ways: []func(h *plugged){pullAgent}},
	{name: "the gateway", beside: true, own: ownGateway, ways: []func(h *plugged){pullGateway}},
	{name: "the network", beside: true, ways: []func(h *plugged){pullNetwork}},
	{name: "the network, without a word", beside: true, ways: []func(h *plugged){stallNetwork}},
	{name: "the network, both ways and one way only", beside: true, own: ownIsland, ways: []func(h *plugged){
		func(h *plugged) { h.loses(true, true) }, func(h *plugged) { h.loses(true, false) }, func(h *plugged) { h.loses(false, true) },
	}},
}

func pullEngine(h *plugged) {
	h.engine.refuse(true)
	h.mend(aMoment, func() { h.engine.refuse(false) })
}

func pullAgent(h *plugged) {
	h.agent.kill()
	h.mend(aMoment, func() { h.agent = h.restart() })
}

func pullGateway(h *plugged) {
	h.gateway.kill()
	h.mend(aMoment, func() { h.gateway = h.another() })
}

func pullNetwork(h *plugged) {
	h.cable.Refuse(true)
	h.mend(aMoment, func() { h.cable.Refuse(false) })
}

func stallNetwork(h *plugged) {
	h.cable.Stall(true)
	h.mend(aMoment, func() { h.cable.Stall(false) })
}

// aMoment is over before anybody gives up a connection on which nothing comes; aWhile is not.
const aMoment, aWhile = 700 * time.Millisecond, cableTime + 2*time.Second

func (h *plugged) loses(out, in bool) {
	h.island.lose(out, in)
	h.mend(aWhile, h.island.heal)
}

func (h *plugged) mend(after time.Duration, f func()) {
	h.apart.Go(func() {
		<-time.After(after)
		f()
	})
}

// plugged starts one more host of an installation in parts. shared is the gateway for those
// that have none of their own.
func (in *installation) plugged(t *testing.T, p, shared *program, engine machinery, own equipment) *plugged {
	t.Helper()
	in, p = &installation{t, in.env}, &program{t: t, url: p.url}
	port := freePort(t)
	h := &plugged{t: t, p: p, name: "plugged-" + port, home: t.TempDir(), engine: engine, island: mainland(t), gateway: shared}
	server := shared.url
	switch own {
	case ownGateway:
		h.another = func() *program { return in.part("gateway", "CATTLE_HTTP_PORT="+port) }
		h.gateway = h.another()
		server = balanced(p, h.gateway)
	case ownIsland:
		h.island = newIsland(t)
		server = strings.Replace(server, "127.0.0.1", h.island.server, 1)
	case ownCable:
		h.cable = way(t, strings.TrimPrefix(server, "http://"), nil)
		server = "http://" + h.cable.Address()
	}
	env, args := engine.agent(h.home, os.Args[0], "agent", "--url", server, "--drivers", engine.kind())
	env, args = append([]string{"CATTLE_HOME=" + h.home, "CATTLE_HOSTNAME=" + h.name}, env...), h.island.inside(args...)
	h.restart = func() *program { return startFrom(t, args[0], env, args[1:]...) }
	h.agent = h.restart()
	return h
}

func (h *plugged) joins() {
	h.t.Helper()
	until(h.t, "the host to join", 2*time.Minute, func() bool {
		for _, o := range h.p.list("/v1/hosts?state=active&kind=" + h.engine.kind() + "&name_prefix=" + h.name) {
			h.host = o.id()
		}
		return h.host != ""
	})
}

// agrees waits until the host has of an instance what the record says.
func (h *plugged) agrees(path, state, what string) {
	h.t.Helper()
	last := ""
	what += ", " + h.at.String()
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s: %s", what, last)
		}
	}()
	until(h.t, what+": the host and the record to agree", time.Until(h.limit), func() bool {
		_, o := h.p.ask("GET", path, nil)
		last = fmt.Sprintf("%s, %v, %v", o.state(), o["transitioning"], o["transitioningMessage"])
		if o.state() != state || o["transitioning"] == "yes" {
			return false
		}
		n, same, seen := h.engine.has(h, o)
		last += fmt.Sprintf("; on the host: %d %s", n, seen)
		return n == 0 && state == "purged" || n == 1 && state == "running" && same
	})
}

// A plug is pulled at each step of what the agent does with Docker to start a container and
// to remove it, before and after the step, and put in again: in the end the container runs,
// once, or is gone, as the record says. Each point has a host of its own, and all hosts go
// through the story together.
func TestAPlugIsPulledAtEachStep(t *testing.T) {
	t.Parallel()
	needEngine(t)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t),
		"CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=2000", "CATTLE_API_SECURITY_ENABLED=false"}}
	p, gateway := in.part("api,worker,scheduler"), in.part("api,gateway", "CATTLE_HTTP_HOST=0.0.0.0")
	in.pulled(t, plugs, p, gateway, func(t *testing.T) machinery { return newEngineWay(t, engineSocket()) })
}

// pulled tells the story of each plug, at all points that there are.
func (in *installation) pulled(t *testing.T, plugs []plug, p, gateway *program, engine func(t *testing.T) machinery) {
	undisturbed := in.plugged(t, p, gateway, engine(t), ownCable)
	undisturbed.at = never
	steps := tell(undisturbed)
	t.Logf("a start has the steps %q, a removal %q", steps[0], steps[1])
	for _, plug := range plugs {
		t.Run(plug.name, func(t *testing.T) {
			t.Parallel()
			var hosts []*plugged
			for _, pull := range plug.ways {
				for step := range max(len(steps[0]), len(steps[1])) {
					for _, after := range []bool{false, true} {
						if plug.beside && after {
							continue
						}
						h := in.plugged(t, p, gateway, engine(t), plug.own)
						h.at, h.pull = point{step + 1, after}, pull
						hosts = append(hosts, h)
					}
				}
			}
			tell(hosts...)
			for _, h := range hosts {
				if !h.came {
					t.Errorf("there was no point %s", h.at)
				}
			}
		})
	}
}

// tell starts an instance on each host and removes it, and pulls at the point of the host in
// the one, then in the other. It answers with the most steps that each has had.
func tell(hosts ...*plugged) (steps [2][]string) {
	for _, h := range hosts {
		h.joins()
	}
	begin := time.Now()
	for _, h := range hosts {
		kind, body := h.engine.instance(h)
		body["requestedHostId"] = h.host
		h.arm()
		status, c := h.p.ask("POST", "/v1/"+kind, body)
		if status != 201 {
			h.t.Fatalf("refused: %v", c)
		}
		h.uuid, _ = c["uuid"].(string)
		h.path = "/v1/" + kind + "/" + c.id()
		h.t.Cleanup(func() { h.engine.forget(h.uuid) })
	}
	for _, h := range hosts {
		h.agrees(h.path, "running", "a start")
		steps[0] = h.disarm(steps[0])
	}
	for _, h := range hosts { // what was pulled for the others has had no lasting effect
		h.agrees(h.path, "running", "a start")
	}
	started := time.Now()
	for _, h := range hosts {
		h.arm()
		h.p.ask("DELETE", h.path, nil)
	}
	for _, h := range hosts {
		until(h.t, "it to be removed", time.Until(h.limit), func() bool { _, o := h.p.ask("GET", h.path, nil); return o.state() == "removed" })
		h.volume = "/v1/volumes/" + h.p.list(h.path + "/volumes")[0].id()
		h.p.ask("POST", h.volume+"/?action=purge", object{})
	}
	for _, h := range hosts {
		h.agrees(h.volume, "purged", "a removal")
		steps[1] = h.disarm(steps[1])
	}
	hosts[0].t.Logf("on %d hosts all starts took %s, all removals %s", len(hosts), started.Sub(begin).Round(10*time.Millisecond), time.Since(started).Round(10*time.Millisecond))
	return steps
}

func (h *plugged) arm() {
	h.limit = time.Now().Add(aWhile + 60*time.Second)
	h.engine.arm(h.at, func() { h.pull(h) })
}

// disarm ends a part of the story, and gives its steps if they are the most.
func (h *plugged) disarm(most []string) []string {
	pulled, steps := h.engine.disarm()
	h.apart.Wait()
	h.came = h.came || pulled
	if len(steps) > len(most) {
		return steps
	}
	return most
}
