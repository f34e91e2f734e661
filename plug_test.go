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

func (p point) String() string {
	return fmt.Sprintf("%s step %d", map[bool]string{true: "after", false: "before"}[p.after], p.step)
}

// engineWay is a way to the Docker engine of this machine on which what an agent asks for
// is counted, and a plug is pulled at one point.
type engineWay struct {
	socket string
	to     http.RoundTripper

	mu    sync.Mutex
	at    point
	pull  func() // nil while nobody waits for the point
	steps []string
	down  bool
}

func newEngineWay(t *testing.T) *engineWay {
	t.Helper()
	dir, err := os.MkdirTemp("", "plug") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &engineWay{socket: filepath.Join(dir, "docker.sock"), to: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", "/var/run/docker.sock")
	}}}
	ln, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return w
}

// arm counts from now on, and pulls at a point.
func (w *engineWay) arm(at point, pull func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.pull, w.steps = at, pull, nil
}

// disarm tells whether the point was come to, and which steps there were.
func (w *engineWay) disarm() (pulled bool, steps []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pulled, steps = w.pull == nil, w.steps
	w.pull, w.steps = nil, nil
	return pulled, steps
}

func (w *engineWay) refuse(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = yes
}

// step counts a request; those by which an agent looks around are none.
func (w *engineWay) step(r *http.Request) int {
	path := r.URL.Path
	if i := strings.Index(path[1:], "/"); i > 0 && strings.HasPrefix(path, "/v1.") {
		path = path[i+1:]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pull == nil || path == "/_ping" || path == "/containers/json" || path == "/info" || path == "/version" || path == "/events" {
		return 0
	}
	w.steps = append(w.steps, r.Method+" "+path)
	return len(w.steps)
}

// pulls pulls the plug if this is the point.
func (w *engineWay) pulls(at point) {
	w.mu.Lock()
	pull := w.pull
	here := pull != nil && at == w.at
	if here {
		w.pull = nil
	}
	w.mu.Unlock()
	if here {
		pull()
	}
}

func (w *engineWay) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	n := w.step(r)
	w.pulls(point{n, false})
	w.mu.Lock()
	down := w.down
	w.mu.Unlock()
	if down || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	to := r.Clone(context.WithoutCancel(r.Context())) // what Docker has heard of it does
	to.RequestURI, to.URL.Scheme, to.URL.Host = "", "http", "docker"
	resp, err := w.to.RoundTrip(to)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	if n > 0 {
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	w.pulls(point{n, true})
	w.mu.Lock()
	down = w.down
	w.mu.Unlock()
	if down || r.Context().Err() != nil {
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

// plugged is a host with all that can be pulled out of it.
type plugged struct {
	t       *testing.T
	p       *program // the API
	engine  *engineWay
	cable   *faulty.Proxy // from the agent to its gateway
	agent   *program
	restart func() *program // of the agent
	gateway *program
	another func() *program // a gateway at the same address
	host    string
	network string         // in which a container has an address of Docker's
	apart   sync.WaitGroup // who mends what was pulled
}

// plug is what is pulled, and mended a moment later.
type plug struct {
	name string
	pull func(h *plugged)
	// beside says that the agent works on while it is out: after a step is then as good as
	// before the next. Who loses his connection again and again is slower to come back each
	// time, so that each point has a host of its own.
	beside bool
}

var plugs = []plug{
	{"Docker", func(h *plugged) {
		h.engine.refuse(true)
		h.mend(func() { h.engine.refuse(false) })
	}, false},
	{"the agent", func(h *plugged) {
		h.agent.kill()
		h.mend(func() { h.agent = h.restart() })
	}, false},
	{"the gateway", func(h *plugged) {
		h.gateway.kill()
		h.mend(func() { h.gateway = h.another() })
	}, true},
	{"the network", func(h *plugged) {
		h.cable.Refuse(true)
		h.mend(func() { h.cable.Refuse(false) })
	}, true},
	{"the network, without a word", func(h *plugged) {
		h.cable.Stall(true)
		h.mend(func() { h.cable.Stall(false) })
	}, false},
}

func (h *plugged) mend(f func()) {
	h.apart.Go(func() {
		<-time.After(700 * time.Millisecond)
		f()
	})
}

// host joins one more host to an installation in parts.
func (in *installation) plugged(t *testing.T, p *program) *plugged {
	t.Helper()
	in, p = &installation{t, in.env}, &program{t: t, url: p.url}
	h := &plugged{t: t, p: p, engine: newEngineWay(t)}
	port := freePort(t)
	h.another = func() *program { return in.part("gateway", "CATTLE_HTTP_PORT="+port) }
	h.gateway = h.another()
	h.cable = way(t, strings.TrimPrefix(balanced(p, h.gateway), "http://"), nil)
	name := "plugged-" + port
	env := []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HOSTNAME=" + name, "DOCKER_HOST=unix://" + h.engine.socket}
	h.restart = func() *program {
		return start(t, env, "agent", "--url", "http://"+h.cable.Address(), "--drivers", "docker")
	}
	h.agent = h.restart()
	until(t, "the host to join", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/hosts?kind=docker&state=active&name_prefix=" + name) {
			h.host = o.id()
		}
		for _, o := range p.list("/v1/networks?uuid=unmanaged&state=active") {
			h.network = o.id()
		}
		return h.host != "" && h.network != ""
	})
	return h
}

// agrees waits until the host has of a container what the record says.
func (h *plugged) agrees(path, uuid, state, what string) {
	h.t.Helper()
	last := ""
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s: %s", what, last)
		}
	}()
	until(h.t, what+": the host and the record to agree", 60*time.Second, func() bool {
		_, o := h.p.ask("GET", path, nil)
		out, err := exec.Command("docker", "ps", "-a", "--no-trunc", "--filter", "label=io.cattle.instance.uuid="+uuid, "--format", "{{.ID}}").Output()
		if err != nil {
			h.t.Fatal(err)
		}
		ids := strings.Fields(string(out))
		last = fmt.Sprintf("%s, %v, %v; on the host: %v", o.state(), o["transitioning"], o["transitioningMessage"], ids)
		switch {
		case o.state() != state || o["transitioning"] == "yes":
			return false
		case state == "purged":
			return len(ids) == 0
		case len(ids) == 1:
			var there []struct {
				State           struct{ Running bool }
				NetworkSettings struct{ IPAddress string }
			}
			if json.Unmarshal([]byte(docker(h.t, "inspect", ids[0])), &there) != nil || len(there) != 1 {
				return false
			}
			last += fmt.Sprintf(" %+v %v", there[0], o["primaryIpAddress"])
			return there[0].State.Running && o["primaryIpAddress"] == there[0].NetworkSettings.IPAddress
		}
		return false
	})
}

