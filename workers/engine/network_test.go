package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// plugged posts a container with a nic in each of the networks, and returns it with the first.
func (w *world) plugged(k *worker, state string, values map[string]any, networks ...*schema.Row) (c, nic *schema.Row) {
	w.t.Helper()
	var ids []any
	for _, n := range networks {
		ids = append(ids, float64(n.ID()))
	}
	all := map[string]any{"networkIds": ids}
	for name, v := range values {
		all[name] = v
	}
	c = w.container(all)
	w.work(k)
	w.want(c, state)
	nics := w.find("nic", process.Match{"instanceId": c.ID(), "deviceNumber": int64(0)})
	if len(nics) != 1 {
		w.t.Fatalf("the container has %d first nics", len(nics))
	}
	return w.again(c), nics[0]
}

// addressOf returns the address of a nic in a role.
func (w *world) addressOf(nic *schema.Row, role string) *schema.Row {
	w.t.Helper()
	for _, tie := range w.find("ipAddressNicMap", process.Match{"nicId": nic.ID()}) {
		for _, a := range w.find("ipAddress", process.Match{"id": tie.Int("ipAddressId"), "role": role}) {
			return a
		}
	}
	w.t.Fatalf("nic %d has no %s address", nic.ID(), role)
	return nil
}

// managed makes a network that ends at each machine, with a subnet.
func (w *world) managed(k *worker, values map[string]any) (network, subnet *schema.Row) {
	w.t.Helper()
	network = w.post("hostOnlyNetwork", map[string]any{"hostVnetUri": "bridge://docker0", "dynamicCreateVnet": true})
	all := map[string]any{"networkId": network.ID(), "networkAddress": "10.42.0.0", "cidrSize": int64(24)}
	for name, v := range values {
		all[name] = v
	}
	subnet = w.post("subnet", all)
	w.work(k)
	w.want(network, "active")
	w.want(subnet, "active")
	return w.again(network), w.again(subnet)
}

// A nic gets an address of its subnet, a MAC address of its network and the virtual
// network of its machine; the instance is known by the address, and so are its ports.
func TestANicGetsAllThatItNeeds(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		network, subnet := w.managed(k, nil)
		prefix, _ := network.Field("macPrefix").(string)
		if !strings.HasPrefix(prefix, "02:") || len(prefix) != 8 {
			t.Fatalf("the network has MAC prefix %q", prefix)
		}
		hosts := w.find("host", nil)
		first, nic := w.plugged(k, "running", map[string]any{"requestedHostId": float64(hosts[0].ID()), "ports": []any{"80"}}, network)
		ip := w.addressOf(nic, "primary")
		if nic.Int("subnetId") != subnet.ID() || !strings.HasPrefix(ip.Str("address"), "10.42.0.") || ip.State() != "active" ||
			ip.Int("networkId") != network.ID() || !strings.HasPrefix(nic.Str("macAddress"), prefix+":") {
			t.Errorf("the nic is %v with address %v", nic.Map(), ip.Map())
		}
		if got := first.Field("primaryIpAddress"); got != ip.Str("address") {
			t.Errorf("the container is known by %v, not by %s", got, ip.Str("address"))
		}
		ports := w.find("port", process.Match{"instanceId": first.ID()})
		if len(ports) != 1 || ports[0].Int("privateIpAddressId") != ip.ID() {
			t.Errorf("its port leads to address %v", ports)
		}
		_, other := w.plugged(k, "running", map[string]any{"requestedHostId": float64(hosts[1].ID())}, network)
		if other.Int("vnetId") == 0 || other.Int("vnetId") != nic.Int("vnetId") {
			t.Errorf("two hosts of one machine have virtual networks %d and %d", nic.Int("vnetId"), other.Int("vnetId"))
		}
		if n := len(w.find("hostVnetMap", process.Match{"vnetId": nic.Int("vnetId"), "state": "active"})); n != 2 {
			t.Errorf("%d hosts carry the virtual network", n)
		}
		if n := len(w.find("subnetVnetMap", process.Match{"vnetId": nic.Int("vnetId"), "subnetId": subnet.ID(), "state": "active"})); n != 1 {
			t.Errorf("the virtual network has %d subnets", n)
		}
		if a := w.addressOf(other, "primary").Str("address"); a == ip.Str("address") {
			t.Errorf("two containers have the address %s", a)
		}
		for _, step := range []string{"instance.stop", "instance.start"} {
			w.act(first, step)
			w.work(k)
		}
		w.want(first, "running")
		if again := w.addressOf(w.again(nic), "primary"); again.Str("address") != ip.Str("address") {
			t.Errorf("after a stop and a start the address is %s, not %s", again.Str("address"), ip.Str("address"))
		}
	})
}

