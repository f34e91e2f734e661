package docker

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/cattleio/cattle/shared/wire"
)

type portOptions struct {
	exposed    network.PortSet
	bindings   network.PortMap
	publishAll bool
}

// wantedPorts exposes the ports of the user and binds those with a public one. All
// others that are exposed, by the image too, get a public port from the engine,
// unless the network has a service for ports.
//
// In the contract a public port never gets here: Docker chooses one, or such a service
// leads it to the container by the item host-iptables. This program does not apply that
// item, so that the engine is what can keep the promise of "8081:80".
//
// What the server merely repeats from our own replies is left out: ports of the
// image, and public ports that the engine chose. Otherwise every restart would
// look like a change of options and cost the container.
//
// An agent in a container at which a tunnel ends has two ports of the host more.
func wantedPorts(instance *wire.Instance, host wire.Place) portOptions {
	wanted := portOptions{publishAll: !serves(instance, "portService"), exposed: network.PortSet{}, bindings: network.PortMap{}}
	for _, row := range instance.Ports {
		port, ok := network.PortFrom(row.PrivatePort, protocol(row.Protocol))
		if !ok || row.Removed != nil || row.Kind == "imagePort" {
			continue
		}
		wanted.exposed[port] = struct{}{}
		if row.PublicPort != 0 && !isEcho(instance, row, port) {
			public := strconv.Itoa(int(row.PublicPort))
			wanted.bindings[port] = append(wanted.bindings[port], network.PortBinding{HostPort: public})
		}
	}
	if end, is := instance.Data.Ipsec[strconv.FormatInt(host.ID, 10)]; is && instance.AgentID != 0 && serves(instance, "ipsecTunnelService") {
		for private, public := range map[uint16]uint16{500: end.ISAKMP, 4500: end.NAT} {
			port, _ := network.PortFrom(private, network.UDP)
			wanted.exposed[port] = struct{}{}
			wanted.bindings[port] = []network.PortBinding{{HostIP: netip.IPv4Unspecified(), HostPort: strconv.Itoa(int(public))}}
		}
	}
	if len(wanted.exposed) == 0 { // as containers of older agents have it in their digest
		wanted.exposed, wanted.bindings = nil, nil
	}
	return wanted
}

func protocol(name string) network.IPProtocol {
	if name == "" {
		return network.TCP
	}
	return network.IPProtocol(name)
}

// isEcho tells a public port that we reported and nobody asked for.
func isEcho(instance *wire.Instance, row wire.Port, port network.Port) bool {
	public := strconv.Itoa(int(row.PublicPort))
	if instance.Data.Fields.DockerPorts[port.String()] != public {
		return false
	}
	for _, line := range instance.Data.Fields.Ports {
		numbers, proto, _ := strings.Cut(line, "/")
		parts := strings.Split(numbers, ":")
		if len(parts) > 1 && parts[len(parts)-2] == public && parts[len(parts)-1] == port.Port() &&
			protocol(proto) == port.Proto() {
			return false
		}
	}
	return true
}

// links names the containers that the engine makes known to this one. A network
// with a service for links does it by environment instead.
func links(instance *wire.Instance) []string {
	if serves(instance, "linkService") {
		return nil
	}
	var all []string
	for _, link := range instance.Links {
		if link.Removed == nil && link.Target != nil && link.Target.UUID != "" {
			all = append(all, link.Target.UUID+":"+link.Name)
		}
	}
	slices.Sort(all) // rows come in any order
	return all
}

// linkEnvironment describes the links in the variables that Docker's own links set.
func linkEnvironment(env map[string]string, instance *wire.Instance) {
	for _, link := range instance.Links {
		if link.Removed != nil {
			continue
		}
		prefix := strings.ToUpper(strings.ReplaceAll(link.Name, "-", "_"))
		for _, p := range link.Data.Fields.Ports {
			proto := string(protocol(p.Protocol))
			url := fmt.Sprintf("%s://%s:%d", proto, p.IPAddress, p.PublicPort)
			one := fmt.Sprintf("%s_PORT_%d_%s", prefix, p.PrivatePort, strings.ToUpper(proto))
			env[prefix+"_NAME"] = "/cattle/" + link.Name
			env[prefix+"_PORT"] = url
			env[one] = url
			env[one+"_ADDR"] = p.IPAddress
			env[one+"_PORT"] = strconv.Itoa(int(p.PublicPort))
			env[one+"_PROTO"] = proto
		}
	}
}
