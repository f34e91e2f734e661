package engine_test

import (
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/testkit"
)

// A subnet says itself how its range is used, and keeps what it was told.
func TestASubnetFillsInItsRange(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		for _, c := range []struct {
			given               map[string]any
			gateway, start, end string
		}{
			{map[string]any{"networkAddress": "10.42.0.0", "cidrSize": int64(24)}, "10.42.0.1", "10.42.0.2", "10.42.0.250"},
			{map[string]any{"networkAddress": "10.43.0.16", "cidrSize": int64(28)}, "10.43.0.17", "10.43.0.18", "10.43.0.30"},
			{map[string]any{"networkAddress": "10.44.0.0", "cidrSize": int64(24), "gateway": "10.44.0.254", "endAddress": "10.44.0.9"}, "10.44.0.254", "10.44.0.2", "10.44.0.9"},
			{map[string]any{"networkAddress": "nowhere", "cidrSize": int64(24)}, "", "", ""},
		} {
			row := w.post("subnet", c.given)
			w.work(w.worker())
			w.want(row, "active")
			wantRange(t, w.again(row), c.gateway, c.start, c.end)
		}
	})
}

// A pool of a subnet makes that subnet once, and takes it along when it goes.
func TestAPoolOfASubnetHasItsSubnet(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		pool := w.post("subnetIpPool", map[string]any{"networkAddress": "192.168.7.0", "cidrSize": int64(24), "startAddress": "192.168.7.100"})
		plain := w.post("ipPool", nil)
		w.work(k)
		w.want(pool, "active")
		w.want(plain, "active")
		subnets := w.find("subnet", process.Match{"kind": "ipPoolSubnet"})
		if len(subnets) != 1 || subnets[0].Int("ipPoolId") != pool.ID() {
			t.Fatalf("the two pools have %d subnets", len(subnets))
		}
		w.want(subnets[0], "active")
		wantRange(t, subnets[0], "192.168.7.1", "192.168.7.100", "192.168.7.250")
		w.act(pool, "ippool.deactivate")
		w.work(k)
		w.act(pool, "ippool.remove")
		w.work(k)
		w.want(pool, "removed")
		w.want(subnets[0], "removed")
	})
}

func wantRange(t *testing.T, subnet *schema.Row, gateway, start, end string) {
	t.Helper()
	if g, s, e := subnet.Str("gateway"), subnet.Str("startAddress"), subnet.Str("endAddress"); g != gateway || s != start || e != end {
		t.Errorf("the subnet %s has gateway %s and %s to %s, not %s and %s to %s", subnet.Str("networkAddress"), g, s, e, gateway, start, end)
	}
}