// A host is not told of what an instance has had.
func TestWhatIsRemovedIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	network := w.post("network", nil)
	w.work(k)
	c, _ := w.plugged(k, "stopped", map[string]any{"startOnCreate": false, "ports": []any{"8081", "8082"}}, network, network)
	w.sql(`update port set state = 'removed', removed = 1 where private_port = 8081`)
	w.sql(`update nic set state = 'removed', removed = 1 where device_number = 1`)
	var told struct {
		Map struct {
			Instance struct{ Nics, Ports []map[string]any }
		} `json:"instanceHostMap"`
	}
	w.agent.fail = func(e *wire.Event) string {
		if e.Name == wire.ComputeInstanceActivate {
			_ = json.Unmarshal(e.Data, &told)
		}
		return ""
	}
	w.act(c, "instance.start")
	w.work(k)
	w.want(c, "running")
	if i := told.Map.Instance; len(i.Nics) != 1 || len(i.Ports) != 1 || i.Ports[0]["privatePort"] != 8082.0 {
		t.Errorf("it is told of %v", i)
	}
}

// On a network without a subnet an instance is known by the address that Docker gave it: its
// ports lead there from that of the host, those of its image as well.
func TestPortsLeadToTheAddressThatDockerGave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	network := w.post("network", nil)
	w.work(k)
	c, nic := w.plugged(k, "stopped", map[string]any{"startOnCreate": false, "ports": []any{"8081", "8082/tcp", "8083/udp", "8083/tcp"}, "dockerHostIp": "10.0.0.7", "dockerIp": "172.17.0.2",
		"dockerPorts": map[string]any{"8080/tcp": "49153", "8081/tcp": "49154", "8082/tcp": "49155", "8083/udp": "49156", "8083/tcp": "49157"}}, network)
	for _, p := range w.find("port", process.Match{"instanceId": c.ID()}) {
		if p.Kind() != "userPort" || p.Get("publicPort") != nil || p.Get("publicIpAddressId") != nil || p.Get("privateIpAddressId") != nil {
			t.Errorf("before the start a port is %v", p.Map())
		}
	}
	want := map[string]string{"8080/tcp": "imagePort 49153", "8081/tcp": "userPort 49154", "8082/tcp": "userPort 49155", "8083/udp": "userPort 49156", "8083/tcp": "userPort 49157"}
	for range 2 {
		w.act(c, "instance.start")
		w.work(k)
		w.want(c, "running")
		ties := w.find("ipAddressNicMap", process.Match{"nicId": nic.ID()})
		own := w.find("ipAddress", process.Match{"id": ties[0].Int("ipAddressId")})[0]
		if len(ties) != 1 || own.Kind() != "docker" || own.State() != "active" || own.Get("subnetId") != nil || own.Int("networkId") != network.ID() ||
			w.again(c).Field("primaryIpAddress") != own.Str("address") {
			t.Errorf("of %d addresses the first is %v; the container is known by %v", len(ties), own.Map(), w.again(c).Field("primaryIpAddress"))
		}
		ports := w.find("port", process.Match{"instanceId": c.ID(), "state": "active"})
		if len(ports) != len(want) {
			t.Errorf("%d ports are active", len(ports))
		}
		for _, p := range ports {
			if got := fmt.Sprint(p.Kind(), " ", p.Int("publicPort")); got != want[fmt.Sprint(p.Int("privatePort"), "/", p.Str("protocol"))] ||
				p.Int("publicIpAddressId") != ports[0].Int("publicIpAddressId") || p.Int("privateIpAddressId") != own.ID() {
				t.Errorf("after the start a port is %v", p.Map())
			}
		}
		w.act(c, "instance.stop")
		w.work(k)
		if own = w.again(own); own.State() != "inactive" || own.Get("address") != nil {
			t.Errorf("after the stop the address is %v", own.Map())
		}
	}
}

