package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// needEngine says whether a Docker engine is there to test with. Where the tests were
// asked to use one, its absence is a failure.
func needEngine(t *testing.T) {
	t.Helper()
	if err := exec.Command("docker", "info").Run(); err == nil {
		return
	}
	if os.Getenv("CATTLE_TEST_DOCKER") != "" {
		t.Fatal("CATTLE_TEST_DOCKER asks for a Docker engine, and none answers")
	}
	t.Skip("no Docker engine answers; './task test' starts one")
}

// image is made by localdev/prepare: a shell in an otherwise empty image.
const image = "cattle-test/busybox:1.35"

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// joined starts a server and an agent of this machine that has joined it with a
// token.
func joined(t *testing.T) (*program, *installation, []string) {
	t.Helper()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
	p := in.start()
	p.ask("POST", "/v1/registrationtokens", object{})
	var token string
	until(t, "a token", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/registrationtokens") {
			token, _ = o["token"].(string)
		}
		return token != ""
	})
	agent := []string{"agent", "--url", p.url, "--token", token, "--drivers", "docker"}
	env := []string{"CATTLE_HOME=" + t.TempDir()}
	start(t, env, agent...)
	p.hosts(1, "&kind=docker")
	return p, in, append(env, agent...)
}

func TestARealContainerOnDocker(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, _, _ := joined(t)
	port := freePort(t)
	status, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "name": "real", "command": "sleep", "commandArgs": []string{"1", "300"},
		"environment": object{"COLOUR": "blue"}, "ports": []string{port + ":80"}})
	if status != 201 {
		t.Fatalf("refused: %v", c)
	}
	uuid, _ := c["uuid"].(string)
	path := "/v1/containers/" + c.id()
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", uuid).Run() })
	p.becomes(path, "running")
	if got := docker(t, "inspect", "-f", "{{.State.Running}} {{.Config.Cmd}} {{.Config.Env}}", uuid); !strings.HasPrefix(got, "true [sleep 1 300]") || !strings.Contains(got, "COLOUR=blue") {
		t.Errorf("Docker runs %s", got)
	}
	ports := p.list(path + "/ports")
	if len(ports) != 1 || int(ports[0]["privatePort"].(float64)) != 80 || ports[0]["publicIpAddressId"] == nil {
		t.Errorf("its ports are %v", ports)
	}
	p.obeys(path, uuid)
	p.ask("DELETE", path, nil)
	until(t, "the removal", 45*time.Second, func() bool { _, o := p.ask("GET", path, nil); return o.state() == "removed" })
	p.ask("POST", path+"/?action=purge", object{})
	p.becomes(path, "purged")
	volume := p.list(path + "/volumes")[0]
	p.ask("POST", "/v1/volumes/"+volume.id()+"/?action=purge", object{})
	p.becomes("/v1/volumes/"+volume.id(), "purged")
	if got := docker(t, "ps", "-aq", "--filter", "name="+uuid); got != "" {
		t.Errorf("Docker still has %s", got)
	}
}

// The server and then the agent are killed while real containers start.
func TestRealContainersThroughKills(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, in, agent := joined(t)
	var uuids, ids []string
	for range 6 {
		_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "command": "sleep", "commandArgs": []string{"300"}})
		uuid, _ := c["uuid"].(string)
		uuids, ids = append(uuids, uuid), append(ids, c.id())
	}
	t.Cleanup(func() { _ = exec.Command("docker", append([]string{"rm", "-f"}, uuids...)...).Run() })
	p.kill()
	p = in.start()
	start(t, agent[:1], agent[1:]...) // a second agent with the same identity: the newest wins
	for _, id := range ids {
		p.becomes("/v1/containers/"+id, "running")
	}
	for _, uuid := range uuids {
		if got := docker(t, "ps", "-q", "--filter", "name="+uuid); len(strings.Fields(got)) != 1 {
			t.Errorf("Docker runs %q for %s", got, uuid)
		}
	}
}

func TestAnImageThatCannotBeHadEndsWithTheReason(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, _, _ := joined(t)
	status, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:127.0.0.1:1/nothing:here"})
	if status != 201 {
		t.Fatalf("refused: %v", c)
	}
	path := "/v1/containers/" + c.id()
	until(t, "the start to be given up", 60*time.Second, func() bool { _, o := p.ask("GET", path, nil); return o.state() == "removed" })
	_, o := p.ask("GET", path, nil)
	if message, _ := o["transitioningMessage"].(string); o["transitioning"] != "error" || !strings.Contains(message, "127.0.0.1:1/nothing:here") {
		t.Errorf("the user reads %v: %v", o["transitioning"], o["transitioningMessage"])
	}
}

