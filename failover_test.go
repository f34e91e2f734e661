package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/localdev/faulty"
)

// fleet is an installation with hosts whose ways to it can be cut.
type fleet struct {
	*program
	token  string
	agents []*program
	ways   []*faulty.Proxy
	hosts  []string // ids
}

// fleetOf starts one whose instances leave a host that is gone for a second.
func fleetOf(t *testing.T, in *installation, hosts int) *fleet {
	t.Helper()
	in.env = append(in.env, "CATTLE_HA_HOST_RESTART_AFTER_SECONDS=1", "CATTLE_TASK_HOST_FAILOVER_SCHEDULE=0.3", "CATTLE_TASK_AGENT_PING_SCHEDULE=0.5",
		"CATTLE_TASK_PROCESS_WATCH_SCHEDULE=0.5", "CATTLE_TASK_INITIAL_DELAY_SECONDS=0", "CATTLE_IDEMPOTENT_CHECKS=true", "CATTLE_AGENT_TIMEOUT_MILLIS=1000")
	f := &fleet{program: in.start()}
	f.ask("POST", "/v1/registrationtokens", object{})
	until(t, "a token", 30*time.Second, func() bool {
		for _, o := range f.list("/v1/registrationtokens") {
			f.token, _ = o["token"].(string)
		}
		return f.token != ""
	})
	for range hosts {
		f.host(t)
	}
	return f
}

// host adds a host.
func (f *fleet) host(t *testing.T) {
	t.Helper()
	u, err := url.Parse(f.url)
	if err != nil {
		t.Fatal(err)
	}
	w := way(t, u.Host, nil)
	f.ways = append(f.ways, w)
	f.agents = append(f.agents, start(t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DRIVERS=sim"}, "agent", "--url", "http://"+w.Address(), "--token", f.token))
	until(t, "the host to join", 30*time.Second, func() bool {
		for _, h := range f.list("/v1/hosts?state=active&sort=id&kind=sim") {
			if len(f.hosts) < len(f.agents) && !slices.Contains(f.hosts, h.id()) {
				f.hosts = append(f.hosts, h.id())
			}
		}
		return len(f.hosts) == len(f.agents) && len(f.list("/v1/storagepoolhostmaps?state=active")) == len(f.agents) &&
			len(f.list("/v1/agents?state=activating")) == 0
	})
}

// cut takes a host away: it goes on, and nobody reaches it.
func (f *fleet) cut(n int)  { f.ways[n].Refuse(true); f.ways[n].Cut() }
func (f *fleet) mend(n int) { f.ways[n].Refuse(false) }

// on names the host of an instance, "" for none.
func (f *fleet) on(path string) string {
	for _, h := range f.list(path + "/hosts") {
		return h.id()
	}
	return ""
}

// did tells whether an agent has carried out a command about something.
func (f *fleet) did(agent int, command string, o object) bool {
	for _, line := range strings.Split(f.agents[agent].log.String(), "\n") {
		if strings.Contains(line, "command="+command+" ") && strings.Contains(line, "uuid="+fmt.Sprint(o["uuid"])) {
			return true
		}
	}
	return false
}

// A host is cut off. What is to be restarted starts on another; what asks for that host,
// or is to be stopped when it is lost, waits for it. When the host is back it gives up
// what has left it, and keeps the rest.
func TestWhatIsToBeRestartedLeavesAHostThatIsGone(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		f := fleetOf(t, in, 1)
		leaves := f.container(object{"instanceTriggeredStop": "restart"})
		bound := f.container(object{"instanceTriggeredStop": "restart", "requestedHostId": f.hosts[0]})
		stays := f.container(nil)
		for _, path := range []string{leaves, bound, stays} {
			f.becomes(path, "running")
		}
		_, row := f.ask("GET", leaves, nil)
		f.cut(0)
		until(t, "a place to be wanted", 45*time.Second, func() bool {
			_, o := f.ask("GET", leaves, nil)
			return o["state"] == "starting"
		})
		f.host(t)
		f.becomes(leaves, "running")
		if got := f.on(leaves); got != f.hosts[1] {
			t.Errorf("it starts on %s, not on %s", got, f.hosts[1])
		}
		for _, path := range []string{bound, stays} {
			if _, o := f.ask("GET", path, nil); o["state"] != "running" || f.on(path) != f.hosts[0] {
				t.Errorf("%s is %v on %s", path, o["state"], f.on(path))
			}
		}
		if f.did(0, "compute.instance.deactivate", row) {
			t.Error("the host that is gone was asked")
		}
		f.mend(0)
		until(t, "the first host to give it up", 30*time.Second, func() bool { return f.did(0, "compute.instance.deactivate", row) })
		until(t, "its old place to be gone", 30*time.Second, func() bool {
			return len(f.list("/v1/instancehostmaps?state=removed&hostId="+f.hosts[0])) == 1 && len(f.list("/v1/volumestoragepoolmaps?state=removed")) == 1
		})
		log := f.agents[0].log.String()
		if strings.Index(log, "command=compute.instance.deactivate") > strings.Index(log, "command=storage.volume.remove") {
			t.Error("its volume was removed before it had stopped")
		}
		if _, o := f.ask("GET", leaves, nil); o["state"] != "running" || f.on(leaves) != f.hosts[1] {
			t.Errorf("then it is %v on %s", o["state"], f.on(leaves))
		}
		if n := len(f.processes(leaves, "instance.restart")); n != 1 {
			t.Errorf("it was restarted %d times", n)
		}
		for i, taken := range []float64{2, 1} {
			_, h := f.ask("GET", "/v1/hosts/"+f.hosts[i], nil)
			total, _ := h["computeTotal"].(float64)
			if free, _ := h["computeFree"].(float64); total-free != taken {
				t.Errorf("host %d has %v of %v left", i, free, total)
			}
		}
		// It lives on as any other does.
		for _, step := range []struct{ action, state string }{{"stop", "stopped"}, {"start", "running"}, {"restart", "running"}} {
			f.ask("POST", leaves+"/?action="+step.action, object{})
			f.becomes(leaves, step.state)
		}
	})
}

