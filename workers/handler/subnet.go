package handler

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// poolSubnet is the kind of the subnets that pools of addresses make for themselves.
const poolSubnet = "ipPoolSubnet"

func subnetHandlers() []process.Handler {
	return []process.Handler{
		on("SubnetCreate", subnetCreate, "subnet.create"),
		on("IpPoolCreate", ipPoolCreate, "ippool.create"),
		on("IpPoolRemove", ipPoolRemove, "ippool.remove"),
	}
}

// subnetCreate fills in what the subnet does not say about its range.
func subnetCreate(_ context.Context, run process.Run) (*process.Answer, error) {
	subnet := run.Resource()
	filled := map[string]any{}
	for name, address := range usual(subnet.Str("networkAddress"), int(subnet.Int("cidrSize"))) {
		if subnet.Str(name) == "" {
			filled[name] = address
		}
	}
	return with(filled)
}

// usual is how a range is used where nobody says otherwise: its first address is the
// gateway, the others up to the 250th are handed out, or up to the last one that is
// not for broadcast if the range is smaller. Nothing is known of what is no range.
func usual(network string, bits int) map[string]string {
	address, err := netip.ParseAddr(network)
	if err != nil || !address.Is4() {
		return nil
	}
	prefix, err := address.Prefix(bits)
	if err != nil || bits < 1 || bits > 30 {
		return nil
	}
	raw := prefix.Addr().As4()
	at := func(n uint32) string {
		var out [4]byte
		binary.BigEndian.PutUint32(out[:], binary.BigEndian.Uint32(raw[:])+n)
		return netip.AddrFrom4(out).String()
	}
	broadcast := uint32(1)<<(32-bits) - 1
	return map[string]string{"gateway": at(1), "startAddress": at(2), "endAddress": at(min(250, broadcast-1))}
}

// ipPoolCreate makes the subnet out of which a pool of that kind hands out addresses.
func ipPoolCreate(ctx context.Context, run process.Run) (*process.Answer, error) {
	pool := run.Resource()
	if pool.Kind() != "subnetIpPool" {
		return nil, nil
	}
	more := map[string]any{"accountId": pool.Get("accountId"), "cidrSize": integer(pool.Field("cidrSize"))}
	for _, name := range []string{"gateway", "startAddress", "endAddress", "networkAddress"} {
		if v := pool.Field(name); v != nil {
			more[name] = v
		}
	}
	subnet, err := one(ctx, run, "subnet", ofPool(pool), more)
	if err != nil {
		return nil, err
	}
	return nil, createThenActivate(ctx, run, subnet, nil)
}

// ipPoolRemove takes the pool's own subnets with it.
func ipPoolRemove(ctx context.Context, run process.Run) (*process.Answer, error) {
	pool := run.Resource()
	if pool.Kind() != "subnetIpPool" {
		return nil, nil
	}
	subnets, err := find(ctx, run, "subnet", ofPool(pool))
	if err != nil {
		return nil, err
	}
	for _, subnet := range subnets {
		if err := deactivateThenRemove(ctx, run, subnet, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// ofPool matches the subnets that a pool has made for itself.
func ofPool(pool *schema.Row) process.Match {
	return process.Match{"ipPoolId": pool.ID(), "kind": poolSubnet}
}
