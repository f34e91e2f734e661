package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/testkit"
)

// TestMain lets the test binary be the program as well: a story starts it again as
// a server, an agent or a part, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	if os.Getenv("CATTLE_TEST_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitCode(err))
	}
}

// program is a process of ours that a story has started.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	log  *tail
	done chan struct{}
}

// tail keeps the end of what a program says, for the story's failure.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > 1<<20 {
		l.buf.Reset()
	}
	return l.buf.Write(b)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs the program with arguments and variables, and ends it with the test.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	return startFrom(t, os.Args[0], env, args...)
}

// startFrom is start for a program in a file of its own.
func startFrom(t *testing.T, path string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append(append(os.Environ(), "CATTLE_TEST_PROGRAM=1"), env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			_, _ = p.log.Write(append(s.Bytes(), '\n'))
			select {
			case lines <- s.Text():
			default:
			}
		}
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(args, " "), p.log)
		}
	})
	if args[0] == "server" {
		p.ready(lines)
	}
	return p
}

// ready waits for the server to say that it serves.
func (p *program) ready(lines chan string) {
	p.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		select {
		case line := <-lines:
			var port int
			if _, err := fmt.Sscanf(line, "Startup Succeeded, Listening on port %d", &port); err == nil {
				p.url = fmt.Sprintf("http://127.0.0.1:%d", port)
				return
			}
		case <-p.done:
			p.t.Fatalf("the server ended: %s", p.log)
		case <-limit:
			p.t.Fatalf("the server does not serve: %s", p.log)
		}
	}
}

// kill ends the program without a word to it.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// installation is where a server keeps its things: it can be started there again.
type installation struct {
	t   *testing.T
	env []string
}

// installations runs a story on the embedded databases and on real ones.
func installations(t *testing.T, story func(t *testing.T, in *installation)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		story(t, &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}})
	})
	t.Run("postgres and redis", func(t *testing.T) {
		t.Parallel()
		story(t, &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t),
			"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}})
	})
}

func (in *installation) start(args ...string) *program {
	in.t.Helper()
	return start(in.t, in.env, append([]string{"server"}, args...)...)
}

// nextPort is below the range from which the kernel takes the ports of outgoing
// connections: one of those could take a port between our look and the server's.
var nextPort atomic.Int64

// freePort finds a port that nobody uses, and gives it once.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(10_000 + (int64(os.Getpid())*97+nextPort.Add(1))%20_000)
		if ln, err := net.Listen("tcp", ":"+port); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return ""
}

// object is a resource as a client reads it.
type object map[string]any

func (o object) id() string    { s, _ := o["id"].(string); return s }
func (o object) state() string { s, _ := o["state"].(string); return s }

// ask sends a request and returns the status and the answer.
func (p *program) ask(method, path string, body any) (int, object) {
	p.t.Helper()
	status, o, err := p.try(method, path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return status, o
}

func (p *program) try(method, path string, body any) (int, object, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, p.url+path, text)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	o := object{}
	if err := json.Unmarshal(b, &o); err != nil {
		return resp.StatusCode, nil, fmt.Errorf("%s %s answers %d and no JSON: %q", method, path, resp.StatusCode, b)
	}
	return resp.StatusCode, o, nil
}

// list reads a whole collection.
func (p *program) list(path string) []object {
	p.t.Helper()
	var out []object
	for path != "" {
		_, o := p.ask("GET", path, nil)
		data, _ := o["data"].([]any)
		for _, d := range data {
			out = append(out, object(d.(map[string]any)))
		}
		path = ""
		if page, _ := o["pagination"].(map[string]any); page != nil {
			if next, _ := page["next"].(string); next != "" {
				path = strings.TrimPrefix(next, p.url)
			}
		}
	}
	return out
}

// until polls for a condition.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	if !comes(limit, ok) {
		t.Fatalf("waited %s in vain for %s", patience*limit, what)
	}
}

// patience is how many times longer than a machine of its own would take a condition may
// take, while many stories share one.
const patience = 2

