package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
	"github.com/cattleio/cattle/workers/agent/driver/drivertest"
)

func TestStories(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) drivertest.Subject {
		d, _ := open(t)
		return drivertest.Subject{
			Driver: d, ImageUUID: "docker:" + busybox, Fields: map[string]any{"command": "sleep 600"},
			Break: func(instance map[string]any) { instance["image"] = nil },
		}
	})
}

// host is an instance on a real engine, to be changed between commands.
type host struct {
	*wire.Instance
	driver *docker.Driver
	engine *client.Client
	t      *testing.T
}

func newHost(t *testing.T, command string) *host {
	t.Helper()
	d, c := open(t)
	h := &host{Instance: &wire.Instance{UUID: uuid.NewString(), Image: &wire.Image{UUID: "docker:" + busybox}}, driver: d, engine: c, t: t}
	h.Data.Fields.Command = command
	t.Cleanup(func() {
		_, _ = c.ContainerRemove(context.WithoutCancel(t.Context()), h.UUID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	return h
}

// answer is the reply of an instance command as the server reads it.
type answer struct {
	Instance struct {
		Data seen `json:"+data"`
	} `json:"instance"`
}

type seen struct {
	DockerContainer struct {
		ID      string `json:"Id"`
		Names   []string
		Image   string
		Command string
		Created int64
		Status  string
	} `json:"dockerContainer"`
	DockerInspect struct {
		Config struct {
			Hostname, User, WorkingDir string
			Env                        []string
			Volumes                    map[string]any
			Labels                     map[string]string
		}
		HostConfig struct {
			Privileged bool
			Binds      []string
		}
		State struct{ Running bool }
	} `json:"dockerInspect"`
	Fields struct {
		HostIP string             `json:"dockerHostIp"`
		Ports  map[string]*string `json:"dockerPorts"`
		IP     string             `json:"dockerIp"`
	} `json:"+fields"`
}

func (h *host) start() seen { h.t.Helper(); return h.must(h.driver.Start) }
func (h *host) stop() seen  { h.t.Helper(); return h.must(h.driver.Stop) }

func (h *host) command() driver.InstanceCommand {
	return driver.InstanceCommand{Map: wire.InstanceHostMap{Instance: *h.Instance}, Progress: func(string, int) {}}
}

func (h *host) must(verb func(context.Context, driver.InstanceCommand) (any, error)) seen {
	h.t.Helper()
	data, err := verb(h.t.Context(), h.command())
	if err != nil {
		h.t.Fatal(err)
	}
	raw, err := wire.Encode(data)
	if err != nil {
		h.t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		h.t.Fatalf("%v: %s", err, raw)
	}
	return a.Instance.Data
}

func TestReplyTellsWhatUsersLookAt(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	started := h.start()
	c := started.DockerContainer
	if c.Image != busybox || c.Command != "sleep 600" || c.Names[0] != "/"+h.UUID || c.Created == 0 || !strings.HasPrefix(c.Status, "Up") {
		t.Errorf("container %+v", c)
	}
	if !started.DockerInspect.State.Running || started.Fields.HostIP != "127.0.0.1" || net.ParseIP(started.Fields.IP) == nil {
		t.Errorf("got %+v", started.Fields)
	}
	stopped := h.stop()
	if stopped.DockerContainer.ID != c.ID || stopped.DockerInspect.State.Running || stopped.Fields.IP != "" || len(stopped.Fields.Ports) != 0 {
		t.Errorf("got %+v", stopped)
	}
}

func TestCommandWithArguments(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep")
	h.Data.Fields.CommandArgs = []string{"600", "601"}
	if got := h.start().DockerContainer.Command; got != "sleep 600 601" {
		t.Errorf("got %q", got)
	}
}

func TestOptionsReachTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	h.Hostname = "red"
	dir := t.TempDir()
	fields := &h.Data.Fields
	fields.Environment = map[string]any{"A": "1", "B": 2.0}
	fields.Directory, fields.User, fields.Privileged = "/tmp", "nobody", true
	fields.DockerVolumes = []string{"/data", dir + ":/host", dir + ":/look:ro"}
	got := h.start().DockerInspect
	if got.Config.Hostname != "red" || got.Config.User != "nobody" || got.Config.WorkingDir != "/tmp" || !got.HostConfig.Privileged {
		t.Errorf("got %+v", got)
	}
	if !slices.Contains(got.Config.Env, "A=1") || !slices.Contains(got.Config.Env, "B=2") {
		t.Errorf("environment %q", got.Config.Env)
	}
	if _, found := got.Config.Volumes["/data"]; !found || !slices.Equal(got.HostConfig.Binds, []string{dir + ":/host", dir + ":/look:ro"}) {
		t.Errorf("volumes %v, binds %v", got.Config.Volumes, got.HostConfig.Binds)
	}
	if got.Config.Labels["io.cattle.instance.uuid"] != h.UUID || got.Config.Labels["io.cattle.agent.uuid"] != "agent" {
		t.Errorf("labels %v", got.Config.Labels)
	}
}

func TestPortsArePublishedAndStayThroughARestart(t *testing.T) {
	t.Parallel()
	public := freePort(t)
	h := newHost(t, "sleep 600")
	h.Data.Fields.Ports = []string{fmt.Sprintf("%d:80", public), "81/udp"}
	h.Ports = []wire.Port{
		{Kind: "userPort", PrivatePort: 80, PublicPort: public, Protocol: "tcp"},
		{Kind: "userPort", PrivatePort: 81, Protocol: "udp"},
		{Kind: "userPort", PrivatePort: 82, Protocol: "tcp", Removed: 1399466096000},
	}
	first := h.start()
	if got := first.Fields.Ports["80/tcp"]; got == nil || *got != fmt.Sprint(public) {
		t.Fatalf("ports %v", first.Fields.Ports)
	}
	chosen := first.Fields.Ports["81/udp"]
	if chosen == nil || len(first.Fields.Ports) != 2 {
		t.Fatalf("ports %v", first.Fields.Ports)
	}
	h.stop()
	h.echo(first)
	if again := h.start(); again.DockerContainer.ID != first.DockerContainer.ID {
		t.Error("the container was made anew for ports that only repeat our reply")
	}
}

// echo does to the rows what the server does with a reply: chosen ports become
// public ones, and what the image exposes becomes rows.
func (h *host) echo(reply seen) {
	h.Data.Fields.DockerPorts = map[string]any{}
	for key, public := range reply.Fields.Ports {
		h.Data.Fields.DockerPorts[key] = *public
	}
	port, err := strconv.ParseUint(*reply.Fields.Ports["81/udp"], 10, 16)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Ports[1].PublicPort = uint16(port)
	h.Ports = append(h.Ports, wire.Port{Kind: "imagePort", PrivatePort: 8080, PublicPort: 49153, Protocol: "tcp"})
}

func TestChangedOptionsMakeTheContainerAnew(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	first := h.start().DockerContainer.ID
	h.Data.Fields.Environment = map[string]any{"NEW": "1"}
	if running := h.start().DockerContainer.ID; running != first {
		t.Error("a running container was replaced")
	}
	h.stop()
	if anew := h.start(); anew.DockerContainer.ID == first || !slices.Contains(anew.DockerInspect.Config.Env, "NEW=1") {
		t.Errorf("still %s with %q", anew.DockerContainer.ID, anew.DockerInspect.Config.Env)
	}
}

func TestLinkKnowsItsTarget(t *testing.T) {
	t.Parallel()
	target, h := newHost(t, "sleep 600"), newHost(t, "sleep 600")
	target.start()
	h.Links = []wire.InstanceLink{{Name: "mysql", Target: &wire.Instance{UUID: target.UUID}}}
	h.Data.Fields.Command, h.Data.Fields.CommandArgs = "sh", []string{"-c", "sleep 1; grep mysql /etc/hosts"}
	h.start()
	exited := h.engine.ContainerWait(t.Context(), h.UUID, client.ContainerWaitOptions{})
	select {
	case end := <-exited.Result:
		if end.StatusCode != 0 {
			t.Errorf("mysql is not known: exit code %d", end.StatusCode)
		}
	case err := <-exited.Error:
		t.Error(err)
	}
	all, err := h.driver.Report(t.Context(), wire.PingOptions{Instances: true})
	if err != nil || !slices.ContainsFunc(all, func(r wire.Resource) bool { return r.UUID == target.UUID }) {
		t.Errorf("%v: a link's name hides its target: %v", err, all)
	}
}

func TestStubbornContainerIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sh")
	h.Data.Fields.CommandArgs = []string{"-c", "trap '' TERM; while true; do sleep 1; done"}
	h.start()
	if h.stop().DockerInspect.State.Running {
		t.Error("still running")
	}
}

func TestInstanceThatEndsAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sh")
	h.Data.Fields.CommandArgs = []string{"-c", "exit 3"}
	for range 100 { // a start may be faster than the end it should notice
		if _, err := h.driver.Start(t.Context(), h.command()); err != nil {
			if !strings.Contains(err.Error(), "ended at once with exit code 3") {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("never refused")
}

func TestInstanceWithoutImageIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	h.Image = nil
	_, err := h.driver.Start(t.Context(), h.command())
	if err == nil || err.Error() != "Can not start container with no image" {
		t.Errorf("got %v", err)
	}
}

func TestOtherAgentsContainersAreNotReported(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	h.start()
	other, err := docker.New(docker.Config{AgentUUID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := other.Report(t.Context(), wire.PingOptions{Instances: true})
	if err != nil || slices.ContainsFunc(all, func(r wire.Resource) bool { return r.UUID == h.UUID }) {
		t.Errorf("%v: %v", err, all)
	}
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