// A host goes while something is started there for the first time: that starts on another,
// whatever is to become of it when it is lost. What the old host had begun it gives up
// when it is back, and what it had not begun it never begins.
func TestAStartThatIsUnderWayLeavesAHostThatIsGone(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_EVENTING_TIMEOUT_MILLIS=2000")
		f := fleetOf(t, in, 1)
		begun := f.container(object{"data": object{"simScript": "compute.instance.activate lose 3"}})
		_, row := f.ask("GET", begun, nil)
		until(t, "the host to begin it", 30*time.Second, func() bool { return f.did(0, "compute.instance.activate", row) })
		f.cut(0)
		until(t, "the host to be missed", 30*time.Second, func() bool { return f.scrape()["cattle_hosts_gone"] == 1 })
		fresh := f.container(nil)
		_, other := f.ask("GET", fresh, nil)
		f.host(t)
		for _, path := range []string{begun, fresh} {
			f.becomes(path, "running")
			if got := f.on(path); got != f.hosts[1] {
				t.Errorf("%s runs on %s, not on %s", path, got, f.hosts[1])
			}
		}
		f.mend(0)
		until(t, "the first host to come back and give it up", 2*time.Minute, func() bool { return f.did(0, "compute.instance.deactivate", row) })
		until(t, "the old places to be gone", 30*time.Second, func() bool {
			return len(f.list("/v1/instancehostmaps?state=removed&hostId="+f.hosts[0])) == 2 && len(f.list("/v1/volumestoragepoolmaps?state=removed")) == 2
		})
		if f.did(0, "compute.instance.activate", other) {
			t.Error("the first host has begun what had left it")
		}
		for _, path := range []string{begun, fresh} {
			if _, o := f.ask("GET", path, nil); o["state"] != "running" || f.on(path) != f.hosts[1] {
				t.Errorf("then %s is %v on %s", path, o["state"], f.on(path))
			}
		}
	})
}

// Most hosts are gone at once: it is rather the network that is, and nothing moves until an
// operator says so.
func TestNothingLeavesWhenManyHostsAreGone(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		f := fleetOf(t, in, 3)
		var all []string
		for range 6 {
			path := f.container(object{"instanceTriggeredStop": "restart"})
			f.becomes(path, "running")
			all = append(all, path)
		}
		f.cut(0)
		f.cut(1)
		until(t, "the storm to be seen", 45*time.Second, func() bool {
			return f.scrape()["cattle_failover_held"] == 1 && f.scrape()["cattle_hosts_gone"] == 2
		})
		gone := 0
		for _, path := range all {
			if on := f.on(path); on != f.hosts[2] {
				gone++
			}
		}
		rounds := f.scrape()["cattle_watch_timestamp_seconds"]
		until(t, "several rounds more", 30*time.Second, func() bool { return f.scrape()["cattle_watch_timestamp_seconds"] > rounds+3 })
		if n := len(f.list("/v1/processinstances?processName=instance.restart")); n != 0 || gone == 0 {
			t.Fatalf("of %d instances %d left", gone, n)
		}
		f.ask("POST", "/v1/settings", object{"name": "ha.host.lost.limit.percent", "value": "100"})
		for _, path := range all {
			until(t, "all to run where they can", 45*time.Second, func() bool {
				_, o := f.ask("GET", path, nil)
				return o["state"] == "running" && f.on(path) == f.hosts[2]
			})
		}
		if n := len(f.list("/v1/processinstances?processName=instance.restart")); n != gone {
			t.Errorf("of %d instances %d left", gone, n)
		}
	})
}
