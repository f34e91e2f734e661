package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A host, a pool and a tie that a connected agent gains are there without a new
// connection, once each, and belong to whoever the agent's resources belong to.
func TestWhatAnAgentGainsIsTakenIn(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_AGENT_PING_RESOURCES_EVERY=1", "CATTLE_TASK_AGENT_PING_SCHEDULE=86400", "CATTLE_AGENT_RESOURCE_MONITOR_CACHE_RESOURCE_SECONDS=0")
		p := in.start()
		var hosts atomic.Int64
		hosts.Store(1)
		a, leave := p.reports("grows", func(options map[string]any) (has []object) {
			if options["resources"] != true {
				return nil
			}
			has = append(has, object{"type": "physicalHost", "kind": "classic", "uuid": "grows-machine"})
			for n := range hosts.Load() {
				has = append(has, object{"type": "host", "kind": "classic", "uuid": fmt.Sprint("grows-host-", n), "physicalHostUuid": "grows-machine"},
					object{"type": "storagePool", "kind": "classic", "uuid": "grows-pool", "hostUuid": fmt.Sprint("grows-host-", n)})
			}
			return has
		})
		defer leave()
		p.becomes("/v1/agents/"+a.id(), "active")
		hosts.Store(2)
		until(t, "the second host and its pool", 30*time.Second, func() bool {
			p.ping()
			return len(p.list("/v1/hosts?state=active&uuid_like=grows-host-%25")) == 2 && len(p.list("/v1/storagepoolhostmaps?state=active")) == 2
		})
		second := p.list("/v1/hosts?uuid=grows-host-1")[0]
		if _, agent := p.ask("GET", "/v1/agents/"+a.id(), nil); second["accountId"] != agent["accountId"] || second["physicalHostId"] == nil || second["agentId"] != a.id() {
			t.Errorf("the second host is %v", second)
		}
		if n := len(p.list("/v1/storagepools?uuid=grows-pool")); n != 1 {
			t.Errorf("there are %d pools", n)
		}
		p.meddles("grows-host-0")
	})
}

// reports joins an agent that answers pings alone, with what it has. It goes when leave is
// called.
func (p *program) reports(uuid string, has func(options map[string]any) []object) (a object, leave func()) {
	p.t.Helper()
	a = p.event(uuid)
	l := p.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["ping"]}`, a.id()))
	var answers sync.WaitGroup
	answers.Go(func() {
		for r := range l.frames {
			if r["replyTo"] == nil {
				continue
			}
			options, _ := data(r)["options"].(map[string]any)
			p.reply(r, object{"data": object{"options": options, "resources": has(options)}, "resourceType": "agent", "resourceId": "1a999"}) // whoever that is

		}
	})
	return a, func() { l.close(); answers.Wait() }
}

// Of what an agent reports each entry stands for itself: one that cannot be taken in hides
// no other, neither when the agent comes nor later, and the agent shows which and why.
func TestABadEntryOfAReportHidesNoOther(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_AGENT_PING_RESOURCES_EVERY=1", "CATTLE_TASK_AGENT_PING_SCHEDULE=86400", "CATTLE_AGENT_RESOURCE_MONITOR_CACHE_RESOURCE_SECONDS=0")
		p := in.start()
		first, leave := p.reports("first", func(map[string]any) []object {
			return []object{{"type": "host", "kind": "classic", "uuid": "first-host"}}
		})
		p.becomes("/v1/agents/"+first.id(), "active")
		leave()
		var kind atomic.Value
		kind.Store("classic")
		a, leave := p.reports("odd", func(map[string]any) []object {
			return []object{
				{"type": "host", "uuid": "odd-name", "name": 5},
				{"type": "host", "uuid": "odd-long", "name": strings.Repeat("long", 100)},
				{"type": "host", "uuid": strings.Repeat("odd", 100)},
				{"type": "host", "uuid": "odd-data", "data": "a text"},
				{"type": "host", "uuid": 7},
				{"type": "host", "uuid": "odd\x00null"},
				{"type": "host", "kind": "classic", "uuid": "first-host"},
				{"type": "storagePool", "kind": "classic", "uuid": "odd-pool", "hostUuid": "odd-host"},
				{"type": "host", "kind": kind.Load(), "uuid": "odd-host", "state": "purged", "isPublic": true, "computeFree": 5, "agentId": 1, "accountId": 1},
			}
		})
		defer leave()
		path := "/v1/agents/" + a.id()
		refused := func() object {
			_, agent := p.ask("GET", path, nil)
			list, _ := data(agent)["refusedReports"].(map[string]any)
			return list
		}
		p.becomes(path, "active")
		if hosts, pools := p.list(path+"/hosts"), p.list(path+"/storagepools"); len(hosts) != 1 || hosts[0]["uuid"] != "odd-host" || len(pools) != 1 {
			t.Errorf("it has the hosts %v and the pools %v", hosts, pools)
		}
		if host := p.list(path + "/hosts")[0]; host["isPublic"] != false || host["computeFree"] != 1000000.0 || host["agentId"] != a.id() || host["accountId"] == "1a1" {
			t.Errorf("the agent has made its host %v", host)
		}
		if list := refused(); list["host first-host"] == nil || list["host odd-long"] == nil || list["host odd-host"] != nil {
			t.Errorf("refused are %v", list)
		}
		kind.Store("another")
		until(t, "a host of another kind is refused", 30*time.Second, func() bool { p.ping(); return refused()["host odd-host"] != nil })
		kind.Store("classic")
		until(t, "it is as it was", 30*time.Second, func() bool { p.ping(); return refused()["host odd-host"] == nil })
		if host := p.list("/v1/hosts?uuid=odd-host")[0]; host["kind"] != "classic" {
			t.Errorf("the host is %v", host)
		}
		if host := p.list("/v1/hosts?uuid=first-host")[0]; host["agentId"] != first.id() {
			t.Errorf("the host of another is %v", host)
		}
	})
}

// meddles joins an agent that reports a pool for the host of another, and a host of its
// own behind it: the host comes, the pool does not.
func (p *program) meddles(host string) {
	p.t.Helper()
	a, leave := p.reports("meddles", func(map[string]any) []object {
		return []object{{"type": "storagePool", "kind": "classic", "uuid": "meddles-pool", "hostUuid": host},
			{"type": "host", "kind": "classic", "uuid": "meddles-host"}, {"type": "storagePool", "kind": "classic", "uuid": "meddles-own", "hostUuid": "meddles-host"}}
	})
	defer leave()
	p.becomes("/v1/agents/"+a.id(), "active")
	until(p.t, "its own pool", 30*time.Second, func() bool {
		p.ping()
		return len(p.list("/v1/storagepools?state=active&uuid=meddles-own")) == 1
	})
	if strange := p.list("/v1/storagepools?uuid=meddles-pool"); len(strange) > 0 {
		p.t.Errorf("an agent gave the host of another a pool: %v", strange)
	}
}
