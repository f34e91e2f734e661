package main

import (
	"fmt"
	"testing"
	"time"
)

// Many start at once on a network that is made as they need it: each has an address and a
// MAC address of its own, all share the virtual network of their machine, and what does not
// get an address says so and goes.
func TestManyInstancesOnOneNetwork(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(2)
		_, network := p.ask("POST", "/v1/hostonlynetworks", object{"dynamicCreateVnet": true})
		p.becomes("/v1/networks/"+network.id(), "active")
		const there, asked = 40, 44
		_, subnet := p.ask("POST", "/v1/subnets", object{"networkId": network.id(), "networkAddress": "10.42.0.0", "startAddress": "10.42.0.2", "endAddress": fmt.Sprintf("10.42.0.%d", 1+there)})
		p.becomes("/v1/subnets/"+subnet.id(), "active")
		for range asked {
			if status, o := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "networkIds": []string{network.id()}}); status != 201 {
				t.Fatalf("a container is refused: %v", o)
			}
		}
		begun := time.Now()
		until(t, "all to be running or gone", 60*time.Second, func() bool {
			return len(p.list("/v1/containers?state=running"))+len(p.list("/v1/containers?state=removed")) == asked
		})
		t.Logf("%d instances with nics took %s", asked, time.Since(begun).Round(time.Millisecond))
		had, macs, vnets := map[any]bool{}, map[any]bool{}, map[any]bool{}
		for _, c := range p.list("/v1/containers?state=running") {
			had[c["primaryIpAddress"]] = true
			for _, n := range p.list("/v1/nics?instanceId=" + c.id()) {
				macs[n["macAddress"]], vnets[n["vnetId"]] = true, true
			}
		}
		if len(had) != there || len(macs) != there || had[nil] || macs[nil] {
			t.Errorf("%d of %d have an address of their own, %d a MAC address", len(had), there, len(macs))
		}
		if len(vnets) != len(p.list("/v1/vnets")) || len(vnets) > 2 {
			t.Errorf("on two machines there are %d virtual networks, %d in use", len(p.list("/v1/vnets")), len(vnets))
		}
		for _, c := range p.list("/v1/containers?state=removed") {
			if c["transitioningMessage"] != "Failed to allocate IP from subnet : IP allocation error" {
				t.Errorf("one without an address reads %v", c["transitioningMessage"])
			}
		}
	})
}

// A new installation has its first networks, once, and what is removed of them stays away.
func TestTheFirstNetworks(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		services := 0
		until(t, "the first networks", 30*time.Second, func() bool {
			services = len(p.list("/v1/networkservices?state=active"))
			return services == 8 && len(p.list("/v1/networks?state=active")) == 2 && len(p.list("/v1/subnets?state=active")) == 1
		})
		subnet := p.list("/v1/subnets?uuid=docker0-subnet")[0]
		if subnet["startAddress"] != "10.42.0.2" || subnet["endAddress"] != "10.42.0.250" {
			t.Errorf("the subnet is %v", subnet)
		}
		managed := p.list("/v1/hostonlynetworks?uuid=managed-docker0")[0]
		if managed["dynamicCreateVnet"] != true || managed["hostVnetUri"] != "bridge://docker0" || managed["isPublic"] != true {
			t.Errorf("the managed network is %v", managed)
		}
		for _, s := range p.list("/v1/networkservices") {
			if provider := s["networkServiceProviderId"]; (provider == nil) != (s["uuid"] == "unmanaged-docker0-metadata-service") || s["networkId"] == nil {
				t.Errorf("a service is %v", s)
			}
		}
		gone := p.list("/v1/networkservices?uuid=docker0-dhcp-service")[0]
		p.ask("POST", "/v1/networkservices/"+gone.id()+"?action=deactivate", object{})
		p.becomes("/v1/networkservices/"+gone.id(), "inactive")
		p.kill()
		p = in.start()
		p.becomes("/v1/networkservices/"+gone.id(), "inactive")
		if n := len(p.list("/v1/networks")); n != 2 {
			t.Errorf("after another start there are %d networks", n)
		}
	})
}

// An address is acquired from a pool, leads to the address of an instance, and no more, and
// goes when it is let go of.
func TestAnAddressOfAPool(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	made := p.active
	network := made("networks", object{})
	made("subnets", object{"networkId": network, "networkAddress": "10.42.0.0"})
	pool := made("subnetippools", object{"networkAddress": "192.168.7.0", "startAddress": "192.168.7.9", "endAddress": "192.168.7.9"})
	_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "networkIds": []string{network}})
	ip := p.becomes("/v1/containers/"+c.id(), "running")["primaryIpAddress"]
	private := p.list(fmt.Sprintf("/v1/ipaddresses?address=%v", ip))[0]

	status, public := p.ask("POST", "/v1/ippools/"+pool+"?action=acquire", object{})
	if status != 200 && status != 201 && status != 202 {
		t.Fatalf("no address is acquired: %d %v", status, public)
	}
	at := "/v1/ipaddresses/" + public.id()
	if got := p.becomes(at, "active"); got["address"] != "192.168.7.9" {
		t.Errorf("the address is %v", got["address"])
	}
	if status, o := p.ask("POST", at+"?action=associate", object{"ipAddressId": private.id()}); status != 202 {
		t.Fatalf("it cannot be associated: %d %v", status, o)
	}
	p.becomes(at, "associated")
	ties := p.list("/v1/ipassociations?state=active")
	if len(ties) != 1 || ties[0]["ipAddressId"] != public.id() || ties[0]["childIpAddressId"] != private.id() {
		t.Errorf("it leads to %v", ties)
	}
	p.ask("POST", at+"?action=disassociate", object{})
	p.becomes(at, "active")
	if n := len(p.list("/v1/ipassociations?state=active")); n != 0 {
		t.Errorf("%d associations are left", n)
	}
	p.ask("POST", at+"?action=deactivate", object{})
	p.becomes(at, "removed")
	_, again := p.ask("POST", "/v1/ippools/"+pool+"?action=acquire", object{})
	if got := p.becomes("/v1/ipaddresses/"+again.id(), "active"); got["address"] != "192.168.7.9" {
		t.Errorf("the address that was let go of is not had again: %v", got["address"])
	}
}
