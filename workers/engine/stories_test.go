package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/workers/handler"
)

// tales are the lives that are worth telling by hand. What they leave out is told by
// the definitions: see walk.
var tales = []struct {
	name  string
	empty bool // begins in an empty database
	tell  func(s *tale)
}{
	{"a container with all that belongs to one", false, func(s *tale) {
		key := s.post("sshKey", nil)
		c := s.post("container", map[string]any{"imageId": int64(1), "accountId": int64(1), "name": "one", "ports": []any{"8080:80/tcp", "53/udp"},
			"instanceLinks": map[string]any{"db": float64(1)}, "credentialIds": []any{float64(key.ID())},
			"dockerHostIp": "10.0.0.7", "dockerPorts": map[string]any{"9/tcp": float64(9009)}})
		s.want(c, "running")
		for _, step := range []struct{ process, state string }{
			{"instance.restart", "running"}, {"instance.stop", "stopped"}, {"instance.start", "running"},
			{"instance.stop", "stopped"}, {"instance.remove", "removed"}, {"instance.restore", "stopped"}, {"instance.remove", "removed"}, {"instance.purge", "purged"},
		} {
			s.act(c, step.process)
			s.want(c, step.state)
		}
		s.act(s.w.find("volume", process.Match{"instanceId": c.ID()})[0], "volume.purge")
	}},
	{"a virtual machine on a network of its host", false, func(s *tale) {
		n := s.post("hostOnlyNetwork", map[string]any{"accountId": int64(1), "hostVnetUri": "bridge://docker0", "dynamicCreateVnet": true})
		s.post("subnet", map[string]any{"accountId": int64(1), "networkId": n.ID(), "networkAddress": "10.42.0.0", "cidrSize": int64(24)})
		pool := s.post("subnetIpPool", map[string]any{"accountId": int64(1), "networkAddress": "10.43.0.0", "cidrSize": int64(24)})
		m := s.post("virtualMachine", map[string]any{"imageId": int64(1), "accountId": int64(1), "networkIds": []any{float64(n.ID())}, "ports": []any{"80"},
			"publicIpAddressPoolId": float64(pool.ID()), "data": map[string]any{"fields": map[string]any{"volumeOfferingIds": []any{float64(1)}, "dockerIp": "172.17.0.2"}}})
		s.want(m, "running")
		for _, step := range []struct{ process, state string }{
			{"instance.stop", "stopped"}, {"instance.start", "running"},
			{"instance.stop", "stopped"}, {"instance.remove", "removed"}, {"instance.purge", "purged"},
		} {
			s.act(m, step.process)
			s.want(m, step.state)
		}
		nic := s.w.find("nic", nil)[0]
		s.act(nic, "nic.purge")
		s.act(s.w.find("ipAddress", process.Match{"role": "primary"})[0], "ipaddress.purge")
		for _, p := range []string{"network.deactivate", "network.remove", "network.purge"} {
			s.act(n, p)
		}
		if left := s.w.find("resourcePool", nil); len(left) != 0 {
			s.w.t.Errorf("%d items are still held, first %v", len(left), left[0].Map())
		}
	}},
	{"a container that is served by system containers", false, func(s *tale) {
		s.w.items()
		n := s.w.network()
		provider := s.post("agentInstanceProvider", map[string]any{"networkId": n.ID(), "agentInstanceImageUuid": "sim:server"})
		for _, kind := range served {
			s.post(kind, map[string]any{"networkId": n.ID(), "networkServiceProviderId": provider.ID()})
		}
		s.post("metadataService", map[string]any{"networkId": n.ID(), "configDrive": true})
		target := s.post("container", map[string]any{"imageId": int64(1), "accountId": int64(1), "networkIds": []any{float64(n.ID())}, "ports": []any{"5432"}})
		s.want(target, "running")
		c := s.post("container", map[string]any{"imageId": int64(1), "accountId": int64(1), "networkIds": []any{float64(n.ID())},
			"ports": []any{"80"}, "instanceLinks": map[string]any{"db": float64(target.ID())}})
		s.want(c, "running")
		s.act(s.w.find("port", process.Match{"instanceId": c.ID()})[0], "port.update")
		s.act(s.w.find("instanceLink", process.Match{"instanceId": c.ID()})[0], "instancelink.update")
		s.act(c, "instance.stop")
		s.want(c, "stopped")
		server := s.w.server()
		s.act(server, "instance.stop")
		s.act(c, "instance.start")
		s.want(c, "running")
		s.want(server, "running")
	}},
	{"an address of a pool", false, func(s *tale) {
		pool := s.post("subnetIpPool", map[string]any{"accountId": int64(1), "networkAddress": "10.43.0.0", "cidrSize": int64(28), "startAddress": "10.43.0.2", "endAddress": "10.43.0.2"})
		subnet := s.w.find("subnet", process.Match{"ipPoolId": pool.ID()})[0]
		acquired := map[string]any{"kind": "pooledIpAddress", "role": "public", "ipPoolId": pool.ID(), "subnetId": subnet.ID()}
		one := s.post("ipAddress", acquired)
		s.want(one, "active")
		other := s.post("ipAddress", acquired)
		s.want(other, "removed")
		private := s.post("ipAddress", map[string]any{"address": "10.42.0.9", "accountId": int64(1)})
		s.step("ipaddress.associate", func(w *world) {
			if err := w.launch(one.Clone(), "ipaddress.associate", map[string]any{"ipAddressId": private.ID()}); err != nil {
				w.t.Fatal(err)
			}
		})
		s.want(one, "associated")
		s.act(one, "ipaddress.disassociate")
		s.act(one, "ipaddress.deactivate")
		s.want(one, "removed")
	}},
	{"a container leaves a host that is gone", false, func(s *tale) {
		c := s.post("container", map[string]any{"imageId": int64(1), "accountId": int64(1), "ports": []any{"80"}, "instanceTriggeredStop": "restart"})
		s.want(c, "running")
		s.step("instance.restart", func(w *world) {
			w.sql("update host set agent_id = null where id = 2")
			w.sql("update agent set disconnected_since = 1 where uuid = 'agent'")
			options := map[string]any{resource.HARestart: true, resource.LostHost: int64(1)}
			if err := w.launch(c.Clone(), "instance.restart", map[string]any{resource.InstanceOptions: options}); err != nil {
				w.t.Fatal(err)
			}
		})
		s.want(c, "running")
		ties := s.w.find("instanceHostMap", process.Match{"instanceId": c.ID()})
		if len(ties) != 2 || ties[0].State() != "removed" || ties[1].State() != "active" || ties[1].Int("hostId") != 2 {
			s.w.t.Errorf("its places are %v and %v", ties[0].Map(), ties[len(ties)-1].Map())
		}
	}},
	{"a start that cannot succeed", false, func(s *tale) {
		c := s.post("container", map[string]any{"imageId": int64(1), "accountId": int64(1), "requestedHostId": float64(99)})
		s.want(c, "removed")
		if got := s.w.again(c).Str("allocationState"); got != "inactive" {
			s.w.t.Errorf("then its allocation is %s", got)
		}
	}},
	{"an installation gets its first agent", true, func(s *tale) {
		a := s.post("agent", map[string]any{"uri": "sim://agent", "uuid": "agent", "managedConfig": false})
		s.want(a, "active")
		if n := len(s.w.find("host", nil)); n != 2 {
			s.w.t.Errorf("it has %d hosts", n)
		}
		s.act(a, "agent.reconnect")
		s.act(a, "agent.deactivate")
		s.act(a, "agent.activate")
		s.act(a, "agent.deactivate")
		s.act(a, "agent.remove")
		s.want(a, "removed")
	}},
	{"an agent whose configuration is looked after", false, func(s *tale) {
		if err := s.w.store.NoteItems(s.w.ctx, map[string]string{"pyagent": "one", "configscripts": "two"}); err != nil {
			s.w.t.Fatal(err)
		}
		a := s.post("agent", map[string]any{"uri": "sim://another", "uuid": "another", "managedConfig": true})
		s.want(a, "active")
		for _, i := range s.w.find("configItemStatus", process.Match{"agentId": a.ID()}) {
			if i.Int("requestedVersion") != 1 || i.Int("appliedVersion") != 1 {
				s.w.t.Errorf("it has %v", i.Map())
			}
		}
		s.act(a, "agent.reconnect")
	}},
	{"a host asks to join", false, func(s *tale) {
		r := s.post("register", map[string]any{"key": "asked", "accountId": int64(1)})
		s.want(r, "active")
		if got := s.w.again(r); got.Str("accessKey") == "" && got.Field("accessKey") == nil {
			s.w.t.Errorf("it got no key: %v", got.Map())
		}
		if a := s.w.find("agent", process.Match{"uri": "event://" + r.UUID()})[0]; a.Kind() != "registeredAgent" || !a.Bool("managedConfig") ||
			a.Data()["registrationKey"] != "asked" || a.Data()["agentResourcesAccountId"] != float64(1) {
			s.w.t.Errorf("its agent is %v", a.Map())
		}
	}},
	{"a handler from outside", false, func(s *tale) {
		h := s.post("externalHandler", map[string]any{"name": "demo", "processNames": []any{"pre.instance.stop,instance.stop", "genericobject.create"}})
		s.want(h, "active")
		s.act(s.w.find("instance", nil)[0], "instance.stop")
		s.want(s.w.find("instance", nil)[0], "stopped")
		s.act(h, "externalhandler.deactivate")
		s.act(h, "externalhandler.activate")
	}},
	{"a pool of Docker", false, func(s *tale) {
		p := s.post("storagePool", map[string]any{"kind": "docker", "accountId": int64(1)})
		s.want(p, "active")
		if n := len(s.w.find("storagePool", process.Match{"kind": "docker", "external": true})); n != 1 {
			s.w.t.Errorf("there are %d pools for the registries", n)
		}
	}},
	{"a pool of libvirt", false, func(s *tale) {
		p := s.post("storagePool", map[string]any{"kind": "libvirt", "accountId": int64(1)})
		s.want(p, "active")
		images := s.w.find("image", process.Match{"uuid": "cirros"})
		if len(images) != 1 {
			s.w.t.Fatalf("there are %d images of that name", len(images))
		}
		s.want(images[0], "active")
	}},
}

