package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
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
		Config struct{ Env []string }
		State  struct{ Running bool }
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
	return driver.InstanceCommand{Map: wire.InstanceHostMap{Instance: *h.Instance, Host: wire.Place{ID: 7}}, Progress: func(string, int) {}}
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

// Every field of an instance that says something about its container, and what the engine
// then says of it.
func TestWhatTheFieldsOfAnInstanceMeanToTheEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := freePort(t), freePort(t)
	for name, c := range map[string]struct {
		change func(*wire.Instance)
		want   map[string]string // by path in what inspect tells
	}{
		"nothing": {func(*wire.Instance) {}, map[string]string{
			"Config.Cmd": `["sleep","600"]`, "Config.Entrypoint": "null", "Config.WorkingDir": `""`, "Config.User": `""`, "Config.Volumes": "null",
			"HostConfig.Privileged": "false", "HostConfig.Binds": "null", "HostConfig.CapAdd": "null", "HostConfig.Devices": "null", "HostConfig.Links": "null",
			"HostConfig.Memory": "0", "HostConfig.NanoCpus": "0", "HostConfig.RestartPolicy.MaximumRetryCount": "0", "HostConfig.NetworkMode": `"default"`,
			"HostConfig.PidMode": `""`, "HostConfig.PublishAllPorts": "true", "Config.Image": `"` + busybox + `"`}},
		"command with blanks": {func(i *wire.Instance) { i.Data.Fields.Command = `sh -c "sleep 600"` }, map[string]string{"Config.Cmd": `["sh","-c","sleep 600"]`}},
		"commandArgs": {func(i *wire.Instance) {
			i.Data.Fields.Command, i.Data.Fields.CommandArgs = "sh", []string{"-c", "sleep 600 # a  b"}
		}, map[string]string{"Config.Cmd": `["sh","-c","sleep 600 # a  b"]`, "Path": `"sh"`, "Args": `["-c","sleep 600 # a  b"]`}},
		"environment": {func(i *wire.Instance) {
			i.Data.Fields.Environment = map[string]any{"A": "1", "B": 2.0, "C": "x=y z", "D": nil, "E": true}
		}, map[string]string{"Config.Env": `["A=1","B=2","C=x=y z","D=","E=true"`}},
		"directory":          {func(i *wire.Instance) { i.Data.Fields.Directory = "/tmp" }, map[string]string{"Config.WorkingDir": `"/tmp"`}},
		"user":               {func(i *wire.Instance) { i.Data.Fields.User = "12:34" }, map[string]string{"Config.User": `"12:34"`}},
		"hostname":           {func(i *wire.Instance) { i.Hostname = "red" }, map[string]string{"Config.Hostname": `"red"`}},
		"hostname as of old": {func(i *wire.Instance) { i.Data.Fields.Hostname = "blue" }, map[string]string{"Config.Hostname": `"blue"`}},
		"privileged":         {func(i *wire.Instance) { i.Data.Fields.Privileged = true }, map[string]string{"HostConfig.Privileged": "true"}},
		"volumes of its own": {func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"/data", "/more"} }, map[string]string{"Config.Volumes": `{"/data":{},"/more":{}}`, "HostConfig.Binds": "null"}},
		"volumes of the host": {func(i *wire.Instance) {
			i.Data.Fields.DockerVolumes = []string{dir + ":/a", dir + ":/b:ro", dir + ":/c:rw", dir + ":/d:z,ro", dir + ":/e:ro,rw"}
		}, map[string]string{
			"HostConfig.Binds": `["` + dir + `:/a","` + dir + `:/b:ro","` + dir + `:/c","` + dir + `:/d:z,ro","` + dir + `:/e:ro"]`}},
		"ports": {func(i *wire.Instance) {
			i.Ports = []wire.Port{{PrivatePort: 80, PublicPort: one, Protocol: "tcp"}, {PrivatePort: 80, Protocol: "udp"}, {PrivatePort: 81}, {Kind: "imagePort", PrivatePort: 82}}
		}, map[string]string{"Config.ExposedPorts": `{"80/tcp":{},"80/udp":{},"81/tcp":{}}`,
			"HostConfig.PortBindings": fmt.Sprintf(`{"80/tcp":[{"HostIp":"","HostPort":"%d"}]}`, one), "HostConfig.PublishAllPorts": "true"}},
		"the end of a tunnel": {func(i *wire.Instance) {
			i.AgentID, i.Data.Ipsec = 5, map[string]wire.TunnelEnd{"7": {ISAKMP: one + 1, NAT: two}, "8": {ISAKMP: 500, NAT: 4500}}
			i.Nics = []wire.Nic{{Network: wire.Network{Services: []wire.NetworkService{{Kind: "ipsecTunnelService"}, {Kind: "portService"}}}}}
		}, map[string]string{"Config.ExposedPorts": `{"4500/udp":{},"500/udp":{}}`, "HostConfig.PublishAllPorts": "false",
			"HostConfig.PortBindings": fmt.Sprintf(`{"4500/udp":[{"HostIp":"0.0.0.0","HostPort":"%d"}],"500/udp":[{"HostIp":"0.0.0.0","HostPort":"%d"}]}`, two, one+1)}},
		"who made it": {func(*wire.Instance) {}, map[string]string{"Config.Labels.io\\.cattle\\.agent\\.uuid": `"agent"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "sleep 600")
			c.change(h.Instance)
			// A privileged one is made everywhere, but starts only where the engine itself has all privileges.
			if _, err := h.driver.Start(t.Context(), h.command()); err != nil && !h.Data.Fields.Privileged {
				t.Fatal(err)
			}
			raw, err := h.engine.ContainerInspect(t.Context(), h.UUID, client.ContainerInspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range c.want {
				if got := at(t, raw.Raw, path); got != want && !strings.HasPrefix(got, want+",") {
					t.Errorf("%s is %s; want %s", path, got, want)
				}
			}
		})
	}
}

// at is what stands at a path in JSON.
func at(t *testing.T, raw json.RawMessage, path string) string {
	t.Helper()
	for _, name := range strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		var here map[string]json.RawMessage
		if err := json.Unmarshal(raw, &here); err != nil {
			t.Fatal(err)
		}
		raw = here[strings.ReplaceAll(name, "\x00", ".")]
	}
	return string(raw)
}

// What would say more than its field is for is refused before the engine is asked.
func TestWhatNoContainerIsMadeOf(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*wire.Instance){
		"cannot name a container": func(i *wire.Instance) { i.UUID = "../images/x" },
		"cannot name a link": func(i *wire.Instance) {
			i.Links = []wire.InstanceLink{{Name: "../../x", Target: &wire.Instance{UUID: "t"}}}
		},
		`"a:b" cannot name`: func(i *wire.Instance) {
			i.Links = []wire.InstanceLink{{Name: "a:b", Target: &wire.Instance{UUID: "t"}}}
		},
		`"A=B" cannot name`:       func(i *wire.Instance) { i.Data.Fields.Environment = map[string]any{"A=B": "c"} },
		`"" cannot name`:          func(i *wire.Instance) { i.Data.Fields.Environment = map[string]any{"": "c"} },
		"zero byte":               func(i *wire.Instance) { i.Data.Fields.Environment = map[string]any{"A": "b\x00c"} },
		`"data" is no volume`:     func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"data"} },
		`"../x:/y" is no volume`:  func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"../x:/y"} },
		`"/x:y" is no volume`:     func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"/x:y"} },
		`"/x:/y/.." is no volume`: func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"/x:/y/.."} },
		`"/x:/y:ro:z" is no`:      func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"/x:/y:ro:z"} },
		`there is no mode "r0"`:   func(i *wire.Instance) { i.Data.Fields.DockerVolumes = []string{"/x:/y:r0"} },
		"a quote is not closed":   func(i *wire.Instance) { i.Data.Fields.Command = "sh -c 'x" },
		"cannot read image name":  func(i *wire.Instance) { i.Image = &wire.Image{UUID: "docker:Not/A Name"} },
	} {
		h := newHost(t, "sleep 600")
		change(h.Instance)
		if _, err := h.driver.Start(t.Context(), h.command()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
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

// A container on a managed network has the address of its nic beside that of the engine, is
// found there by others, and gets it also when an agent died before it was given.
func TestAContainerHasTheAddressOfItsNic(t *testing.T) {
	t.Parallel()
	nic := func(address, mac string) []wire.Nic {
		return []wire.Nic{{MACAddress: mac, Addresses: []wire.IPAddress{{Address: "172.17.99.99", Role: "primary"},
			{Address: address, Role: "primary", Subnet: &wire.Subnet{CIDRSize: 24}}}}}
	}
	inside := func(h *host, command ...string) string {
		out, err := exec.CommandContext(t.Context(), "docker", append([]string{"exec", h.UUID}, command...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	serves := newHost(t, "sh -c 'while :; do echo here | nc -l -p 8080; done'")
	serves.start() // as by an agent that died then
	serves.Nics = nic("10.219.7.3", "02:db:07:00:00:03")
	for range 2 {
		serves.start()
		if got := inside(serves, "ip", "addr", "show", "eth0"); strings.Count(got, "inet 10.219.7.3/24 ") != 1 || !strings.Contains(got, "link/ether 02:db:07:00:00:03 ") || !strings.Contains(got, "inet 172.") {
			t.Errorf("its card is %s", got)
		}
	}
	asks := newHost(t, "sleep 600")
	asks.Nics = nic("10.219.7.4", "")
	asks.start()
	if got := inside(asks, "nc", "-w", "10", "10.219.7.3", "8080"); got != "here\n" {
		t.Errorf("the other is found as %q", got)
	}
	asks.Nics = nic("nowhere", "")
	if _, err := asks.driver.Start(t.Context(), asks.command()); err == nil || !strings.Contains(err.Error(), "its address nowhere") {
		t.Errorf("no address is given: %v", err)
	}
}
