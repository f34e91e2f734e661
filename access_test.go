package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/api/cli"
	"github.com/cattleio/cattle/shared/testkit"
)

// looker is a user who looks at an instance.
type looker struct {
	gws.BuiltinEventHandler
	t    *testing.T
	conn *gws.Conn
	over chan struct{}

	mu     sync.Mutex
	shown  bytes.Buffer
	beside []string
	code   uint16
	reason string
}

func (l *looker) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Opcode == gws.OpcodeBinary {
		l.shown.Write(m.Bytes())
	} else {
		l.beside = append(l.beside, string(m.Bytes()))
	}
}

func (l *looker) OnClose(_ *gws.Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		l.code, l.reason = closed.Code, string(closed.Reason)
	}
	close(l.over)
}

func (l *looker) sees() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown.String()
}

func (l *looker) types(text string) {
	l.t.Helper()
	if err := l.conn.WriteMessage(gws.OpcodeBinary, []byte(text)); err != nil {
		l.t.Error(err)
	}
}

// ends waits for the end, and tells what was said at it.
func (l *looker) ends() (code uint16, reason string, beside []string) {
	l.t.Helper()
	select {
	case <-l.over:
	case <-time.After(30 * time.Second):
		l.t.Fatalf("it does not end; it shows %.200q", l.sees())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.code, l.reason, l.beside
}

// ticket asks for a look at an instance and returns the address that takes it.
func (p *program) ticket(path, what string, input object) string {
	p.t.Helper()
	status, o := p.ask("POST", path+"/?action="+what, input)
	address, _ := o["url"].(string)
	token, _ := o["token"].(string)
	if status != 200 || o["type"] != "hostAccess" || token == "" {
		p.t.Fatalf("%s is answered with %d %v", what, status, o)
	}
	return address + "?token=" + token
}

// look opens what a ticket is for; reading begins with the returned one's ReadLoop.
func look(t *testing.T, address string) (*looker, error) {
	l := &looker{t: t, over: make(chan struct{})}
	conn, _, err := gws.NewClient(l, &gws.ClientOption{Addr: address, ReadMaxPayloadSize: 1 << 20})
	if err == nil {
		l.conn = conn
		t.Cleanup(func() { _ = conn.NetConn().Close() })
	}
	return l, err
}

func (p *program) look(path, what string, input object) *looker {
	p.t.Helper()
	l, err := look(p.t, p.ticket(path, what, input))
	if err != nil {
		p.t.Fatal(err)
	}
	go l.conn.ReadLoop()
	return l
}

// balanced is the address of whatever stands before an API server and a gateway.
func balanced(p, gateway *program) string {
	if p == gateway {
		return p.url
	}
	to := func(p *program) http.Handler {
		at, err := url.Parse(p.url)
		if err != nil {
			p.t.Fatal(err)
		}
		return httputil.NewSingleHostReverseProxy(at)
	}
	api, streams := to(p), to(gateway)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/subscribe" || r.URL.Path == "/v1/publish" {
			streams.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}))
	p.t.Cleanup(front.CloseClientConnections)
	return front.URL
}

// onAHost starts a container on a host of its own agent, which plays it.
func (p *program) onAHost(gateway *program) (path string, agent *program) {
	p.t.Helper()
	agent = start(p.t, []string{"CATTLE_HOME=" + p.t.TempDir()}, "agent", "--url", balanced(p, gateway), "--drivers", "sim")
	p.hosts(1, "&kind=sim")
	return p.container(object{"imageUuid": "sim:x"}), agent
}

