package docker

import (
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/wire"
)

func TestCommandLineIsSplitAsAShellDoes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"sleep 42":                  "sleep|42",
		"  sh   -c 'a  b' ":         "sh|-c|a  b",
		`echo "a \"b\" \n" c\ d ""`: `echo|a "b" \n|c d|`,
		`x='y z'w`:                  "x=y zw",
	} {
		got, err := words(line)
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
	}
	if _, err := words("echo 'open"); err == nil {
		t.Error("an open quote was accepted")
	}
}

func TestServicesOfANetworkChangeTheOptions(t *testing.T) {
	t.Parallel()
	instance := &wire.Instance{
		Nics:  []wire.Nic{{Network: wire.Network{Services: []wire.NetworkService{{Kind: "portService"}, {Kind: "linkService"}}}}},
		Ports: []wire.Port{{PrivatePort: 80, PublicPort: 8080, Protocol: "tcp"}},
		Links: []wire.InstanceLink{{Name: "mysql", Target: &wire.Instance{UUID: "t"}}},
	}
	instance.Links[0].Data.Fields.Ports = []wire.LinkPort{{PrivatePort: 3306, PublicPort: 12345, Protocol: "tcp", IPAddress: "10.42.0.2"}}
	instance.Data.Fields.Environment = map[string]any{"MYSQL_NAME": "mine"}
	if p := wantedPorts(instance, wire.Place{}); p.publishAll || len(p.bindings) != 1 {
		t.Errorf("ports %+v", p)
	}
	if l := links(instance); l != nil {
		t.Errorf("links %v", l)
	}
	want := "MYSQL_NAME=mine MYSQL_PORT=tcp://10.42.0.2:12345 MYSQL_PORT_3306_TCP=tcp://10.42.0.2:12345 " +
		"MYSQL_PORT_3306_TCP_ADDR=10.42.0.2 MYSQL_PORT_3306_TCP_PORT=12345 MYSQL_PORT_3306_TCP_PROTO=tcp"
	if got := strings.Join(environment(instance, "http://10.0.0.1:8080/v1"), " "); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

func TestAnAgentInAContainerIsToldWhereTheServerIs(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"http://10.0.0.1:8080/v1": "CATTLE_CONFIG_URL=http://10.0.0.1:8080/v1", "https://cattle.example/v1": "CATTLE_CONFIG_URL=https://cattle.example/v1",
		"http://localhost:4711/v1": "", "http://127.0.0.1:8080/v1": "", "http://[::1]:8080/v1": "", "": "",
	} {
		if got := strings.Join(environment(&wire.Instance{AgentID: 5}, server), " "); got != want {
			t.Errorf("with %q it is told %q", server, got)
		}
	}
}

// Names are read as Docker reads them: what follows the first slash or colon may be a port.
func TestNamesOfImages(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for name, want := range map[string]string{
		"busybox": "busybox:latest", "busybox:1": "busybox:1", "a/b": "a/b:latest", "a/b:1": "a/b:1", "quay.io/a/b": "quay.io/a/b:latest",
		"docker.io/library/busybox": "busybox:latest", "host:5000/b": "host:5000/b:latest", "host:5000/a/b/c:1.2_3-x": "host:5000/a/b/c:1.2_3-x",
		"localhost/b": "localhost/b:latest", "b@" + digest: "b@" + digest, "host:5000/a/b@" + digest: "host:5000/a/b@" + digest,
		"host:5000/b:1@" + digest: "host:5000/b:1@" + digest,
		"":                        "error", "a b": "error", "A": "error", "host:port/b": "error", "b@sha256:0": "error", "../b": "error", "-b": "error",
	} {
		got, err := imageName(&wire.Image{UUID: "docker:" + name})
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q is %q; want %q", name, got, want)
		}
	}
}