// comes waits for a condition. It looks ever less often, so that those who wait leave the
// machine to those who work.
func comes(limit time.Duration, ok func() bool) bool {
	end := time.Now().Add(patience * limit)
	for pause := 5 * time.Millisecond; !ok(); pause = min(pause*5/4, 50*time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
		<-time.After(pause)
	}
	return true
}

// becomes waits for a resource to rest in a state.
func (p *program) becomes(path, state string) object {
	p.t.Helper()
	var o object
	look := func() bool {
		_, o = p.ask("GET", path, nil)
		return o.state() == state || o["transitioning"] == "error"
	}
	if !comes(45*time.Second, look) || o.state() != state {
		p.t.Fatalf("%s is %s, not %s: %v", path, o.state(), state, o["transitioningMessage"])
	}
	return o
}

// active makes a resource, waits until it is active and returns its id.
func (p *program) active(typ string, values object) string {
	p.t.Helper()
	status, o := p.ask("POST", "/v1/"+typ, values)
	if status != 201 {
		p.t.Fatalf("%s is refused: %v", typ, o)
	}
	p.becomes("/v1/"+typ+"/"+o.id(), "active")
	return o.id()
}

// simulators joins hosts that the server plays.
func (p *program) simulators(n int) {
	p.t.Helper()
	for i := range n {
		uuid := fmt.Sprintf("sim%d", i)
		if status, o := p.ask("POST", "/v1/agents", object{"uri": "sim://" + uuid, "uuid": uuid, "managedConfig": false}); status != 201 {
			p.t.Fatalf("an agent was refused: %v", o)
		}
	}
	p.hosts(n, "")
}

// hosts waits until there are n hosts that a filter finds, and work may be given to them:
// a host is there before its agent is ready.
func (p *program) hosts(n int, filter string) {
	p.t.Helper()
	until(p.t, "the hosts to join", 30*time.Second, func() bool {
		return len(p.list("/v1/hosts?state=active"+filter)) == n && len(p.list("/v1/agents?state=activating")) == 0
	})
}

func TestAContainerFromTheFirstRequestToTheLast(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		status, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:demo", "name": "one", "command": "sleep", "commandArgs": []string{"120"}})
		if status != 201 || c.state() != "creating" || c["transitioning"] != "yes" {
			t.Fatalf("a create answers %d: %v", status, c)
		}
		path := "/v1/containers/" + c.id()
		c = p.becomes(path, "running")
		actions, _ := c["actions"].(map[string]any)
		if len(actions) != 4 || actions["stop"] == nil || actions["restart"] == nil || actions["migrate"] == nil || actions["update"] == nil {
			t.Errorf("a running container offers %v", actions)
		}
		if hosts := p.list(path + "/hosts"); len(hosts) != 1 {
			t.Errorf("it runs on %d hosts", len(hosts))
		}
		for _, step := range []struct{ action, state string }{
			{"stop", "stopped"}, {"start", "running"}, {"restart", "running"}, {"stop", "stopped"},
		} {
			if status, o := p.ask("POST", path+"/?action="+step.action, object{}); status != 202 {
				t.Fatalf("%s answers %d: %v", step.action, status, o)
			}
			until(t, step.action, 30*time.Second, func() bool {
				_, o := p.ask("GET", path, nil)
				return o.state() == step.state
			})
		}
		if status, _ := p.ask("DELETE", path, nil); status != 200 {
			t.Fatalf("a delete answers %d", status)
		}
		p.becomes(path, "removed")
		p.ask("POST", path+"/?action=restore", object{})
		p.becomes(path, "stopped")
		p.ask("DELETE", path, nil)
		p.becomes(path, "removed")
		p.ask("POST", path+"/?action=purge", object{})
		p.becomes(path, "purged")
	})
}

