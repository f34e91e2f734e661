package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

func nicHandlers() []process.Handler {
	docker := on("DockerNicDeactivate", dockerNicDeactivate, "nic.deactivate")
	docker.Priority = process.Specific
	return []process.Handler{
		on("NicActivate", nicActivate, "nic.activate"),
		after("CreateInstanceAssociatePublicIpAddress", process.Early, publicAddress, "nic.activate"),
		docker,
		on("NicPurge", nicPurge, "nic.purge"),
	}
}

// createNics makes a nic for each network, subnet and virtual network that the instance
// names, or for each network that its account names, in this order.
func createNics(ctx context.Context, run process.Run, instance *schema.Row) error {
	number := int64(0)
	for _, list := range []struct{ field, typ, column string }{
		{"networkIds", "network", "networkId"}, {"subnetIds", "subnet", "subnetId"}, {"vnetIds", "vnet", "vnetId"},
	} {
		for _, id := range integers(instance.Field(list.field)) {
			if err := createNic(ctx, run, instance, number, list.typ, list.column, id); err != nil {
				return err
			}
			number++
		}
	}
	if number > 0 || instance.Int("accountId") == 0 {
		return nil
	}
	account, err := run.Get(ctx, "account", instance.Int("accountId"))
	if err != nil {
		return err
	}
	for _, id := range integers(account.Field("defaultNetworkIds")) {
		if err := createNic(ctx, run, instance, number, "network", "networkId", id); err != nil {
			return err
		}
		number++
	}
	return nil
}

