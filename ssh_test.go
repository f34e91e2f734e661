package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cattleio/cattle/shared/testkit"
)

// The hosts here are real: an sshd with users, a root folder and, where it says so, a
// network of its own, in namespaces of this machine.

// sshHost is a machine that lets somebody log in.
type sshHost struct {
	*island
	dir  string
	port string
	sshd *exec.Cmd
}

// inside is run as root, with the folder of the host as $1, before its sshd. Of the
// machine it sees no service manager, and users and passwords are its own.
const inside = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/sshd
for f in passwd shadow sudoers; do mount --bind "$1/$f" /etc/$f; done
if [ -e "$1/systemctl" ]; then
	mkdir -p /run/systemd/system "$1/units"
	mount --bind "$1/units" /etc/systemd/system
	mount --bind "$1" /usr/local/bin
fi
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"`

// newSSHHost makes a host. own gives it a network of its own.
func newSSHHost(t *testing.T, own bool) *sshHost {
	t.Helper()
	h := &sshHost{island: mainland(t), dir: t.TempDir(), port: freePort(t)}
	if own {
		h.island, h.port = newIsland(t), "22"
	}
	for name, text := range map[string]string{
		"passwd":      "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nhilda:x:4242:4242::/tmp:/bin/sh\n",
		"shadow":      "root:*:1::::::\nsshd:*:1::::::\nhilda:*:1::::::\n",
		"sudoers":     "root ALL=(ALL:ALL) ALL\nhilda ALL=(ALL) NOPASSWD: ALL\n",
		"authorized":  "",
		"sshd_config": fmt.Sprintf("Port %s\nListenAddress %s\nHostKey %s/hostkey\nAuthorizedKeysFile %s/authorized\nUsePAM no\nStrictModes no\nPidFile none\nPasswordAuthentication no\n", h.port, h.address, h.dir, h.dir),
	} {
		h.write(name, text)
	}
	if err := os.Chmod(filepath.Join(h.dir, "sudoers"), 0o440); err != nil {
		t.Fatal(err)
	}
	for dir := h.dir; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) { // others than root log in as well
		_ = os.Chmod(dir, 0o755)
	}
	h.newKey()
	t.Cleanup(func() {
		h.stop()
		if pid := h.agent(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return h
}

func (h *sshHost) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// newKey gives the host another key to show, as after an installation.
func (h *sshHost) newKey() {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		h.t.Fatal(err)
	}
	path := filepath.Join(h.dir, "hostkey")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *sshHost) start() {
	h.t.Helper()
	h.sshd = h.command("unshare", "--mount", "sh", "-c", inside, "sh", h.dir)
	said := &tail{}
	h.sshd.Stderr = said
	if err := h.sshd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("the host said:\n%s", said)
		}
	})
	until(h.t, "the host's sshd", 10*time.Second, func() bool { return strings.Contains(said.String(), "Server listening") })
}

// configure adds a line to what the sshd of the host is told.
func (h *sshHost) configure(line string) {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "sshd_config"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("sshd_config", string(text)+line+"\n")
}

