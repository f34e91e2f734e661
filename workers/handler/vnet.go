package handler

import (
	"context"
	"maps"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

func vnetHandlers() []process.Handler {
	return []process.Handler{
		before("HostOnlyNicActivate", process.Specific, hostOnlyNic, "nic.activate"),
	}
}

// vnetOf returns the virtual network of a nic: its own, else that of its subnet. Of
// several it is the one on the host of the instance.
func vnetOf(ctx context.Context, run process.Run, nic *schema.Row) (*schema.Row, error) {
	if id := nic.Int("vnetId"); id != 0 {
		return run.Get(ctx, "vnet", id)
	}
	if nic.Int("subnetId") == 0 {
		return nil, nil
	}
	ties, err := find(ctx, run, "subnetVnetMap", process.Match{"subnetId": nic.Int("subnetId")})
	if err != nil || len(ties) == 0 {
		return nil, err
	}
	if len(ties) == 1 {
		return run.Get(ctx, "vnet", ties[0].Int("vnetId"))
	}
	hosts, err := sameMachine(ctx, run, nic.Int("instanceId"))
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		on, err := find(ctx, run, "hostVnetMap", process.Match{"hostId": host.ID()})
		if err != nil {
			return nil, err
		}
		for _, tie := range ties {
			if slices.ContainsFunc(on, func(m *schema.Row) bool { return m.Int("vnetId") == tie.Int("vnetId") }) {
				return run.Get(ctx, "vnet", tie.Int("vnetId"))
			}
		}
	}
	return nil, nil
}

// sameMachine returns the host of an instance and the other hosts of its machine; none
// for an instance that has no host.
func sameMachine(ctx context.Context, run process.Run, instance int64) ([]*schema.Row, error) {
	id, err := hostOf(ctx, run, instance)
	if err != nil || id == 0 {
		return nil, err
	}
	host, err := run.Get(ctx, "host", id)
	if err != nil || host.Int("physicalHostId") == 0 {
		return []*schema.Row{host}, err
	}
	all, err := find(ctx, run, "host", process.Match{"physicalHostId": host.Int("physicalHostId")})
	others := slices.DeleteFunc(slices.Clone(all), func(h *schema.Row) bool { return h.ID() == host.ID() })
	return append([]*schema.Row{host}, others...), err
}

// hostOnlyNic plugs a nic of a network that ends at each machine into the virtual
// network of the machine that the instance is on, making it if it is the first there.
func hostOnlyNic(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	if nic.Int("networkId") == 0 {
		return nil, nil
	}
	network, err := run.Get(ctx, "network", nic.Int("networkId"))
	if err != nil || network.Kind() != "hostOnlyNetwork" {
		return nil, err
	}
	hosts, err := sameMachine(ctx, run, nic.Int("instanceId"))
	if err != nil || len(hosts) == 0 {
		return nil, err
	}
	machine := hosts[0]
	if id := machine.Int("physicalHostId"); id != 0 {
		if machine, err = run.Get(ctx, "physicalHost", id); err != nil {
			return nil, err
		}
	}
	vnet, err := hostOnlyVnet(ctx, run, network, machine, hosts)
	if err != nil {
		return nil, err
	}
	if err := run.Execute(ctx, "vnet.create", vnet, nil); err != nil && !process.IsCanceled(err) {
		return nil, err
	}
	ties := []*schema.Row{}
	tie, err := tied(ctx, run, "hostVnetMap", process.Match{"hostId": hosts[0].ID(), "vnetId": vnet.ID()})
	if err != nil {
		return nil, err
	}
	ties = append(ties, tie)
	if subnet := nic.Int("subnetId"); subnet != 0 {
		tie, err := tied(ctx, run, "subnetVnetMap", process.Match{"subnetId": subnet, "vnetId": vnet.ID()})
		if err != nil {
			return nil, err
		}
		ties = append(ties, tie)
	}
	for _, tie := range ties {
		if err := createThenActivate(ctx, run, tie, nil); err != nil {
			return nil, err
		}
	}
	if nic.Int("vnetId") == vnet.ID() {
		return nil, nil
	}
	nic.Set("vnetId", vnet.ID())
	return nil, run.Save(ctx, nic)
}

// unplug takes the nics of an instance that has left its host out of the virtual networks
// that were made for that host, so that it may go on anywhere. Those that it named stay.
func unplug(ctx context.Context, run process.Run, instance *schema.Row) error {
	nics, err := nicsOf(ctx, run, instance.ID())
	if err != nil {
		return err
	}
	for _, nic := range nics {
		vnet := nic.Int("vnetId")
		if vnet == 0 || nic.Int("networkId") == 0 || slices.Contains(integers(instance.Field("vnetIds")), vnet) {
			continue
		}
		network, err := run.Get(ctx, "network", nic.Int("networkId"))
		if err != nil {
			return err
		}
		if dynamic, _ := network.Field("dynamicCreateVnet").(bool); !dynamic {
			continue
		}
		nic.Set("vnetId", nil)
		if err := run.Save(ctx, nic); err != nil {
			return err
		}
	}
	return nil
}

// tied returns the row that ties two others, making it if there is none, once.
func tied(ctx context.Context, run process.Run, typ string, ends process.Match) (*schema.Row, error) {
	there, err := find(ctx, run, typ, ends)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return there[0], nil
	}
	parts := []any{"TIE", typ}
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		parts = append(parts, ends[name])
	}
	if err := run.Lock(ctx, lockName(parts...)); err != nil {
		return nil, err
	}
	return one(ctx, run, typ, ends, nil)
}

// hostOnlyVnet finds the virtual network of a network on one of the hosts of a machine,
// or makes it, once.
func hostOnlyVnet(ctx context.Context, run process.Run, network, machine *schema.Row, hosts []*schema.Row) (*schema.Row, error) {
	vnet, err := vnetOn(ctx, run, network, hosts)
	if vnet != nil || err != nil {
		return vnet, err
	}
	if err := run.Lock(ctx, lockName("HOST", "ONLY", "VNET", "CREATE", network.ID(), machine.Type().Name, machine.ID())); err != nil {
		return nil, err
	}
	if vnet, err = vnetOn(ctx, run, network, hosts); vnet != nil || err != nil {
		return vnet, err
	}
	uri, _ := network.Field("hostVnetUri").(string)
	if uri == "" {
		uri = "host:///"
	}
	vnet, err = numbered(ctx, run, "vnet", lockName("vnet", network.ID(), machine.Type().Name, machine.ID()),
		map[string]any{"networkId": network.ID(), "uri": uri, "accountId": network.Get("accountId")})
	if err != nil {
		return nil, err
	}
	_, err = one(ctx, run, "hostVnetMap", process.Match{"hostId": hosts[0].ID(), "vnetId": vnet.ID()}, nil)
	return vnet, err
}

func vnetOn(ctx context.Context, run process.Run, network *schema.Row, hosts []*schema.Row) (*schema.Row, error) {
	for _, host := range hosts {
		ties, err := find(ctx, run, "hostVnetMap", process.Match{"hostId": host.ID()})
		if err != nil {
			return nil, err
		}
		for _, tie := range ties {
			vnet, err := run.Get(ctx, "vnet", tie.Int("vnetId"))
			if err != nil {
				return nil, err
			}
			if vnet.Int("networkId") == network.ID() && !gone(vnet) {
				return vnet, nil
			}
		}
	}
	return nil, nil
}