func TestWrongRequestsGetClearErrors(t *testing.T) {
	t.Parallel()
	p := (&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}).start()
	p.simulators(1)
	_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
	path := "/v1/containers/" + c.id()
	p.becomes(path, "running")
	for _, x := range []struct {
		method, path string
		body         any
		status       int
		code, field  string
	}{
		{"POST", "/v1/containers", object{}, 422, "MissingRequired", "imageUuid"},
		{"POST", "/v1/containers", object{"imageUuid": "nothing"}, 422, "InvalidReference", "imageUuid"},
		{"POST", "/v1/containers", object{"imageUuid": "sim:x", "instanceTriggeredStop": "maybe"}, 422, "InvalidOption", "instanceTriggeredStop"},
		{"POST", "/v1/containers", object{"imageUuid": "sim:x", "requestedHostId": "1h99"}, 422, "InvalidReference", "requestedHostId"},
		{"POST", path + "/?action=start", object{}, 422, "ActionNotAvailable", "action"},
		{"POST", path + "/?action=fly", object{}, 422, "InvalidAction", "action"},
		{"GET", "/v1/containers/1i999", nil, 404, "Not Found", ""},
		{"GET", "/v1/unicorns", nil, 404, "Not Found", ""},
		{"GET", "/v2/containers", nil, 422, "UnsupportedVersion", ""},
		{"PATCH", "/v1/containers", nil, 405, "Method not allowed", ""},
		{"LIST", "/v1/containers", nil, 405, "Method not allowed", ""},
		{"POST", "/v1/agents", object{"uri": "sim://sim0"}, 422, "NotUnique", "uri"},
		{"DELETE", "/v1/hosts/" + p.list("/v1/hosts")[0].id(), nil, 409, "Conflict", ""},
	} {
		status, o := p.ask(x.method, x.path, x.body)
		field, _ := o["fieldName"].(string)
		if status != x.status || o["code"] != x.code || field != x.field || o["type"] != "error" {
			t.Errorf("%s %s %v answers %d: %v", x.method, x.path, x.body, status, o)
		}
	}
	if n := len(p.list("/v1/containers")); n != 1 {
		t.Errorf("the refused requests left %d containers", n)
	}
}

// The server is killed while 200 containers start, and started again. On Redis all
// keys are erased every second meanwhile.
func TestKilledWhileTwoHundredStart(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(5)
		stop := in.erase()
		defer stop()
		const wanted = 200
		var mu sync.Mutex
		accepted := map[string]bool{}
		var clients sync.WaitGroup
		post := func(p *program, upTo int) {
			for range 8 {
				clients.Go(func() {
					for {
						mu.Lock()
						full := len(accepted) >= upTo
						mu.Unlock()
						if full {
							return
						}
						status, c, err := p.try("POST", "/v1/containers", object{"imageUuid": "sim:x"})
						if err != nil {
							return // killed
						}
						if status == 201 {
							mu.Lock()
							accepted[c.id()] = true
							mu.Unlock()
						}
					}
				})
			}
		}
		post(p, wanted)
		until(t, "half of them", 60*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return len(accepted) >= wanted/2 })
		p.kill()
		clients.Wait()
		p = in.start()
		post(p, wanted)
		clients.Wait()
		until(t, "all to run", 90*time.Second, func() bool {
			return len(p.list("/v1/containers?limit=1000&state=running")) == len(p.list("/v1/containers?limit=1000"))
		})
		there := map[string]bool{}
		for _, c := range p.list("/v1/containers?limit=1000") {
			there[c.id()] = true
		}
		for id := range accepted {
			if !there[id] {
				t.Errorf("container %s was accepted and is gone", id)
			}
		}
		places := map[any]int{}
		for _, m := range p.list("/v1/instancehostmaps?limit=1000&removed_null") {
			places[m["instanceId"]]++
		}
		for id, n := range places {
			if n != 1 {
				t.Errorf("container %v has %d places", id, n)
			}
		}
		free := 0.0
		for _, h := range p.list("/v1/hosts") {
			free += h["computeFree"].(float64)
		}
		if used := 5_000_000 - int(free); used != len(there) {
			t.Errorf("%d containers use %d units", len(there), used)
		}
		if pending := p.list("/v1/processinstances?endTime_null=true&resourceType=instance"); len(pending) != 0 {
			t.Errorf("%d processes are pending", len(pending))
		}
	})
}

