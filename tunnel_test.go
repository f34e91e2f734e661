package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/testkit"
)

// lonely lets nothing out of a host's network but answers: it can begin no connection.
func (h *sshHost) lonely() {
	h.t.Helper()
	for _, rule := range []string{"-p tcp --syn", "-p udp", "-p icmp"} {
		args := append(append([]string{"iptables", "-A", "OUTPUT", "-o", "eth0"}, strings.Fields(rule)...), "-j", "DROP")
		if out, err := h.command(args...).CombinedOutput(); err != nil {
			h.t.Fatalf("%s: %s", args, out)
		}
	}
}

// entered registers a host that cannot do so itself, and waits until it is there.
func (h *sshHost) entered(p *program) (agent string) {
	h.t.Helper()
	h.write("authorized", p.text("/v1/authorized_keys"))
	agent = "/v1/agents/" + p.active("agents", object{"uri": "ssh://root@" + net.JoinHostPort(h.address, h.port)})
	if hosts := p.list(agent + "/hosts"); len(hosts) != 1 || hosts[0].state() != "active" {
		h.t.Errorf("its hosts are %v", hosts)
	}
	return agent
}

// started is what a variable of the agent on the host is, "" if it has none.
func (h *sshHost) started(name string) string {
	text, _ := os.ReadFile(filepath.Join(h.home(), "agent.env"))
	m := regexp.MustCompile(`(?m)^` + name + `='(.*)'$`).FindSubmatch(text)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// settings are those of an installation with hosts that are entered.
func (h *sshHost) settings() []string {
	return []string{"CATTLE_TASK_AGENT_PING_SCHEDULE=1", "CATTLE_TASK_INITIAL_DELAY_SECONDS=0", "CATTLE_SSH_RETRY_MILLIS=1000",
		"CATTLE_SSH_AGENT_ENV_EXTRA=CATTLE_HOME=" + h.home() + " CATTLE_DRIVERS=sim CATTLE_TEST_PROGRAM=1"}
}

// again tells whether the way of an agent was opened anew, to the same process.
func (h *sshHost) again(what string, pid int, port string) (now string) {
	h.t.Helper()
	until(h.t, what, time.Minute, func() bool { now = h.started("CATTLE_AGENT_PORT"); return now != port })
	if got := h.agent(); got != pid {
		h.t.Errorf("%s: the agent is process %d, and was %d", what, got, pid)
	}
	return now
}

// A host can begin no connection, and the server listens on its own loopback. What the
// server opens to it is cut, and the server killed: the same agent goes on, and what was
// under way comes to its end.
func TestAHostNeedsNoWayToTheServer(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.lonely()
	h.start()
	in := &installation{t, append(h.settings(), "CATTLE_HOME="+t.TempDir(), "CATTLE_HTTP_PORT="+freePort(t))}
	p := in.start()
	agent := h.entered(p)
	c := p.container(nil)
	p.becomes(c, "running")
	p.ask("POST", c+"/?action=stop", object{})
	p.becomes(c, "stopped")
	stays := p.container(nil)
	p.becomes(stays, "running")

	pid, port := h.agent(), h.started("CATTLE_AGENT_PORT")
	if got := h.started("CATTLE_URL"); got != "https://localhost:"+port+"/v1" {
		t.Errorf("the agent is told that the server is at %s", got)
	}
	if got := h.started("CATTLE_AGENT_IP"); got != h.address {
		t.Errorf("the agent is told that users find it at %s", got)
	}
	for login, want := range map[string]string{
		"": "401", "admin:adminpass": "401",
		h.started("CATTLE_ACCESS_KEY") + ":" + h.started("CATTLE_SECRET_KEY"): "200",
	} {
		out, _ := h.command("curl", "-sk", "--max-time", "10", "-u", login, "-o", "/dev/null", "-w", "%{http_code}", "https://localhost:"+port+"/v1/schemas").Output()
		if string(out) != want {
			t.Errorf("who comes through the tunnel as %q gets %s", login, out)
		}
	}

	slow := p.container(object{"data": object{"simDelayMillis": 3000}})
	p.becomes(slow, "starting")
	h.cut()
	port = h.again("another way", pid, port)
	p.becomes(slow, "running")

	slow = p.container(object{"data": object{"simDelayMillis": 3000}})
	p.becomes(slow, "starting")
	p.kill()
	p = in.start()
	h.again("the way to a server that was started anew", pid, port)
	p.becomes(slow, "running")
	p.becomes(p.container(nil), "running")
	if _, o := p.ask("GET", stays, nil); o.state() != "running" || len(p.processes(stays, "instance.restart")) != 0 {
		t.Errorf("what ran is %s", o.state())
	}

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the agent to be started again through its tunnel", 30*time.Second, func() bool { now := h.agent(); return now != 0 && now != pid })
	p.connected(agent)
	p.becomes(p.container(nil), "running")

	p.ask("POST", agent+"/?action=deactivate", object{})
	p.becomes(agent, "inactive")
	port = h.started("CATTLE_AGENT_PORT")
	until(t, "the tunnel to be closed", 30*time.Second, func() bool {
		return h.command("curl", "-sk", "--max-time", "10", "-o", "/dev/null", "https://localhost:"+port+"/").Run() != nil
	})
	p.ask("POST", agent+"/?action=activate", object{})
	p.becomes(agent, "active")
}

// Of two servers one is killed that holds the way to a host: the other opens another, to
// the same agent.
func TestAnotherServerTakesOverTheWayToAHost(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.lonely()
	h.start()
	in := &installation{t, append(h.settings(), "CATTLE_DB_URL="+testkit.PostgresSchema(t), "CATTLE_REDIS_URL="+testkit.RedisDB(t))}
	a := in.part("")
	h.entered(a)
	pid, port := h.agent(), h.started("CATTLE_AGENT_PORT")
	b := in.part("")
	slow := b.container(object{"data": object{"simDelayMillis": 3000}})
	b.becomes(slow, "starting")
	a.kill()
	h.again("the way to the other server", pid, port)
	b.becomes(slow, "running")
	b.becomes(b.container(nil), "running")
}

// A server that serves no agents leads tunnels to one that does.
func TestATunnelLeadsToTheServerThatIsSet(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.lonely()
	h.start()
	in := &installation{t, append(h.settings(), "CATTLE_DB_URL="+testkit.PostgresSchema(t), "CATTLE_REDIS_URL="+testkit.RedisDB(t))}
	front := in.part("api,gateway,scheduler")
	lost := in.part("worker")
	h.write("authorized", front.text("/v1/authorized_keys"))
	_, o := front.ask("POST", "/v1/agents", object{"uri": "ssh://root@" + h.address})
	agent := "/v1/agents/" + o.id()
	until(t, "what is missing to be told", 30*time.Second, func() bool { return strings.Contains(why(front, agent), "ssh.tunnel.server") })
	lost.kill()
	in.part("worker", "CATTLE_SSH_TUNNEL_SERVER="+strings.TrimPrefix(front.url, "http://"))
	front.becomes(agent, "active")
}

// An sshd that lets the server in and opens no port for it: who asks is told, and an agent
// that reaches the server by itself does.
func TestAHostThatForwardsNothing(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.configure("AllowTcpForwarding no")
	h.start()
	in := &installation{t, append(h.settings(), "CATTLE_API_SECURITY_ENABLED=false", "CATTLE_HOME="+t.TempDir(), "CATTLE_HTTP_PORT="+freePort(t))}
	p := in.start()
	h.write("authorized", p.text("/v1/authorized_keys"))
	_, o := p.ask("POST", "/v1/agents", object{"uri": "ssh://root@" + h.address})
	agent := "/v1/agents/" + o.id()
	until(t, "the refusal to be told", 30*time.Second, func() bool {
		said := why(p, agent)
		return strings.Contains(said, "AllowTcpForwarding") && strings.Contains(said, "the server listens on 127.0.0.1")
	})
	p.kill()
	in.env = append(in.env, "CATTLE_HTTP_HOST=0.0.0.0")
	p = in.start()
	p.becomes(agent, "active")
	if port := h.started("CATTLE_AGENT_PORT"); port != "" {
		t.Errorf("the agent was told of a tunnel at port %s", port)
	}
	p.becomes(p.container(nil), "running")
}

// An agent that has reached its server without a tunnel goes on so when that is started
// anew and would give it one; so does one whose data say where the server is.
func TestAHostWithAWayToTheServerKeepsIt(t *testing.T) {
	t.Parallel()
	h := newSSHHost(t, true)
	h.start()
	in := &installation{t, append(h.settings(), "CATTLE_HTTP_HOST=0.0.0.0", "CATTLE_API_SECURITY_ENABLED=false", "CATTLE_HOME="+t.TempDir(), "CATTLE_HTTP_PORT="+freePort(t))}
	bare := in.env
	in.env = append(bare, "CATTLE_SSH_TUNNEL_ENABLED=false")
	p := in.start()
	agent := h.entered(p)
	pid := h.agent()
	p.kill()
	in.env = bare
	p = in.start()
	p.becomes(p.container(nil), "running")
	if h.agent() != pid || h.started("CATTLE_AGENT_PORT") != "" {
		t.Error("the agent was started anew, for a tunnel")
	}

	if status, o := p.ask("PUT", agent, object{"data": object{"urlConfig": object{"api": "default"}}}); status != 200 {
		t.Fatalf("the agent's data cannot be set: %d %v", status, o)
	}
	p.kill()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.home(), "agent.env")); err != nil {
		t.Fatal(err)
	}
	p = in.start()
	p.becomes(p.container(nil), "running")
	if h.started("CATTLE_URL") == "" || h.started("CATTLE_AGENT_PORT") != "" {
		t.Error("the agent was not told to reach the server by itself")
	}
}