func createNic(ctx context.Context, run process.Run, instance *schema.Row, number int64, typ, column string, id int64) error {
	to, err := run.Get(ctx, typ, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && gone(to) {
		return removed(ctx, run, instance, fmt.Sprintf("Nic %d cannot be made: its %s does not exist", number, typ))
	}
	if err != nil {
		return err
	}
	values := map[string]any{"accountId": instance.Get("accountId"), column: id}
	if typ != "network" {
		values["networkId"] = to.Get("networkId")
	}
	nic, err := one(ctx, run, "nic", process.Match{"instanceId": instance.ID(), "deviceNumber": number}, values)
	if err != nil {
		return err
	}
	if err := run.Execute(ctx, "nic.create", nic, nil); err != nil && !process.IsCanceled(err) {
		return err
	}
	return nil
}

// removed gives up an instance that cannot be made, and says why.
func removed(ctx context.Context, run process.Run, instance *schema.Row, why string) error {
	if err := run.Schedule(ctx, "instance.remove", instance, nil); err != nil {
		return err
	}
	return &process.Failure{Message: why, Shown: true}
}

// nicActivate gives the nic its virtual network, its addresses and all that they need.
func nicActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	if nic.Int("networkId") == 0 {
		return nil, nil
	}
	network, err := run.Get(ctx, "network", nic.Int("networkId"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := run.Execute(ctx, "network.activate", network, nil); err != nil {
		return nil, err
	}
	result := map[string]any{}
	vnet, err := vnetOf(ctx, run, nic)
	if err != nil {
		return nil, err
	}
	if vnet != nil {
		if err := run.Execute(ctx, "vnet.activate", vnet, nil); err != nil {
			return nil, err
		}
		result["vnetId"] = vnet.ID()
	}
	if nic.Int("subnetId") != 0 {
		if err := activateAddress(ctx, run, nic); err != nil {
			return nil, err
		}
	}
	if nic.Str("macAddress") == "" {
		if result["macAddress"], err = macAddress(ctx, run, network, nic); err != nil {
			return nil, err
		}
	}
	return with(result)
}

func macAddress(ctx context.Context, run process.Run, network, nic *schema.Row) (string, error) {
	prefix, err := macPrefix(ctx, run, network)
	if err != nil {
		return "", err
	}
	taken, err := macAddresses(network, prefix).take(ctx, run, nic, 1)
	if err != nil {
		return "", err
	}
	if len(taken) == 0 {
		return "", &process.Failure{Message: "Failed to allocate MAC", Detail: "MAC allocation error", Shown: true}
	}
	return taken[0], nil
}

// addressesOf returns the living addresses of a nic, oldest first, with what ties them to it.
func addressesOf(ctx context.Context, run process.Run, nic *schema.Row) (addresses, ties []*schema.Row, err error) {
	all, err := find(ctx, run, "ipAddressNicMap", process.Match{"nicId": nic.ID()})
	if err != nil {
		return nil, nil, err
	}
	for _, tie := range all {
		address, err := run.Get(ctx, "ipAddress", tie.Int("ipAddressId"))
		if err != nil {
			return nil, nil, err
		}
		if !gone(address) {
			addresses, ties = append(addresses, address), append(ties, tie)
		}
	}
	return addresses, ties, nil
}

// primaryOf returns the address by which the nic is known, and its tie; nil if there is none.
func primaryOf(ctx context.Context, run process.Run, nic *schema.Row) (address, tie *schema.Row, err error) {
	addresses, ties, err := addressesOf(ctx, run, nic)
	for i, a := range addresses {
		if a.Str("role") == primaryRole {
			return a, ties[i], err
		}
	}
	return nil, nil, err
}

// activateAddress sees to it that the nic has an address of its subnet.
func activateAddress(ctx context.Context, run process.Run, nic *schema.Row) error {
	address, tie, err := primaryOf(ctx, run, nic)
	if err != nil {
		return err
	}
	if address == nil {
		address, err = numbered(ctx, run, "ipAddress", nic.UUID()+"-ip",
			map[string]any{"role": primaryRole, "subnetId": nic.Int("subnetId"), "accountId": nic.Get("accountId")})
		if err == nil {
			tie, err = one(ctx, run, "ipAddressNicMap", process.Match{"nicId": nic.ID(), "ipAddressId": address.ID()}, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := createThenActivate(ctx, run, tie, nil); err != nil {
		return err
	}
	if address.State() == "associated" || address.State() == "associating" {
		return nil // it leads elsewhere, and is there
	}
	return createThenActivate(ctx, run, address, nil)
}

// nicsOf returns the nics of an instance in the order of their devices.
func nicsOf(ctx context.Context, run process.Run, instance int64) ([]*schema.Row, error) {
	nics, err := find(ctx, run, "nic", process.Match{"instanceId": instance})
	slices.SortStableFunc(nics, func(a, b *schema.Row) int { return cmp.Compare(a.Int("deviceNumber"), b.Int("deviceNumber")) })
	return nics, err
}

// primaryAddress is the text of the address by which an instance is known, "" for none:
// the primary one of its first nic, or any that it has.
func primaryAddress(ctx context.Context, run process.Run, instance int64) (string, error) {
	nics, err := nicsOf(ctx, run, instance)
	if err != nil || len(nics) == 0 {
		return "", err
	}
	addresses, _, err := addressesOf(ctx, run, nics[0])
	text := ""
	for _, a := range addresses {
		if a.Str("role") == primaryRole && a.Str("address") != "" {
			return a.Str("address"), err
		}
		if text == "" {
			text = a.Str("address")
		}
	}
	return text, err
}

// publicAddress lets an address of the pool that the instance names lead to it.
func publicAddress(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	if nic.Int("deviceNumber") != 0 || nic.Int("instanceId") == 0 {
		return nil, nil
	}
	instance, err := run.Get(ctx, "instance", nic.Int("instanceId"))
	if err != nil {
		return nil, err
	}
	pool := integer(instance.Field("publicIpAddressPoolId"))
	if pool == 0 {
		return nil, nil
	}
	private, _, err := primaryOf(ctx, run, nic)
	if err != nil || private == nil {
		return nil, err
	}
	values := map[string]any{"kind": pooledAddress, "role": "public", "ipPoolId": pool, "accountId": nic.Get("accountId"),
		"data": map[string]any{releaseWithChild: true}}
	subnets, err := run.Find(ctx, "subnet", process.Match{"ipPoolId": pool, "state": "active"})
	if err != nil {
		return nil, err
	}
	if len(subnets) > 0 {
		values["subnetId"] = subnets[0].ID()
	}
	public, err := numbered(ctx, run, "ipAddress", private.UUID()+"-public-ip", values)
	if err != nil {
		return nil, err
	}
	if public.State() != "associated" && public.State() != "associating" {
		if err := createThenActivate(ctx, run, public, nil); err != nil {
			return nil, err
		}
	}
	return nil, run.Execute(ctx, "ipaddress.associate", public, map[string]any{"ipAddressId": private.ID()})
}

// dockerNicDeactivate lets go of the address that Docker had given to a container.
func dockerNicDeactivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	addresses, _, err := addressesOf(ctx, run, nic)
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if a.Kind() != dockerAddress || a.State() == "inactive" {
			continue
		}
		if err := run.Execute(ctx, "ipaddress.deactivate", a, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// nicPurge lets go of the addresses of the nic.
func nicPurge(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	ties, err := find(ctx, run, "ipAddressNicMap", process.Match{"nicId": nic.ID()})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		address, err := run.Get(ctx, "ipAddress", tie.Int("ipAddressId"))
		if err != nil {
			return nil, err
		}
		for _, row := range []*schema.Row{address, tie} {
			if gone(row) {
				continue
			}
			if err := deactivateThenRemove(ctx, run, row, nil); err != nil {
				return nil, err
			}
		}
	}
	pool := store.Pool{Type: "network", ID: nic.Int("networkId"), Qualifier: macItem}
	if err := give(ctx, run, pool, nic); err != nil {
		return nil, err
	}
	return &process.Answer{Data: map[string]any{"macAddress": nil}, Continue: &goOn}, nil
}
