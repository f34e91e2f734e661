package handler

import (
	"context"
	"fmt"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

func networkHandlers() []process.Handler {
	return []process.Handler{
		before("MacAddressNetworkActivate", process.Default, networkActivate, "network.activate"),
		after("MacAddressNetworkPurge", process.Default, networkPurge, "network.purge"),
	}
}

// macPrefixes are the first halves of MAC addresses: one network has each.
var macPrefixes = items{
	pool: store.Pool{Type: "global", ID: 1, Qualifier: macPrefixItem},
	size: 0xffff,
	name: func(n uint64) string { return fmt.Sprintf("02:%02x:%02x", (n+1)>>8, (n+1)&0xff) },
}

// networkActivate gives the network the first half of its MAC addresses.
func networkActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	_, err := macPrefix(ctx, run, run.Resource())
	return nil, err
}

// macPrefix returns the first half of a network's MAC addresses, taking one if it has none.
func macPrefix(ctx context.Context, run process.Run, network *schema.Row) (string, error) {
	if prefix, _ := network.Field("macPrefix").(string); prefix != "" {
		return prefix, nil
	}
	taken, err := macPrefixes.take(ctx, run, network, 1)
	if err != nil {
		return "", err
	}
	if len(taken) == 0 {
		return "", &process.Failure{Message: "Failed to allocate MAC prefix", Detail: "Mac prefix allocation error", Shown: true}
	}
	network.SetField("macPrefix", taken[0])
	return taken[0], run.Save(ctx, network)
}

func networkPurge(ctx context.Context, run process.Run) (*process.Answer, error) {
	network := run.Resource()
	if err := give(ctx, run, macPrefixes.pool, network); err != nil {
		return nil, err
	}
	if network.Field("macPrefix") == nil {
		return nil, nil
	}
	network.ClearField("macPrefix")
	return nil, run.Save(ctx, network)
}

// macAddresses are those of one network.
func macAddresses(network *schema.Row, prefix string) items {
	return items{pool: poolOf(network, macItem), size: 1 << 24, name: func(n uint64) string {
		return fmt.Sprintf("%s:%02x:%02x:%02x", prefix, n>>16, n>>8&0xff, n&0xff)
	}}
}