// Logs and commands of a container reach the user through one server or through parts
// of their own, and what the user types reaches the command, whole and in order.
func TestAUserLooksAtAContainer(t *testing.T) {
	t.Parallel()
	story := func(t *testing.T, p, gateway *program) {
		path, agent := p.onAHost(gateway)
		p.becomes(path, "running")
		log := p.look(path, "logs", object{"lines": 1})
		if code, reason, _ := log.ends(); code != 1000 || log.sees() != "it runs\n" {
			t.Errorf("the log is %q, and ends with %d %s", log.sees(), code, reason)
		}
		said := p.look(path, "execute", object{"command": []string{"echo", "hello", "there"}})
		if code, _, beside := said.ends(); code != 1000 || said.sees() != "hello there\n" || len(beside) != 1 || beside[0] != `{"exit":0}` {
			t.Errorf("the command says %q and ends with %d %q", said.sees(), code, beside)
		}
		if _, _, beside := p.look(path, "execute", object{"command": []string{"exit", "3"}}).ends(); len(beside) != 1 || beside[0] != `{"exit":3}` {
			t.Errorf("a command that fails ends with %q", beside)
		}
		echo := p.look(path, "execute", object{"command": []string{"cat"}, "attachStdin": true, "tty": true})
		text := make([]byte, 1_000_000)
		for i := range text {
			text[i] = byte('a' + rand.IntN(26))
		}
		for rest := text; len(rest) > 0; rest = rest[min(len(rest), 70_000):] {
			echo.types(string(rest[:min(len(rest), 70_000)]))
		}
		_ = echo.conn.WriteString(`{"width":80,"height":24}`)
		_ = echo.conn.WriteString(`{"eof":true}`)
		if code, reason, _ := echo.ends(); code != 1000 || echo.sees() != string(text) {
			t.Errorf("of %d bytes %d came back; it ends with %d %s", len(text), len(echo.sees()), code, reason)
		}
		follow := p.look(path, "logs", object{"follow": true})
		until(t, "the log", 10*time.Second, func() bool { return strings.HasSuffix(follow.sees(), "it runs\n") })
		agent.kill()
		if code, reason, _ := follow.ends(); code != 1011 || reason != "the host is away" {
			t.Errorf("with its agent the log ends with %d %q", code, reason)
		}
		until(t, "it is known that the host is away", 10*time.Second, func() bool {
			status, _ := p.ask("POST", path+"/?action=logs", object{})
			return status == 503 || status == 200 // a ticket is of no use then
		})
	}
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		story(t, p, p)
	})
	t.Run("parts", func(t *testing.T) {
		t.Parallel()
		in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
		p, gateway := in.part("api"), in.part("gateway")
		in.part("worker")
		in.part("scheduler")
		story(t, p, gateway)
	})
}

// A ticket is good once and for what it was given for; without one nobody gets in.
func TestATicketIsGoodOnce(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_GATEWAY_CONNECTIONS_MAX=2") // the agent's, and one more
	path, _ := p.onAHost(p)
	if status, o := p.ask("POST", path+"/?action=execute", object{"command": []string{"echo"}}); status == 200 {
		t.Errorf("a container that is not running yet may be entered: %v", o)
	}
	p.becomes(path, "running")
	address := p.ticket(path, "logs", object{})
	first, err := look(t, address)
	if err != nil {
		t.Fatal(err)
	}
	go first.conn.ReadLoop()
	first.ends()
	for what, address := range map[string]string{"a used one": address, "another": address[:len(address)-4] + "0000", "none": strings.Split(address, "?")[0]} {
		if _, err := look(t, address); err == nil {
			t.Errorf("%s lets in", what)
		}
	}
	if status, _ := p.tries(p.ticket(path, "logs", object{}), "Sec-WebSocket-Version: 7"); status != 400 {
		t.Errorf("what is no clean upgrade is answered with %d", status)
	}
	until(t, "its place to be free again", 10*time.Second, func() bool {
		l, err := look(t, p.ticket(path, "logs", object{}))
		if err == nil {
			go l.conn.ReadLoop()
			l.ends()
		}
		return err == nil
	})
	resp, err := http.Get(p.url + "/v1/hostaccess?token=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 405 && resp.StatusCode != 404 { // of the gateway, or of the rest of the server
		t.Errorf("without an upgrade it answers %d", resp.StatusCode)
	}
	for name, input := range map[string]object{"command": {}, "lines": {"lines": "many"}, "tty": {"command": []string{"x"}, "tty": "maybe"}} {
		action := "execute"
		if name == "lines" {
			action = "logs"
		}
		if status, o := p.ask("POST", path+"/?action="+action, input); status != 422 || o["fieldName"] != name {
			t.Errorf("%s with %v is answered with %d %v", action, input, status, o)
		}
	}
	if _, o := p.ask("GET", path, nil); o.action("stop") == "" || o.action("execute") != "" || o.action("logs") != "" {
		t.Errorf("clients of a release are shown actions that it does not know: %v", o["actions"])
	}
}