// given is what a row of a type needs beside references, to come to something.
var given = map[string]map[string]any{
	"agent":     {"uri": "sim://another", "uuid": "another", "managedConfig": false},
	"container": {"startOnCreate": true},
	"register":  {"key": "asked"},
	"subnet":    {"networkAddress": "10.42.0.0", "cidrSize": int64(24)},

	"subnetIpPool": {"networkAddress": "10.43.0.0", "cidrSize": int64(24)},
}

// walk takes a new row of a kind through every process of its type that has logic, by
// the shortest ways that the definitions have, and the dead ends last.
func (s *tale) walk(k *resource.Kind, logic map[string][]string) {
	left := map[string]bool{}
	for _, d := range resource.All.Processes(k.Type) {
		left[d.Name] = d.StateField() == "state" && len(logic[d.Name]) > 0 && d.Verb() != "create"
	}
	row := s.post(k.Type.Name, s.values(k.Type))
	for {
		way := shortest(k.Type, s.w.again(row).State(), left)
		if way == "" {
			return
		}
		if left[way] = false; len(logic[way]) > 0 {
			s.act(row, way)
			continue
		}
		s.w.act(row.Clone(), way) // only leads there
		s.w.work(s.w.on(s.w.store, "60", handler.All()))
	}
}

// values refers to the first row of each type that is referred to.
func (s *tale) values(t *schema.Type) map[string]any {
	out := map[string]any{}
	for _, f := range t.Base().Columns() {
		if f.RefType() == "" {
			continue
		}
		if there := s.w.find(f.RefType(), nil); len(there) > 0 {
			out[f.Name] = there[0].ID()
		}
	}
	for name, v := range given[t.Name] {
		out[name] = v
	}
	return out
}

