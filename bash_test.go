package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bash runs one of the scripts in a directory of its own. Only the address in it is
// another one.
func (p *program) bash(dir, name string) *tail {
	p.t.Helper()
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				p.t.Fatalf("there is no %s here; localdev/prepare installs it", tool)
			}
			p.t.Skipf("there is no %s here; localdev/prepare installs it", tool)
		}
	}
	for _, file := range []string{name, "handler.sh"} {
		text, err := os.ReadFile(filepath.Join("testdata", "bash", file))
		if err != nil {
			p.t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "http://localhost:8080", p.url))
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	said := &tail{}
	cmd := exec.Command(filepath.Join(dir, name))
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its pipes end with it
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", name, said)
		}
	})
	return said
}

func TestTheHandlerInBash(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	said := p.bash(t.TempDir(), "simple_handler.sh")
	until(t, "the handler to be in effect", 20*time.Second, func() bool { return len(p.list("/v1/externalhandlers?state=active&name=demo")) == 1 })
	path := p.container(object{"name": "for bash"})
	if c := p.becomes(path, "running"); data(c)["hello"] != "world" {
		t.Errorf("the reply was not merged: %v", data(c))
	}
	if hosts := p.list(path + "/hosts"); len(hosts) != 1 {
		t.Errorf("the built-in logic did not run: %d hosts", len(hosts))
	}
	if !strings.Contains(said.String(), `"for bash"`) {
		t.Error("the script did not read the resource")
	}
	if status, o := p.ask("POST", "/v1/externalhandlers", object{"uuid": "demohandler1", "name": "demo", "processNames": []string{"instance.start"}}); status != 409 {
		t.Errorf("registering again answers %d %v", status, o)
	}
}

func TestTheHypervisorInBash(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		dir := t.TempDir()
		p.bash(dir, "hypervisor.sh")
		changes := p.bash(t.TempDir(), "resource_change.sh")
		until(t, "the host of the hypervisor", 60*time.Second, func() bool { return len(p.list("/v1/hosts?state=active&kind=bash-hv")) == 1 })
		until(t, "its pool", 30*time.Second, func() bool { return len(p.list("/v1/storagepools?state=active&kind=bash-hv")) == 1 })
		if agents := p.list("/v1/agents?uuid=bash-hv-uuid"); len(agents) != 1 || agents[0].state() != "active" {
			t.Fatalf("the agents are %v", agents)
		}
		host := p.list("/v1/hosts?kind=bash-hv")[0]
		_, image := p.ask("POST", "/v1/images", object{"name": "an image of files", "uuid": "bash-image"})
		p.becomes("/v1/images/"+image.id(), "active")
		path := p.container(object{"imageUuid": nil, "imageId": image.id(), "requestedHostId": host.id()})
		c := p.becomes(path, "running")
		uuid := c["uuid"].(string)
		file := filepath.Join(dir, "instance-bash-hv-uuid-host", uuid)
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), `\`) {
			t.Errorf("what was started is %q: %v", text, err)
		}
		for _, v := range p.list(path + "/volumes") {
			if v["format"] != "touch" {
				t.Errorf("the volume's format is %v", v["format"])
			}
		}
		until(t, "the change to be told", 2*time.Minute, func() bool { return strings.Contains(changes.String(), "instance:"+c.id()+" running") })
		p.ask("POST", path+"/?action=stop", object{"remove": true})
		until(t, "the container to be removed", 45*time.Second, func() bool { _, c = p.ask("GET", path, nil); return c.state() == "removed" })
		if _, err := os.Stat(file); err == nil {
			t.Error("the file of the instance is still there")
		}
	})
}
