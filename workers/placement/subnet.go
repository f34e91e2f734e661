package placement

import (
	"context"
	"errors"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// nic is a nic of an instance and the subnets that it may be put in.
type nic struct {
	row     *schema.Row
	options []option
}

// option is a subnet, 0 for none, and the hosts on which it can be had: all, if open.
type option struct {
	subnet int64
	hosts  []int64
	open   bool
}

func (o option) on(host int64) bool { return o.open || slices.Contains(o.hosts, host) }

// nicsOf reads what a host must have for the nics of the instance.
func nicsOf(ctx context.Context, run process.Run, instance *schema.Row) ([]nic, error) {
	rows, err := run.Find(ctx, "nic", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return nil, err
	}
	var out []nic
	for _, row := range living(rows) {
		n := nic{row: row}
		if n.options, err = options(ctx, run, row); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// options are the subnet of a nic itself, else the active ones of its virtual network or
// of its network, else none.
func options(ctx context.Context, run process.Run, row *schema.Row) ([]option, error) {
	tx, err := run.(units).Unit(ctx, "subnet", "subnetVnetMap", "hostVnetMap")
	if err != nil {
		return nil, err
	}
	subnets, err := subnetsOf(ctx, run, row)
	if err != nil {
		return nil, err
	}
	vnet := row.Int("vnetId")
	free, err := dynamic(ctx, run, row.Int("networkId"))
	if err != nil {
		return nil, err
	}
	var out []option
	for _, subnet := range subnets {
		o := option{subnet: subnet, open: free && vnet == 0}
		if !o.open {
			if o.hosts, err = tx.HostsOf(ctx, subnet, vnet); err != nil {
				return nil, err
			}
			o.open = len(o.hosts) == 0
		}
		out = append(out, o)
	}
	return out, nil
}

// subnetsOf lists the subnets that a nic may be in; 0 stands for none.
func subnetsOf(ctx context.Context, run process.Run, row *schema.Row) ([]int64, error) {
	if id := row.Int("subnetId"); id != 0 {
		return []int64{id}, nil
	}
	all, err := run.Find(ctx, "subnet", process.Match{"networkId": row.Int("networkId"), "state": "active"})
	if err != nil {
		return nil, err
	}
	ids := []int64{}
	for _, s := range all {
		ids = append(ids, s.ID())
	}
	if vnet := row.Int("vnetId"); vnet != 0 {
		ties, err := run.Find(ctx, "subnetVnetMap", process.Match{"vnetId": vnet})
		if err != nil {
			return nil, err
		}
		ties = living(ties)
		ids = slices.DeleteFunc(ids, func(id int64) bool {
			return !slices.ContainsFunc(ties, func(t *schema.Row) bool { return t.Int("subnetId") == id })
		})
	}
	if len(ids) == 0 {
		return []int64{0}, nil
	}
	return ids, nil
}

// dynamic tells whether a network makes its virtual networks where they are needed.
func dynamic(ctx context.Context, run process.Run, id int64) (bool, error) {
	if id == 0 {
		return true, nil
	}
	network, err := run.Get(ctx, "network", id)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	yes, _ := network.Field("dynamicCreateVnet").(bool)
	return yes, nil
}

// wants restricts the hosts to those on which every nic has a subnet.
func (n *need) wants(nics []nic) {
	for _, c := range nics {
		if slices.ContainsFunc(c.options, func(o option) bool { return o.open }) {
			continue
		}
		fit := func(host int64) bool {
			return slices.ContainsFunc(c.options, func(o option) bool { return o.on(host) })
		}
		if len(n.Hosts) > 0 {
			n.Hosts = slices.DeleteFunc(slices.Clone(n.Hosts), func(h int64) bool { return !fit(h) })
		} else {
			for _, o := range c.options {
				n.Hosts = append(n.Hosts, o.hosts...)
			}
		}
		n.impossible = n.impossible || len(n.Hosts) == 0
	}
}

// unset tells whether a nic still needs a subnet that it could have.
func (n nic) unset() bool {
	return n.row.Int("subnetId") == 0 && slices.ContainsFunc(n.options, func(o option) bool { return o.subnet != 0 })
}

// plug puts each nic into the first of its subnets that can be had on the host.
func plug(ctx context.Context, run process.Run, nics []nic, host int64) error {
	for _, n := range nics {
		at := slices.IndexFunc(n.options, func(o option) bool { return o.on(host) })
		if at < 0 || !n.unset() || n.options[at].subnet == 0 {
			continue
		}
		n.row.Set("subnetId", n.options[at].subnet)
		if err := run.Save(ctx, n.row); err != nil {
			return err
		}
	}
	return nil
}
