package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// island is a network of its own, joined to this machine by a cable.
type island struct {
	t       *testing.T
	netns   string // "" is the network of this machine
	address string // of the island
	server  string // of this machine, as the island sees it
}

// mainland is the network of this machine.
func mainland(t *testing.T) *island {
	return &island{t: t, address: "127.0.0.1", server: "127.0.0.1"}
}

var subnets atomic.Int32

func newIsland(t *testing.T) *island {
	t.Helper()
	n := subnets.Add(1)
	block := (os.Getpid() + int(n)) % 16384 * 4 // tests of several programs may run at once
	i := &island{t: t, netns: fmt.Sprintf("cattle%d-%d", os.Getpid(), n),
		server: fmt.Sprintf("10.77.%d.%d", block/256, block%256+1), address: fmt.Sprintf("10.77.%d.%d", block/256, block%256+2)}
	cable := fmt.Sprintf("ct%d-%d", os.Getpid()%1_000_000, n)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", i.netns).Run() })
	for _, line := range []string{
		"netns add NS", "link add CABLE type veth peer name eth0 netns NS", "address add " + i.server + "/30 dev CABLE", "link set CABLE up",
		"-n NS address add " + i.address + "/30 dev eth0", "-n NS link set eth0 up", "-n NS link set lo up",
	} {
		line = strings.NewReplacer("NS", i.netns, "CABLE", cable).Replace(line)
		if err := mainland(t).run(append([]string{"ip"}, strings.Fields(line)...)...); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// inside is how something is run in this network.
func (i *island) inside(args ...string) []string {
	if i.netns == "" {
		return args
	}
	return append([]string{"nsenter", "--net=/run/netns/" + i.netns}, args...)
}

func (i *island) command(args ...string) *exec.Cmd {
	args = i.inside(args...)
	return exec.Command(args[0], args[1:]...)
}

func (i *island) run(args ...string) error {
	if out, err := i.command(args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// cable plugs the cable of the island in, or out.
func (i *island) cable(way string) {
	i.t.Helper()
	if err := i.run("ip", "link", "set", "eth0", way); err != nil {
		i.t.Fatal(err)
	}
}

// lose has what is sent from the island get lost, what is sent to it, or both.
func (i *island) lose(out, in bool) {
	for _, rule := range []struct {
		lost bool
		args string
	}{{out, "OUTPUT -o eth0"}, {in, "INPUT -i eth0"}} {
		if !rule.lost {
			continue
		}
		if err := i.run(strings.Fields("iptables -w -A " + rule.args + " -j DROP")...); err != nil {
			i.t.Error(err)
		}
	}
}

// heal lets everything pass.
func (i *island) heal() {
	if err := i.run("iptables", "-w", "-F"); err != nil {
		i.t.Error(err)
	}
}