// A plug is pulled at each step of what the agent does with Docker to start a container and
// to remove it, before and after the step, and put in again: in the end the container runs,
// once, or is gone, as the record says.
func TestAPlugIsPulledAtEachStep(t *testing.T) {
	t.Parallel()
	needEngine(t)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t),
		"CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=2000"}}
	p := in.part("api,worker,scheduler")
	for _, plug := range plugs {
		t.Run(plug.name, func(t *testing.T) {
			t.Parallel()
			var h *plugged
			for step, more := 1, true; more; step++ {
				for _, after := range []bool{false, true} {
					if plug.beside && after {
						continue
					}
					if h == nil || plug.beside {
						h = in.plugged(t, p)
					}
					more = h.tell(point{step, after}, func() { plug.pull(h) })
				}
			}
		})
	}
}

// tell starts a container and removes it, and pulls at a point of the one, then of the
// other; more tells whether the point was come to.
func (h *plugged) tell(at point, pull func()) (more bool) {
	h.engine.arm(at, pull)
	status, c := h.p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "command": "sleep", "commandArgs": []string{"300"}, "requestedHostId": h.host,
		"networkIds": []string{h.network}})
	if status != 201 {
		h.t.Fatalf("refused: %v", c)
	}
	uuid, _ := c["uuid"].(string)
	path := "/v1/containers/" + c.id()
	h.t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", uuid).Run() })
	h.agrees(path, uuid, "running", "a start, "+at.String())
	started, _ := h.engine.disarm()
	h.apart.Wait()
	h.engine.arm(at, pull)
	h.p.ask("DELETE", path, nil)
	until(h.t, "it to be removed", 60*time.Second, func() bool { _, o := h.p.ask("GET", path, nil); return o.state() == "removed" })
	volume := "/v1/volumes/" + h.p.list(path + "/volumes")[0].id()
	h.p.ask("POST", volume+"/?action=purge", object{})
	h.agrees(volume, uuid, "purged", "a removal, "+at.String())
	removed, steps := h.engine.disarm()
	h.apart.Wait()
	h.t.Logf("%s: a start, %v, and a removal, %v, of which the last had the steps %q", at, started, removed, steps)
	return started || removed
}
