package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// ping runs the task agent.ping by hand.
func (p *program) ping() {
	p.t.Helper()
	p.task("agent.ping")
}

// processes lists what was done with a container, in order.
func (p *program) processes(path, name string) []object {
	number := path[strings.LastIndexByte(path, 'i')+1:]
	return p.list("/v1/processinstances?resourceType=instance&resourceId=" + number + "&processName=" + name)
}

// An instance that its host loses is stopped, restarted or removed, as its owner
// wants, once somebody has the agents pinged. Others stay as they are.
func TestAnInstanceThatItsHostLosesIsDealtWith(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_TASK_AGENT_PING_SCHEDULE=")
		p := in.start()
		p.simulators(2)
		stays := p.container(nil)
		lost := map[string]string{}
		for _, then := range []string{"stop", "restart", "remove"} {
			lost[then] = p.container(object{"instanceTriggeredStop": then, "data": object{"simForgetImmediately": true}})
		}
		for _, path := range lost {
			p.becomes(path, "running")
		}
		p.becomes(stays, "running")
		p.ping()
		p.becomes(lost["stop"], "stopped")
		p.becomes(lost["remove"], "removed")
		until(t, "a second start", 30*time.Second, func() bool { return len(p.processes(lost["restart"], "instance.start")) > 0 })
		p.becomes(lost["restart"], "running")
		for then, path := range lost {
			if n := len(p.processes(path, "instance.restart")); n != 1 {
				t.Errorf("%s: %d restarts", then, n)
			}
		}
		if n := len(p.processes(stays, "instance.restart")); n != 0 {
			t.Errorf("what is there was restarted %d times", n)
		}
	})
}

// A gateway that plays simulated hosts dies. The one that plays them then knows what
// they ran, so that nothing is taken for lost but what is.
func TestWhatAHostRanOutlivesTheGatewayThatPlayedIt(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	b.env = append(b.env, "CATTLE_TASK_AGENT_PING_SCHEDULE=")
	p := b.part("api,worker,scheduler")
	first := b.part("gateway")
	p.simulators(1)
	ran := p.container(nil)
	p.becomes(ran, "running")
	first.kill()
	b.part("gateway")
	lost := p.container(object{"data": object{"simForgetImmediately": true}})
	p.becomes(lost, "running")
	p.ping()
	p.becomes(lost, "stopped")
	if n := len(p.processes(ran, "instance.restart")); n != 0 {
		t.Errorf("what ran before was restarted %d times", n)
	}
}

// A container that is removed with Docker's own means behind our back.
func TestARealContainerThatIsRemovedBehindOurBack(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, _, _ := joined(t)
	type one struct{ path, uuid string }
	all := map[string]one{}
	for _, then := range []string{"stop", "restart", "remove"} {
		_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "command": "sleep", "commandArgs": []string{"300"}, "instanceTriggeredStop": then})
		uuid, _ := c["uuid"].(string)
		t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", uuid).Run() })
		all[then] = one{"/v1/containers/" + c.id(), uuid}
	}
	for _, o := range all {
		p.becomes(o.path, "running")
		docker(t, "rm", "-f", o.uuid)
	}
	p.ping()
	p.becomes(all["stop"].path, "stopped")
	p.becomes(all["remove"].path, "removed")
	until(t, "Docker to run it again", 45*time.Second, func() bool {
		out, err := exec.Command("docker", "inspect", "-f", "{{.State.Running}}", all["restart"].uuid).Output()
		return err == nil && string(out) == "true\n"
	})
	p.becomes(all["restart"].path, "running")
}