// A host whose agent is gone gets nothing new, and is back when the agent is.
func TestAHostWhoseAgentIsGoneGetsNothingNew(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t),
		"CATTLE_TASK_AGENT_PING_SCHEDULE=0.2", "CATTLE_AGENT_PING_RECONNECT_AFTER_FAILED_COUNT=3"}}
	p := in.start()
	env := []string{"CATTLE_HOME=" + t.TempDir()}
	agent := start(t, env, "agent", "--url", p.url, "--drivers", "sim")
	p.hosts(1, "&kind=sim")
	place := func() object {
		_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
		path := "/v1/containers/" + c.id()
		until(t, "an end", 45*time.Second, func() bool { _, c = p.ask("GET", path, nil); return c["transitioning"] != "yes" })
		return c
	}
	if c := place(); c.state() != "running" {
		t.Fatalf("on a host of its own agent a container is %s: %v", c.state(), c["transitioningMessage"])
	}
	agent.kill()
	until(t, "the agent to be missed", 30*time.Second, func() bool { return len(p.list("/v1/agents?state=reconnecting")) == 1 })
	if c := place(); c.state() != "removed" || c["transitioningMessage"] != "Failed to find a placement" {
		t.Fatalf("without its agent a container is %s: %v", c.state(), c["transitioningMessage"])
	}
	start(t, env, "agent", "--url", p.url, "--drivers", "sim")
	until(t, "the agent to be back", 30*time.Second, func() bool { return len(p.list("/v1/agents?state=active")) == 1 })
	if c := place(); c.state() != "running" {
		t.Fatalf("after its return a container is %s: %v", c.state(), c["transitioningMessage"])
	}
}

// An agent that is lost is known to be gone before anybody looks for it.
func TestALostAgentIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_TASK_AGENT_PING_SCHEDULE=86400")
		p := in.start()
		agent := start(t, []string{"CATTLE_HOME=" + t.TempDir()}, "agent", "--url", p.url, "--drivers", "sim")
		p.hosts(1, "&kind=sim")
		path := "/v1/agents/" + p.list("/v1/agents?state=active")[0].id()
		agent.kill()
		until(t, "the agent to be missed", 30*time.Second, func() bool { return strings.Contains(why(p, path), "it is disconnected since") })
	})
}

// obeys stops a container and starts it again.
func (p *program) obeys(path, name string) {
	p.t.Helper()
	for _, step := range []struct{ action, state, running string }{{"stop", "stopped", "false"}, {"start", "running", "true"}} {
		p.ask("POST", path+"/?action="+step.action, object{})
		p.becomes(path, step.state)
		if got := docker(p.t, "inspect", "-f", "{{.State.Running}}", name); got != step.running {
			p.t.Errorf("after %s Docker says running: %s", step.action, got)
		}
	}
}

// audit is what an audit of a host says of an instance in one of its lists.
func (p *program) audit(host, list, uuid string) object {
	p.t.Helper()
	status, o := p.ask("POST", host+"?action=audit", object{})
	if status != 200 {
		p.t.Fatalf("the audit answers %d %v", status, o)
	}
	all, _ := o[list].([]any)
	for _, x := range all {
		if one, _ := x.(map[string]any); one["uuid"] == uuid {
			return one
		}
	}
	return nil
}

// Somebody begins containers with Docker's own means. An operator is told of them, and of
// what should run and does not; a setting has them imported, and then they obey.
func TestContainersThatOthersHaveBegun(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p, _, _ := joined(t)
	_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "docker:" + image, "command": "sleep", "commandArgs": []string{"300"}})
	ours, _ := c["uuid"].(string)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", ours).Run() })
	p.becomes("/v1/containers/"+c.id(), "running")
	name := "by-hand-" + freePort(t)
	id := docker(t, "run", "-d", "--name", name, image, "sleep", "300")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", id).Run() })
	host := "/v1/hosts/" + p.list("/v1/hosts?kind=docker")[0].id()
	audit := func(list, uuid string) object {
		t.Helper()
		return p.audit(host, list, uuid)
	}
	if one := audit("unknown", id); one["name"] != name || one["image"] != image || one["instanceId"] != nil {
		t.Errorf("of what others have begun it says %v", one)
	}
	if one := audit("unknown", ours); one != nil || audit("missing", ours) != nil {
		t.Errorf("of ours it says %v", one)
	}
	if n := len(p.list("/v1/containers?uuid=" + id)); n != 0 {
		t.Fatalf("it was imported %d times", n)
	}
	p.ask("POST", "/v1/settings", object{"name": "task.agent.ping.schedule", "value": "0"})
	docker(t, "rm", "-f", ours)
	if one := audit("missing", ours); one["instanceId"] != c.id() {
		t.Errorf("of what is gone it says %v", one)
	}
	p.ask("POST", "/v1/settings", object{"name": "agent.import.instances", "value": "true"})
	p.ask("POST", "/v1/settings", object{"name": "task.agent.ping.schedule", "value": "1"})
	until(t, "it to be imported", 30*time.Second, func() bool { return len(p.list("/v1/containers?uuid="+id)) == 1 })
	path := "/v1/containers/" + p.list("/v1/containers?uuid=" + id)[0].id()
	o := p.becomes(path, "running")
	if o["name"] != name || o["imageUuid"] != "docker:"+image || docker(t, "inspect", "-f", "{{.State.Running}} {{.RestartCount}}", id) != "true 0" {
		t.Errorf("it is imported as %v", o)
	}
	if audit("unknown", id) != nil {
		t.Error("then it is not known")
	}
	p.obeys(path, id)
	p.ask("DELETE", path, nil)
	p.becomes(path, "removed")
	p.ask("POST", path+"/?action=purge", object{})
	p.becomes(path, "purged")
	if n := len(p.list("/v1/containers?uuid=" + id)); n > 1 {
		t.Errorf("it was imported %d times", n)
	}
}