// Where a service of the network publishes ports, they have the numbers that the user asked
// for, whatever Docker says; a port that the image alone knows has none.
func TestAServiceForPortsGoesBeforeWhatDockerPublishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	network := w.post("network", nil)
	w.post("portService", map[string]any{"networkId": network.ID()})
	w.work(k)
	c, _ := w.plugged(k, "running", map[string]any{"ports": []any{"8081:80"}, "dockerHostIp": "10.0.0.7", "dockerIp": "172.17.0.2",
		"dockerPorts": map[string]any{"80/tcp": "49153", "8080/tcp": "49154"}}, network)
	want := map[int64]any{80: int64(8081), 8080: nil}
	ports := w.find("port", process.Match{"instanceId": c.ID(), "state": "active"})
	for _, p := range ports {
		if p.Get("publicPort") != want[p.Int("privatePort")] || p.Get("privateIpAddressId") == nil {
			t.Errorf("a port is %v", p.Map())
		}
	}
	if len(ports) != len(want) {
		t.Errorf("%d ports are active", len(ports))
	}
}

// However many ask at once, an address is had by one; who gets none reads why; and what is
// given back is had again.
func TestNoAddressIsHadTwice(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		const there, asked = 12, 20
		_, subnet := w.managed(w.worker(), map[string]any{"startAddress": "10.42.0.10", "endAddress": fmt.Sprintf("10.42.0.%d", 9+there)})
		for range asked {
			w.post("ipAddress", map[string]any{"subnetId": subnet.ID()})
		}
		var busy sync.WaitGroup
		for range 4 {
			k := w.worker()
			busy.Go(func() { w.share(k) })
		}
		busy.Wait()
		w.work(w.worker())
		had := map[string]bool{}
		for _, a := range w.find("ipAddress", process.Match{"subnetId": subnet.ID(), "state": "active"}) {
			if had[a.Str("address")] {
				t.Errorf("the address %s is had twice", a.Str("address"))
			}
			had[a.Str("address")] = true
		}
		without := w.find("ipAddress", process.Match{"subnetId": subnet.ID(), "state": "inactive"})
		if len(had) != there || len(without) != asked-there {
			t.Fatalf("of %d addresses %d are had, and %d have none", there, len(had), len(without))
		}
		for _, a := range without {
			if a.Field("transitioning") != "error" || a.Field("transitioningMessage") != "Failed to allocate IP from subnet : IP allocation error" {
				t.Errorf("who got none reads %v", a.Field("transitioningMessage"))
			}
		}
		one := w.find("ipAddress", process.Match{"subnetId": subnet.ID(), "state": "active"})[0]
		k := w.worker()
		w.act(one, "ipaddress.deactivate")
		w.work(k)
		w.act(without[0], "ipaddress.activate")
		w.work(k)
		w.want(without[0], "active")
		if got := w.again(without[0]).Str("address"); got != one.Str("address") {
			t.Errorf("%s was given back, and %s was had", one.Str("address"), got)
		}
	})
}

// share works at what is due beside others.
func (w *world) share(k *worker) {
	for range 200 {
		due, err := w.store.Due(context.Background(), 100)
		if err != nil || len(due) == 0 {
			return
		}
		for _, b := range due {
			_ = k.Execute(w.ctx, b.ID)
		}
	}
}

// A container that cannot have what it asks for says why, and goes.
func TestANicThatCannotBe(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		network, _ := w.managed(k, map[string]any{"startAddress": "10.42.0.10", "endAddress": "10.42.0.10"})
		w.plugged(k, "running", nil, network)
		c, _ := w.plugged(k, "removed", nil, network)
		if got := c.Field("transitioningMessage"); got != "Failed to allocate IP from subnet : IP allocation error" || c.Field("transitioning") != "error" {
			t.Errorf("the second reads %v", got)
		}
		if n := len(w.find("ipAddress", process.Match{"state": "active", "role": "primary"})); n != 1 {
			t.Errorf("%d addresses are active", n)
		}
		dry := w.find("ipAddress", process.Match{"state": "inactive"})[0]
		if got := dry.Field("transitioningMessage"); got != "Failed to allocate IP from subnet : IP allocation error" || dry.Field("transitioning") != "error" {
			t.Errorf("the address that was not to be had reads %v", got)
		}
		nowhere := w.container(map[string]any{"networkIds": []any{float64(999)}})
		w.work(k)
		w.want(nowhere, "removed")
		if got := w.again(nowhere).Field("transitioningMessage"); got != "Nic 0 cannot be made: its network does not exist" {
			t.Errorf("a container on no network reads %v", got)
		}
	})
}

