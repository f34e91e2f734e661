package handler

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// Kinds of addresses that are more than an address.
const (
	dockerAddress = "docker"
	pooledAddress = "pooledIpAddress"
	primaryRole   = "primary"
)

func ipAddressHandlers() []process.Handler {
	docker := on("DockerIpAddressDeactivate", dockerAddressDeactivate, "ipaddress.deactivate")
	docker.Priority = process.Specific
	return []process.Handler{
		docker,
		on("IpAddressActivate", addressActivate, "ipaddress.activate"),
		on("IpAddressDeactivate", addressDeactivate, "ipaddress.deactivate"),
		before("IpAddressRemove", process.Default, addressRemove, "ipaddress.remove"),
		on("IpAddressAssociate", addressAssociate, "ipaddress.associate"),
		on("IpAddressDisassociate", addressDisassociate, "ipaddress.disassociate"),
		on("IpAddressPurge", addressPurge, "ipaddress.purge"),
	}
}

// addressActivate takes an address out of the subnet. One without a subnet is what it says.
func addressActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	address := run.Resource()
	if address.Int("subnetId") == 0 {
		return nil, nil
	}
	subnet, err := run.Get(ctx, "subnet", address.Int("subnetId"))
	if err != nil {
		return nil, err
	}
	var taken []string
	if subnet.State() == "active" {
		if taken, err = addresses(subnet, address.Str("address")).take(ctx, run, address, 1); err != nil {
			return nil, err
		}
	}
	if len(taken) == 0 {
		if err := run.Schedule(ctx, "ipaddress.deactivate", address, nil); err != nil {
			return nil, err
		}
		return nil, &process.Failure{Message: "Failed to allocate IP from subnet", Detail: "IP allocation error", Shown: true}
	}
	result := map[string]any{"address": taken[0]}
	if address.Str("name") == "" {
		result["name"] = taken[0]
	}
	if address.Get("networkId") == nil && subnet.Int("networkId") != 0 {
		result["networkId"] = subnet.Int("networkId")
	}
	return with(result)
}

// addresses are those that a subnet hands out: from its start to its end, but for the
// gateway. The one that was had before is had again if it is free.
func addresses(subnet *schema.Row, before string) items {
	all := items{pool: poolOf(subnet, addressItem), not: []string{subnet.Str("gateway")}}
	start, ok := fourBytes(subnet.Str("startAddress"))
	end, other := fourBytes(subnet.Str("endAddress"))
	if !ok || !other || end < start {
		return all
	}
	all.size = uint64(end-start) + 1
	all.name = func(n uint64) string {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], start+uint32(n))
		return netip.AddrFrom4(raw).String()
	}
	if n, ok := fourBytes(before); ok && n >= start && n <= end {
		all.best = []string{before}
	}
	return all
}

func fourBytes(text string) (uint32, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	raw := a.As4()
	return binary.BigEndian.Uint32(raw[:]), true
}

// addressDeactivate gives the address back to its subnet. One that was acquired from a
// pool goes on to be removed, unless whoever deactivates it sees to that.
func addressDeactivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	address := run.Resource()
	if address.Int("subnetId") == 0 {
		return nil, nil
	}
	if _, err := addressRemove(ctx, run); err != nil {
		return nil, err
	}
	if _, top := run.Top(); address.Kind() == pooledAddress && top.Name == run.Process().Name {
		return &process.Answer{Chain: "ipaddress.remove"}, nil
	}
	return done()
}

// addressRemove gives back what an address held that was never deactivated.
func addressRemove(ctx context.Context, run process.Run) (*process.Answer, error) {
	address := run.Resource()
	if address.Int("subnetId") == 0 {
		return nil, nil
	}
	pool := store.Pool{Type: "subnet", ID: address.Int("subnetId"), Qualifier: addressItem}
	return &process.Answer{}, give(ctx, run, pool, address)
}

// dockerAddressDeactivate forgets the address that Docker had given.
func dockerAddressDeactivate(_ context.Context, run process.Run) (*process.Answer, error) {
	if run.Resource().Kind() != dockerAddress {
		return nil, nil
	}
	return &process.Answer{Data: map[string]any{"address": nil}, Continue: &goOn}, nil
}

// addressAssociate lets the address lead to the one that the request names.
func addressAssociate(ctx context.Context, run process.Run) (*process.Answer, error) {
	to := integer(run.Data()["ipAddressId"])
	if to == 0 {
		return nil, nil
	}
	private, err := run.Get(ctx, "ipAddress", to)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tie, err := one(ctx, run, "ipAssociation", process.Match{"ipAddressId": run.Resource().ID(), "childIpAddressId": to},
		map[string]any{"accountId": private.Get("accountId")})
	if err != nil {
		return nil, err
	}
	if err := createThenActivate(ctx, run, tie, nil); err != nil {
		return nil, err
	}
	return done()
}

func addressDisassociate(ctx context.Context, run process.Run) (*process.Answer, error) {
	ties, err := find(ctx, run, "ipAssociation", process.Match{"ipAddressId": run.Resource().ID()})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		if err := deactivateThenRemove(ctx, run, tie, nil); err != nil {
			return nil, err
		}
	}
	return done()
}

// releaseWithChild marks a public address that goes with the private one it leads to.
const releaseWithChild = "releaseOnChildPurge"

// addressPurge lets go of the public addresses that were made for this one.
func addressPurge(ctx context.Context, run process.Run) (*process.Answer, error) {
	// An earlier attempt may have untied them.
	ties, err := run.Find(ctx, "ipAssociation", process.Match{"childIpAddressId": run.Resource().ID()})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		public, err := run.Get(ctx, "ipAddress", tie.Int("ipAddressId"))
		if err != nil {
			return nil, err
		}
		if goes, _ := public.Data()[releaseWithChild].(bool); !goes || public.Kind() != pooledAddress || gone(public) {
			continue
		}
		others, err := find(ctx, run, "ipAssociation", process.Match{"ipAddressId": public.ID()})
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(others, func(o *schema.Row) bool { return o.Int("childIpAddressId") != run.Resource().ID() }) {
			continue // it leads to another now
		}
		if err := run.Execute(ctx, "ipaddress.disassociate", public, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
		if err := deactivateThenRemove(ctx, run, public, nil); err != nil {
			return nil, err
		}
	}
	return done()
}