// The same at a command line.
func TestACommandLineLooksAtAContainer(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	path, _ := p.onAHost(p)
	p.becomes(path, "running")
	id := path[strings.LastIndex(path, "/")+1:]
	home := t.TempDir()
	run := func(typed string, args ...string) (out string, code int) {
		var b bytes.Buffer
		err := cli.Look(t.Context(), args, func(name string) string {
			return map[string]string{"HOME": home, "CATTLE_URL": p.url + "/v1"}[name]
		}, strings.NewReader(typed), &b)
		if err == nil {
			return b.String(), 0
		}
		return b.String() + err.Error(), exitCode(err)
	}
	for _, x := range []struct {
		typed, args, out string
		code             int
	}{
		{"", "logs " + id + " --lines 1", "it runs\n", 0},
		{"", "exec " + id + " -- echo a b", "a b\n", 0},
		{"typed", "exec " + id + " --tty -- cat", "typed", 0},
		{"", "exec " + id + " -- exit 5", "the command has ended with 5", 5},
		{"", "exec " + id, "say which command: cattle exec " + id + " -- COMMAND", 64},
		{"", "logs", "say which instance: cattle logs ID", 64},
		{"", "logs " + id + " --lines x", `--lines takes a number, not "x"`, 64},
	} {
		if out, code := run(x.typed, strings.Fields(x.args)...); out != x.out || code != x.code {
			t.Errorf("cattle %s says %q and ends with %d", x.args, out, code)
		}
	}
	if _, code := run("", "logs", "1i999"); code != 4 {
		t.Errorf("of what is not there it ends with %d", code)
	}
}

// Who reads slowly, or not at all, is waited for by the command alone.
func TestASlowReaderHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	path, _ := p.onAHost(p)
	p.becomes(path, "running")
	slow, err := look(t, p.ticket(path, "execute", object{"command": []string{"yes"}}))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if quick := p.look(path, "execute", object{"command": []string{"echo", "quick"}}); true {
			if quick.ends(); quick.sees() != "quick\n" {
				t.Errorf("beside a slow reader a command says %q", quick.sees())
			}
		}
	}
	go slow.conn.ReadLoop()
	until(t, "the slow one reads on", 20*time.Second, func() bool {
		slow.mu.Lock()
		defer slow.mu.Unlock()
		return slow.shown.Len() > 4<<20
	})
	if seen := slow.sees()[:4<<20]; strings.Trim(seen, "y\n") != "" || strings.Count(seen, "y\n") != len(seen)/2 {
		t.Error("it does not read what was written")
	}
}

// An account looks at its own instances alone.
func TestOnlyTheOwnerLooks(t *testing.T) {
	t.Parallel()
	in, access, secret := secured(t)
	p := in.start()
	admin := p.as(access, url.PathEscape(secret))
	admin.simulators(1)
	owner, _ := admin.account("user")
	other, _ := admin.account("user")
	reader, _ := admin.account("readAdmin")
	path := owner.container(object{"imageUuid": "sim:x"})
	owner.becomes(path, "running")
	for who, want := range map[*program]int{owner: 503, admin: 503, other: 404} { // 503: it is a host that the server plays
		status, o := who.ask("POST", path+"/?action=logs", object{})
		if words, _ := o["message"].(string); status != want || want == 503 && !strings.Contains(words, "simulates") {
			t.Errorf("it is answered with %d %v, not %d", status, o, want)
		}
	}
	if status, o := reader.ask("POST", path+"/?action=execute", object{"command": []string{"x"}}); status < 400 || status == 503 {
		t.Errorf("who may only read is answered with %d %v", status, o)
	}
}