// What an instance does not name its account names; virtual networks and subnets make nics
// as networks do, each offering makes a volume, and all of it goes with the instance.
func TestAnInstanceGetsNicsAndVolumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	w.sql("update host set physical_host_id = null where id = 2") // on a machine of its own
	network, subnet := w.managed(k, nil)
	plain := w.post("network", nil)
	vnet := w.post("vnet", map[string]any{"networkId": plain.ID(), "uri": "bridge://br0"})
	w.work(k)
	w.post("hostVnetMap", map[string]any{"hostId": w.find("host", nil)[1].ID(), "vnetId": vnet.ID()})
	w.work(k)
	c := w.container(map[string]any{"networkIds": []any{float64(plain.ID())}, "subnetIds": []any{float64(subnet.ID())},
		"vnetIds": []any{float64(vnet.ID())}, "data": map[string]any{"fields": map[string]any{"volumeOfferingIds": []any{float64(1), float64(2)}}}})
	w.work(k)
	w.want(c, "running")
	nics := w.find("nic", process.Match{"instanceId": c.ID()})
	if len(nics) != 3 || nics[0].Int("networkId") != plain.ID() || nics[1].Int("networkId") != network.ID() || nics[2].Int("vnetId") != vnet.ID() {
		t.Errorf("it has %d nics: %v", len(nics), nics)
	}
	if tie := w.find("instanceHostMap", process.Match{"instanceId": c.ID()})[0]; tie.Int("hostId") != w.find("host", nil)[1].ID() {
		t.Errorf("it runs on host %d, which does not carry its virtual network", tie.Int("hostId"))
	}
	volumes := w.find("volume", process.Match{"instanceId": c.ID(), "state": "active"})
	if len(volumes) != 3 || volumes[2].Int("offeringId") != 2 || volumes[2].Int("deviceNumber") != 2 {
		t.Errorf("it has %d volumes: %v", len(volumes), volumes)
	}
	account := w.find("account", process.Match{"id": int64(1)})[0]
	w.sql(fmt.Sprintf(`update account set data = '{"fields":{"defaultNetworkIds":[%d]}}' where id = %d`, network.ID(), account.ID()))
	_, nic := w.plugged(k, "running", nil)
	if nic.Int("networkId") != network.ID() {
		t.Errorf("without a word about networks it is on network %d", nic.Int("networkId"))
	}
}

// items makes the configuration items known that are in use.
func (w *world) items() {
	w.t.Helper()
	sources := map[string]string{}
	for _, name := range []string{"configscripts", "services", "agent-instance-scripts", "monit", "node-services", "agent-instance-startup",
		"dnsmasq", "hosts", "iptables", "ipsec", "ipsec-hosts", "metadata", "host-iptables", "host-routes"} {
		sources[name] = "content of " + name
	}
	if err := w.store.NoteItems(w.ctx, sources); err != nil {
		w.t.Fatal(err)
	}
}

// network makes a network that ends at each machine, with a subnet.
func (w *world) network() *schema.Row {
	w.t.Helper()
	n, _ := w.managed(w.worker(), nil)
	return n
}

// served are services that system containers carry out.
var served = []string{"dnsService", "linkService", "ipsecTunnelService", "portService", "hostNatGatewayService"}

// serve has system containers serve a network in every way there is.
func (w *world) serve(network *schema.Row) (provider *schema.Row) {
	w.t.Helper()
	k := w.worker()
	provider = w.post("agentInstanceProvider", map[string]any{"networkId": network.ID(), "agentInstanceImageUuid": "sim:server"})
	w.work(k)
	for _, kind := range served {
		w.post(kind, map[string]any{"networkId": network.ID(), "networkServiceProviderId": provider.ID()})
	}
	w.post("metadataService", map[string]any{"networkId": network.ID(), "configDrive": true})
	w.work(k)
	return provider
}