// cut ends the connections to the host's sshd.
func (h *sshHost) cut() {
	children, _ := exec.Command("pgrep", "-P", strconv.Itoa(h.sshd.Process.Pid)).Output()
	for _, child := range strings.Fields(string(children)) {
		pid, _ := strconv.Atoi(child)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (h *sshHost) stop() {
	if h.sshd != nil {
		h.cut()
		_ = h.sshd.Process.Kill()
		_ = h.sshd.Wait()
		h.sshd = nil
	}
}

// home is where the agent lives on the host.
func (h *sshHost) home() string { return filepath.Join(h.dir, "cattle") }

// agent is the process of the agent that runs on the host, 0 for none.
func (h *sshHost) agent() int {
	text, _ := os.ReadFile(filepath.Join(h.home(), "agent.pid"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || !strings.HasPrefix(exe, filepath.Join(h.home(), "bin", "cattle")) {
		return 0
	}
	return pid
}

// kill ends the agent as soon as there is one.
func (h *sshHost) kill() (pid int) {
	h.t.Helper()
	until(h.t, "an agent", 30*time.Second, func() bool { pid = h.agent(); return pid != 0 })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// serve starts a server that the host can reach and that takes little time to notice that
// an agent is gone.
func (h *sshHost) serve(in *installation) *program {
	in.env = append(in.env, "CATTLE_TASK_AGENT_PING_SCHEDULE=1", "CATTLE_AGENT_PING_RECONNECT_AFTER_FAILED_COUNT=2", "CATTLE_TASK_INITIAL_DELAY_SECONDS=0")
	return h.reached(in)
}

// reached starts a server that the host can reach.
func (h *sshHost) reached(in *installation) *program {
	in.env = append(in.env, "CATTLE_HTTP_HOST="+h.listen(), "CATTLE_API_SECURITY_ENABLED=false", "CATTLE_AGENT_FILTER_DEFAULT_URI_REVERSE_DNS=false",
		"CATTLE_AGENT_FILTER_DEFAULT_URI=ssh://%s@%s:"+h.port,
		"CATTLE_SSH_RETRY_MILLIS=1000", "CATTLE_SSH_AGENT_ENV_EXTRA=CATTLE_HOME="+h.home()+" CATTLE_DRIVERS=sim CATTLE_TEST_PROGRAM=1")
	return in.start()
}

func (h *sshHost) listen() string {
	if h.netns != "" {
		return "0.0.0.0"
	}
	return "127.0.0.1"
}

// curl is how a person on the host talks to the server.
func (h *sshHost) curl(p *program, path string, args ...string) string {
	h.t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := h.command(append([]string{"curl", "-sS", "--max-time", "10", "http://" + net.JoinHostPort(h.server, port) + path}, args...)...).Output()
	if err != nil {
		h.t.Fatalf("curl %s: %v %s", path, err, out)
	}
	return string(out)
}

// joins lets the server in and registers the host, as the classic installation does.
func (h *sshHost) joins(p *program, args ...string) (agent string) {
	h.t.Helper()
	keys := h.curl(p, "/v1/authorized_keys")
	if !strings.HasPrefix(keys, "ssh-rsa ") || !strings.HasSuffix(keys, " cattle@cattle\n") {
		h.t.Fatalf("the server's keys are %q", keys)
	}
	h.write("authorized", keys)
	h.curl(p, "/v1/agents", append([]string{"-X", "POST"}, args...)...)
	agents := p.list("/v1/agents")
	if len(agents) != 1 {
		h.t.Fatalf("there are %d agents", len(agents))
	}
	return "/v1/agents/" + agents[0].id()
}

// why is what an agent waits for, in words.
func why(p *program, agent string) string {
	req, _ := http.NewRequest("POST", p.url+agent+"/?action=why", strings.NewReader("{}"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(bytes.TrimSpace(b))
}

// connected waits for an agent to be active, and to be held by a gateway.
func (p *program) connected(agent string) {
	p.t.Helper()
	until(p.t, "the agent to be connected", time.Minute, func() bool { return strings.Contains(why(p, agent), `"nothing: it is active"`) })
}

// A host of the classic kind: root, a network of its own, no service manager. Its
// agent is killed, and its key changed behind the server's back.
func TestAHostIsEnteredOverSSH(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.start()
	p := h.serve(&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}})
	agent := h.joins(p)
	row := p.becomes(agent, "active")
	if row["uri"] != "ssh://root@"+h.address+":22" {
		t.Errorf("the agent is at %v", row["uri"])
	}
	if hosts := p.list(agent + "/hosts"); len(hosts) != 1 || hosts[0].state() != "active" {
		t.Errorf("its hosts are %v", hosts)
	}
	for name, mode := range map[string]os.FileMode{"agent.env": 0o600, "bin/cattle": 0o755} {
		if f, err := os.Stat(filepath.Join(h.home(), name)); err != nil || f.Mode().Perm() != mode {
			t.Errorf("%s on the host: %v %v", name, f, err)
		}
	}

	first := h.kill()
	until(t, "the agent to be started again", 30*time.Second, func() bool { pid := h.agent(); return pid != 0 && pid != first })
	p.becomes(agent, "active")

	met, err := os.ReadFile(filepath.Join(h.dir, "hostkey"))
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.newKey()
	h.start()
	h.kill()
	until(t, "the change to be told", 30*time.Second, func() bool { return strings.Contains(why(p, agent), "has changed") })
	if h.agent() != 0 {
		t.Error("an agent runs on a host that could not show its key")
	}
	h.stop()
	if err := os.WriteFile(filepath.Join(h.dir, "hostkey"), met, 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	until(t, "the agent to run again", 40*time.Second, func() bool { return h.agent() != 0 })
	p.becomes(agent, "active")
}

// A user who is not root, over Postgres, by sudo; the host has a service manager.
func TestAHostIsEnteredBySudo(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, false)
	h.write("systemctl", `#!/bin/sh
echo "$*" >>`+h.dir+`/asked
case "$1" in start | restart) ;; *) exit 0 ;; esac
unit=/etc/systemd/system/cattle-agent.service
set -a
. "$(sed -n 's/^EnvironmentFile=//p' $unit)"
setsid sh -c "echo \$\$ >$CATTLE_HOME/agent.pid; exec $(sed -n 's/^ExecStart=//p' $unit)" >/dev/null 2>&1 </dev/null &
`)
	if err := os.Chmod(filepath.Join(h.dir, "systemctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.start()
	p := h.serve(&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t),
		"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}})
	agent := h.joins(p, "-F", "user=hilda", "-F", "uuid=test-agent")
	row := p.becomes(agent, "active")
	if row["uri"] != "ssh://hilda@127.0.0.1:"+h.port || row["uuid"] != "test-agent" {
		t.Errorf("the agent is %v %v", row["uri"], row["uuid"])
	}
	asked, _ := os.ReadFile(filepath.Join(h.dir, "asked"))
	if want := "daemon-reload\nenable cattle-agent.service\nrestart cattle-agent.service\n"; !strings.HasPrefix(string(asked), want) {
		t.Errorf("the service manager was asked %q", asked)
	}
	if len(p.list(agent+"/hosts")) != 1 {
		t.Error("it has no host")
	}
}

// Whoever does not let the server in is told what to do.
func TestAHostThatLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, false)
	h.start()
	p := h.serve(&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}})
	_, o := p.ask("POST", "/v1/agents", object{"uri": "ssh://hilda@127.0.0.1:" + h.port})
	agent := "/v1/agents/" + o.id()
	until(t, "the refusal to be told", 30*time.Second, func() bool {
		return strings.Contains(why(p, agent), "the keys of /v1/authorized_keys must be among those it accepts")
	})
	h.write("authorized", h.curl(p, "/v1/authorized_keys"))
	p.becomes(agent, "active")
}

// A host loses its cable and says no goodbye. With the settings as they come it is noticed
// within fifteen seconds: new instances go elsewhere, and who asks is told. It comes back
// before anything is done about it.
func TestAHostThatLosesItsCableIsNoticed(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.start()
	p := h.reached(&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}})
	agent := h.joins(p)
	p.becomes(agent, "active")
	hosts := p.list(agent + "/hosts")
	if len(hosts) != 1 {
		t.Fatalf("it has %d hosts", len(hosts))
	}
	host := "/v1/hosts/" + hosts[0].id()
	p.becomes(host, "active")
	p.active("agents", object{"uri": "sim://other", "managedConfig": false})
	p.hosts(2, "")
	p.connected(agent)
	h.cable("down")
	until(t, "it to be noticed", 15*time.Second, func() bool { return strings.Contains(why(p, agent), "it is active, but it is disconnected since") })
	if got := why(p, host); !strings.Contains(got, "but its host is disconnected since") {
		t.Errorf("of the host it is said: %s", got)
	}
	for range 4 {
		c := p.container(nil)
		p.becomes(c, "running")
		if on := p.list(c + "/hosts"); len(on) != 1 || on[0].id() == hosts[0].id() {
			t.Errorf("a container is put on %v", on)
		}
	}
	h.cable("up")
	p.connected(agent)
	p.becomes(host, "active")
}
