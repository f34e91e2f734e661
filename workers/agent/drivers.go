package agent

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
	"github.com/cattleio/cattle/workers/agent/driver/libvirt"
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
	libvirt.Kind: func(config Config, self identity) (driver.Driver, error) {
		return libvirt.New(libvirtConfig(config, self, os.Getenv))
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

// libvirtConfig takes what is particular to virtual machines from the variables that
// older agents know.
func libvirtConfig(config Config, self identity, getenv func(string) string) libvirt.Config {
	stop, _ := strconv.Atoi(getenv("CATTLE_STOP_TIMEOUT")) // what is no number is as if not given
	screens := ""
	if getenv("CATTLE_LIBVIRT_WEBSOCKIFY_ENABLED") == "true" {
		screens = net.JoinHostPort(or(getenv("CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_HOST"), "0.0.0.0"), or(getenv("CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_PORT"), "9343"))
	}
	return libvirt.Config{
		AgentUUID: self.agent, HostUUID: self.libvirt, PhysicalHostUUID: self.physicalHost,
		Hostname: config.Hostname, HostIP: or(getenv("CATTLE_LIBVIRT_HOST_IP"), config.HostIP), Home: config.Home,
		Pools:        strings.Fields(getenv("CATTLE_LIBVIRT_POOL_DIRECTORIES")),
		Templates:    listed(getenv("CATTLE_LIBVIRT_DEFAULT_TEMPLATE")),
		TemplateDirs: listed(getenv("CATTLE_LIBVIRT_TEMPLATE_DIR")),
		Type:         getenv("CATTLE_LIBVIRT_TYPE"),
		VNC:          getenv("CATTLE_LIBVIRT_VNC_LISTEN"),
		Screens:      screens,
		StopTimeout:  time.Duration(max(stop, 0)) * time.Second,
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// listed are the parts of a text with commas.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