// server returns the only system container.
func (w *world) server() *schema.Row {
	w.t.Helper()
	ties := w.find("networkServiceProviderInstanceMap", nil)
	if len(ties) != 1 {
		w.t.Fatalf("there are %d system containers", len(ties))
	}
	return w.find("instance", process.Match{"id": ties[0].Int("instanceId")})[0]
}

// The first container on a network with services makes the system container that serves
// it, on its own virtual network; the container starts once that knows it. A link is a
// port of the link service for each port of its target.
func TestSystemContainersServeANetwork(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		w.items()
		k := w.worker()
		network := w.network()
		provider := w.serve(network)
		keys := w.find("data", nil)
		if !slices.ContainsFunc(keys, func(r *schema.Row) bool {
			return strings.HasSuffix(r.Str("name"), "/ipsecKey") && len(r.Str("value")) == 32
		}) {
			t.Errorf("the tunnel has no key among %d data", len(keys))
		}
		told := map[string]map[string]any{} // what the host was told of instances, by their ids
		w.agent.fail = func(e *wire.Event) string {
			var data struct {
				Map struct{ Instance map[string]any } `json:"instanceHostMap"`
			}
			for secret, most := range map[string]int{`"token":"`: 1, `"agentInstanceAuth":`: 1, `"meta-data":`: 1, `"userdata":"`: 1, `"libvirtVncPassword":`: 0} {
				if !strings.HasPrefix(e.Name, "compute.") && e.Name != wire.DelegateRequest {
					most = 0
				}
				if n := strings.Count(string(e.Data), secret); n > most {
					t.Errorf("%s tells %s %d times", e.Name, secret, n)
				}
			}
			if e.Name == wire.ComputeInstanceActivate && json.Unmarshal(e.Data, &data) == nil {
				told[fmt.Sprint(data.Map.Instance["id"])], _ = data.Map.Instance["data"].(map[string]any)
			}
			return ""
		}
		target, nic := w.plugged(k, "running", map[string]any{"ports": []any{"5432", "53/udp"}, "data": map[string]any{"fields": map[string]any{"libvirtVncPassword": "of the last run"}}}, network)
		server := w.server()
		if err := uuid.Validate(server.UUID()); err != nil { // hosts report what is named by one
			t.Errorf("the system container is %s: %v", server.UUID(), err)
		}
		if login, _ := told[server.Key()]["agentInstanceAuth"].(string); !strings.HasPrefix(login, "Basic ") || told[target.Key()]["agentInstanceAuth"] != nil {
			t.Errorf("the login of the system container is %q, that of another %v", login, told[target.Key()]["agentInstanceAuth"])
		}
		about, _ := told[target.Key()]["metadata"].(map[string]any)
		if meta, _ := about["meta-data"].(map[string]any); meta["local-ipv4"] != w.addressOf(nic, "primary").Str("address") || meta["mac"] != nic.Str("macAddress") {
			t.Errorf("what it may know of itself is %v", about)
		}
		w.want(server, "running")
		at := w.find("nic", process.Match{"instanceId": server.ID()})
		if len(at) != 1 || at[0].Int("vnetId") != nic.Int("vnetId") || server.Field("privileged") != true || server.Str("instanceTriggeredStop") != "restart" {
			t.Errorf("the system container is %v with %d nics", server.Map(), len(at))
		}
		agent := w.find("agent", process.Match{"id": server.Int("agentId")})[0]
		w.want(agent, "active")
		if want := fmt.Sprintf("delegate:///?vnetId=%d&networkServiceProviderId=%d", nic.Int("vnetId"), provider.ID()); agent.Str("uri") != want {
			t.Errorf("its agent is %s, not %s", agent.Str("uri"), want)
		}
		var items []string
		for _, i := range w.find("configItemStatus", process.Match{"agentId": agent.ID()}) {
			items = append(items, i.Str("name"))
			if i.Str("name") == "hosts" && i.Int("appliedVersion") < 1 {
				t.Errorf("the container was started before its server knew it: %v", i.Map())
			}
		}
		slices.Sort(items)
		if want := "agent-instance-scripts agent-instance-startup configscripts dnsmasq hosts ipsec ipsec-hosts monit node-services services iptables"; len(items) != len(strings.Fields(want)) {
			t.Errorf("it has the items %v", items)
		}
		if got := w.again(target).Data()["metadataAttach"]; got != true {
			t.Errorf("a drive for metadata is %v", got)
		}
		host := w.find("agent", process.Match{"uuid": "agent"})[0]
		if n := len(w.find("configItemStatus", process.Match{"agentId": host.ID()})); n != 2 {
			t.Errorf("the agent of the host was given %d items", n)
		}

		c, _ := w.plugged(k, "running", map[string]any{"instanceLinks": map[string]any{"db": float64(target.ID())}}, network)
		link := w.find("instanceLink", process.Match{"instanceId": c.ID()})[0]
		ends, _ := link.Field("ports").([]any)
		if len(ends) != 2 {
			t.Fatalf("the link has the ends %v", ends)
		}
		end, _ := ends[0].(map[string]any)
		if p, _ := end["publicPort"].(float64); p < 20000 || p > 39999 || end["privatePort"] != float64(5432) || end["protocol"] != "tcp" ||
			end["ipAddress"] != w.again(server).Field("primaryIpAddress") {
			t.Errorf("its first end is %v", end)
		}
		w.act(c, "instance.stop")
		w.work(k)
		if ends, _ := w.again(link).Field("ports").([]any); len(ends) != 0 || len(w.find("resourcePool", process.Match{"qualifier": "linkPort"})) != 0 {
			t.Errorf("after the stop the link has the ends %v", ends)
		}
		if w.server().ID() != server.ID() {
			t.Error("the second container has another server")
		}
	})
}