// The real thing: what a container on Docker writes, and a shell in it.
func TestAUserLooksAtARealContainer(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, _, _ := joined(t)
	status, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "command": "sh",
		"commandArgs": []string{"-c", "echo begun; echo wrong >&2; while true; do echo tick; sleep 0.1; done"}})
	if status != 201 {
		t.Fatalf("refused: %v", c)
	}
	uuid, _ := c["uuid"].(string)
	path := "/v1/containers/" + c.id()
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", uuid).Run() })
	p.becomes(path, "running")
	log := p.look(path, "logs", object{"follow": true, "lines": -1})
	until(t, "both outputs and what comes later", 20*time.Second, func() bool {
		seen := log.sees()
		return strings.Contains(seen, "begun\n") && strings.Contains(seen, "wrong\n") && strings.Count(seen, "tick\n") > 5
	})
	_ = log.conn.NetConn().Close()
	shell := p.look(path, "execute", object{"command": []string{"sh"}, "tty": true, "attachStdin": true})
	_ = shell.conn.WriteString(`{"width":93,"height":31}`)
	until(t, "a prompt", 20*time.Second, func() bool { return strings.Contains(shell.sees(), "#") })
	shell.types("stty size; exit 7\n")
	if _, _, beside := shell.ends(); len(beside) != 1 || beside[0] != `{"exit":7}` || !strings.Contains(shell.sees(), "31 93") {
		t.Errorf("the shell says %q and ends with %q", shell.sees(), beside)
	}
	piped := p.look(path, "execute", object{"command": []string{"wc", "-c"}, "attachStdin": true})
	piped.types(strings.Repeat("x", 300_000))
	_ = piped.conn.WriteString(`{"eof":true}`)
	if _, _, beside := piped.ends(); strings.TrimSpace(piped.sees()) != "300000" || len(beside) != 1 || beside[0] != `{"exit":0}` {
		t.Errorf("wc says %q and ends with %q", piped.sees(), beside)
	}
	missing := p.look(path, "execute", object{"command": []string{"no-such-program"}})
	if code, reason, beside := missing.ends(); code == 1000 && (len(beside) == 0 || beside[0] == `{"exit":0}`) {
		t.Errorf("a program that is not there ends with %d %q %q %q", code, reason, beside, missing.sees())
	}
	p.ask("POST", path+"/?action=stop", object{})
	p.becomes(path, "stopped")
	if still := p.look(path, "logs", object{"lines": 2}); true {
		if code, reason, _ := still.ends(); code != 1000 || strings.Count(still.sees(), "\n") != 2 {
			t.Errorf("of a stopped container the log is %q, and ends with %d %s", still.sees(), code, reason)
		}
	}
}

// An access ends with the right by which it was opened: with the key, with the account, and
// also if nobody tells.
func TestAnAccessEndsWithItsRight(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.onAHost(p)
		for name, withdraw := range map[string]func(key, account object){
			"the key":     func(key, _ object) { p.ask("POST", "/v1/credentials/"+key.id()+"/?action=deactivate", object{}) },
			"the account": func(_, account object) { p.ask("POST", "/v1/accounts/"+account.id()+"/?action=deactivate", object{}) },
			"nobody tells": func(_, account object) {
				in.surgery("update credential set state = 'inactive' where account_id = " + account.id()[2:])
			},
		} {
			user, account := p.account("user")
			keys := p.list("/v1/credentials?kind=apiKey&accountId=" + account.id())
			if len(keys) != 1 {
				t.Fatalf("%d keys", len(keys))
			}
			path := user.container(object{"imageUuid": "sim:x"})
			user.becomes(path, "running")
			l := user.look(path, "execute", object{"command": []string{"cat"}, "attachStdin": true})
			l.types("still here")
			until(t, "the command to answer", 20*time.Second, func() bool { return l.sees() == "still here" })
			withdraw(keys[0], account)
			if code, reason, _ := l.ends(); code != 4008 {
				t.Errorf("%s: it ends with %d %s", name, code, reason)
			}
			if code, _, _ := p.look(path, "execute", object{"command": []string{"echo"}}).ends(); code != 1000 {
				t.Errorf("%s: an administrator is shut out with %d", name, code)
			}
		}
	})
}
