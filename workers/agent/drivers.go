package agent

import (
	"fmt"

	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
)

// opener makes the driver of a kind for this host.
type opener func(config Config, self identity) (driver.Driver, error)

// openers lists the drivers there are.
var openers = map[string]opener{
	docker.Kind: func(config Config, self identity) (driver.Driver, error) {
		return docker.New(docker.Config{
			AgentUUID: self.agent, HostUUID: self.docker, PhysicalHostUUID: self.physicalHost,
			Hostname: config.Hostname, HostIP: config.HostIP,
		})
	},
	sim.Kind: func(_ Config, self identity) (driver.Driver, error) {
		return sim.New(sim.Config{AgentUUID: self.agent}), nil
	},
}

func openDrivers(config Config, self identity) (map[string]driver.Driver, error) {
	drivers := map[string]driver.Driver{}
	for _, kind := range config.Drivers {
		open, known := openers[kind]
		if !known {
			return nil, fmt.Errorf("there is no driver %q", kind)
		}
		d, err := open(config, self)
		if err != nil {
			return nil, err
		}
		drivers[kind] = d
	}
	return drivers, nil
}
