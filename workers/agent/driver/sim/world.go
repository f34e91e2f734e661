package sim

import (
	"fmt"
	"strconv"

	"github.com/cattleio/cattle/shared/wire"
)

// dataKey is where an agent's data says what its simulator should report.
const dataKey = "io.cattle.platform.agent.connection.simulator.AgentConnectionSimulator"

// world is what a simulator reports: hosts with pools, on one machine or on none.
type world struct {
	hosts, pools int
	physical     bool
}

func readWorld(data map[string]any) world {
	options, _ := data[dataKey].(map[string]any)
	w := world{hosts: count(options["hosts"]), pools: count(options["storagePoolsPerHost"]), physical: true}
	if value, given := options["addPhysicalHost"]; given {
		w.physical = fmt.Sprint(value) == "true"
	}
	return w
}

// count reads a number however it was written; what is none counts as one.
func count(value any) int {
	n, err := strconv.ParseFloat(fmt.Sprint(value), 64)
	if err != nil || n < 0 {
		return 1
	}
	return int(n)
}

// resources lists pools before their host and the machine last, so that whoever
// reads them must cope with any order.
func (w world) resources(agentUUID string) []wire.Resource {
	machine := ""
	if w.physical {
		machine = agentUUID + "-physical-host"
	}
	var all []wire.Resource
	for i := range w.hosts {
		host := fmt.Sprintf("%s-%d", agentUUID, i)
		for j := range w.pools {
			all = append(all, wire.Resource{Type: "storagePool", UUID: fmt.Sprintf("%s-%d", host, j), Kind: Kind, HostUUID: host})
		}
		all = append(all, wire.Resource{Type: "host", UUID: host, Kind: Kind, PhysicalHostUUID: machine})
	}
	if w.physical {
		all = append(all, wire.Resource{Type: "physicalHost", UUID: machine, Kind: Kind})
	}
	return all
}