// shortest names the next process on the shortest way from a state to one that is
// still to be run; one that cannot be left again only when there is no other.
func shortest(t *schema.Type, state string, left map[string]bool) string {
	type way struct{ state, first string }
	last := ""
	seen := []string{state}
	for ways := []way{{state, ""}}; len(ways) > 0; ways = ways[1:] {
		at := ways[0]
		for _, d := range resource.All.Processes(t) {
			if d.StateField() != "state" || !d.IsStart(at.state) {
				continue
			}
			through, _ := d.Through.Get(at.state)
			to, _ := d.Done.Get(through)
			first := at.first
			if first == "" {
				first = d.Name
			}
			if left[d.Name] && to != "purged" {
				return first
			}
			if left[d.Name] && last == "" {
				last = first
			}
			if !slices.Contains(seen, to) {
				seen = append(seen, to)
				ways = append(ways, way{to, first})
			}
		}
	}
	return last
}

// Every process that has logic runs in a tale, and its worker dies at each seam of
// it: before a transaction begins, before it is committed, after that, and between an
// effect on a host and the reply. Another goes on, and all is as if nothing had been.
// Then each chapter is told under the checks for idempotence, and comes to the same.
// Neither the processes nor the seams are listed anywhere: a new handler is covered
// without a word here, or this fails.
func TestEveryProcessThroughEveryDeath(t *testing.T) {
	t.Parallel()
	file, m := first(t)
	logic := attached(begin(t, file, m))
	ran := &coverage{ran: map[string]bool{}, did: map[string]bool{}}
	told := func(t *testing.T, name string, empty bool, tell func(s *tale)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &tale{ran: ran}
			if s.w = begin(t, file, m); empty {
				s.w = begin(t, "", memory{map[string]int{}, map[string]bool{}, map[string]int64{}})
				if err := s.w.store.Migrate(s.w.ctx); err != nil {
					t.Fatal(err)
				}
			}
			tell(s)
			seams := 0
			for i, c := range s.chapters {
				for n, died := 1, true; died && !t.Failed(); n++ {
					t.Run(fmt.Sprintf("%d %s dies at %d", i+1, c.name, n), func(t *testing.T) { died = c.die(t, n, asked) })
					seams++
				}
				for how, way := range map[string]beginning{"born": born, "new": fresh} {
					for n, died := 1, c.posts; died && !t.Failed(); n++ {
						t.Run(fmt.Sprintf("%d %s is %s and dies at %d", i+1, c.name, how, n), func(t *testing.T) { died = c.die(t, n, way) })
					}
				}
				t.Run(fmt.Sprintf("%d %s is cut and run again", i+1, c.name), c.check)
			}
			t.Logf("%d chapters, %d seams", len(s.chapters), seams-len(s.chapters))
		})
	}
	t.Run("tales", func(t *testing.T) {
		for _, s := range tales {
			told(t, s.name, s.empty, s.tell)
		}
		for _, k := range resource.All.Kinds() {
			if len(resource.All.Processes(k.Type)) > 0 {
				told(t, "the life of "+k.Type.Name, false, func(s *tale) { s.walk(k, logic) })
			}
		}
	})
	for name, handlers := range logic {
		for _, h := range handlers {
			if !ran.ran[name+" "+h] {
				t.Errorf("no tale runs %s of %s", h, name)
			}
			if !ran.did[h] {
				t.Errorf("%s does nothing in any tale", h)
			}
		}
	}
}