// erase empties the installation's Redis every half second, if it has one.
func (in *installation) erase() (stop func()) {
	client := in.redis()
	if client == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				client.FlushDB(ctx)
			}
		}
	}()
	return func() { cancel(); <-done; _ = client.Close() }
}

// redis connects to the installation's Redis; nil if that is inside the server.
func (in *installation) redis() *redis.Client {
	for _, pair := range in.env {
		address, ok := strings.CutPrefix(pair, "CATTLE_REDIS_URL=")
		if !ok {
			continue
		}
		options, err := redis.ParseURL(address)
		if err != nil {
			in.t.Fatal(err)
		}
		return redis.NewClient(options)
	}
	return nil
}

func TestItEndsWithinSecondsWhenAsked(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		for range 20 {
			p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			t.Fatal("the server does not end")
		}
		p = in.start()
		until(t, "the work to go on", 60*time.Second, func() bool { return len(p.list("/v1/containers?state=running")) == 20 })
	})
}

func TestOneServerForAnEmbeddedDatabase(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	(&installation{t, []string{"CATTLE_HOME=" + home, "CATTLE_HTTP_PORT=" + freePort(t)}}).start()
	cmd := exec.Command(os.Args[0], "server")
	cmd.Env = append(os.Environ(), "CATTLE_TEST_PROGRAM=1", "CATTLE_HOME="+home, "CATTLE_HTTP_PORT="+freePort(t))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "another server uses") {
		t.Fatalf("a second server on the same files: %v %s", err, out)
	}
}

func TestSecurityIsOnBeyondLoopback(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_HTTP_HOST=0.0.0.0"}, "server")
	if status, o := p.ask("GET", "/v1/hosts", nil); status != 401 {
		t.Fatalf("a stranger gets %d: %v", status, o)
	}
	var access, secret string
	until(t, "the key to be printed", 5*time.Second, func() bool {
		for _, line := range strings.Split(p.log.String(), "\n") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "CATTLE_ACCESS_KEY="); ok {
				access = v
			}
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "CATTLE_SECRET_KEY="); ok {
				secret = v
			}
		}
		return secret != ""
	})
	req, err := http.NewRequest("GET", p.url+"/v1/hosts", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(access, secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("the administrator gets %s", resp.Status)
	}
}

// The simulator fails what it is told to, by a key in the instance's own data.
func TestAFaultOnDemand(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		for _, command := range []string{"compute.instance.activate", "storage.volume.activate"} {
			_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "data": object{
				command + "::fail": true,
				"io.cattle.platform.process.instance.InstanceStart": object{"computeTries": 1},
			}})
			path := "/v1/containers/" + c.id()
			until(t, "the start to be given up", 45*time.Second, func() bool { _, c = p.ask("GET", path, nil); return c.state() == "removed" })
			if c["transitioning"] != "error" || c["transitioningMessage"] != "Failing ["+command+"]" {
				t.Errorf("the user reads %v: %v", c["transitioning"], c["transitioningMessage"])
			}
		}
	})
}

// Whoever asks why something waits gets the answer in words.
func TestAProcessSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	p := (&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}).start()
	_, a := p.ask("POST", "/v1/agents", object{"uri": "event://nobody", "uuid": "nobody", "managedConfig": false})
	until(t, "the reason", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/processinstances?resourceType=agent&endTime_null=true") {
			w, _ := o["waiting"].(map[string]any)
			text, _ := w["for"].(string)
			if strings.Contains(text, "agent 1 to connect, to answer ping") && w["agentId"] == 1.0 && w["next"] != nil {
				return true
			}
		}
		return false
	})
	if _, o := p.ask("GET", "/v1/agents/"+a.id(), nil); o.state() != "activating" {
		t.Errorf("the agent is %s", o.state())
	}
}