// A link whose target does not come up ends the start, and says so.
func TestALinkThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	w.items()
	k := w.worker()
	network := w.network()
	w.serve(network)
	target, _ := w.plugged(k, "stopped", map[string]any{"startOnCreate": false}, network)
	c, _ := w.plugged(k, "removed", map[string]any{"instanceLinks": map[string]any{"db": float64(target.ID())},
		"data": map[string]any{"linkWaitTime": float64(1)}}, network)
	const why = "Timeout waiting for instance link db"
	if got := c.Field("transitioningMessage"); got != why+" : "+why {
		t.Errorf("it reads %v", got)
	}
}

// An instance that has left its host is placed on another machine, in the virtual network
// of that one, and keeps its address.
func TestAnInstanceMovesToAnotherMachine(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		hosts := w.find("host", nil)
		w.sql(fmt.Sprintf("update host set physical_host_id = null where id = %d", hosts[1].ID()))
		for _, pool := range w.find("storagePoolHostMap", process.Match{"hostId": hosts[0].ID()}) { // its disk can be reached from both
			w.post("storagePoolHostMap", map[string]any{"storagePoolId": pool.Int("storagePoolId"), "hostId": hosts[1].ID()})
		}
		network, _ := w.managed(k, nil)
		c, nic := w.plugged(k, "running", map[string]any{"requestedHostId": float64(hosts[0].ID())}, network)
		ip := w.addressOf(nic, "primary").Str("address")
		if err := w.launch(c, "instance.stop", map[string]any{"deallocateFromHost": true}); err != nil {
			t.Fatal(err)
		}
		w.work(k)
		w.want(c, "stopped")
		if left := w.again(nic).Get("vnetId"); left != nil {
			t.Errorf("it is still in the virtual network %v of its host", left)
		}
		w.sql(fmt.Sprintf(`update instance set data = replace(data, '"requestedHostId":%d', '"requestedHostId":%d') where id = %d`, hosts[0].ID(), hosts[1].ID(), c.ID()))
		w.act(c, "instance.start")
		w.work(w.worker())
		w.want(c, "running")
		moved := w.again(nic)
		if moved.Int("vnetId") == nic.Int("vnetId") || moved.Int("vnetId") == 0 || w.addressOf(moved, "primary").Str("address") != ip || moved.Str("macAddress") != nic.Str("macAddress") {
			t.Errorf("it was %v and is %v", nic.Map(), moved.Map())
		}
	})
}
