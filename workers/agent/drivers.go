package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// engine is what a kind of host is driven by.
type engine struct {
	// answers is nil where it is there.
	answers func(ctx context.Context) error
	open    func(config Config, self identity) (driver.Driver, error)
}

// engines lists what there is.
var engines = map[string]engine{
	docker.Kind: {func(ctx context.Context) error { return docker.Answers(ctx, os.Getenv(dockerAddress)) }, func(config Config, self identity) (driver.Driver, error) {
		return docker.New(dockerConfig(config, self, os.Getenv))
	}},
	libvirt.Kind: {libvirt.Answers, func(config Config, self identity) (driver.Driver, error) {
		return libvirt.New(libvirtConfig(config, self, os.Getenv))
	}},
	sim.Kind: {func(context.Context) error { return nil }, func(_ Config, self identity) (driver.Driver, error) {
		return sim.New(sim.Config{AgentUUID: self.agent}), nil
	}},
}

func openDrivers(config Config, self identity, kinds []string) (map[string]driver.Driver, error) {
	drivers := map[string]driver.Driver{}
	for _, kind := range kinds {
		d, err := engines[kind].open(config, self)
		if err != nil {
			return nil, err
		}
		drivers[kind] = d
	}
	return drivers, nil
}

// finder finds out what kinds of host there are here.
type finder struct {
	engines  map[string]engine
	getenv   func(string) string
	met      func(kind string) bool // served here before
	patience time.Duration          // with an engine that has to be there
	log      *slog.Logger
}

// find tells which kinds to serve: those that are named, else libvirt and Docker, if they
// are here and CATTLE_KIND_ENABLED is not false. What has to be here is waited for, since it
// may begin with the machine as we do, and then its absence is an error:
//
//	CATTLE_KIND_REQUIRED=true    it has to be here
//	                             what is named, and Docker if libvirt is not here
//	CATTLE_KIND_REQUIRED=false   it may be missing; if it is named it is served once it comes
//
// Docker alone is not required by default, as the contract has it, but something is: else
// hosts of virtual machines would need a variable to begin at all. What was served here
// before is served although it keeps silent: a list of what runs that leaves it out would
// say that all of it is lost.
func (f finder) find(ctx context.Context, named []string) ([]string, error) {
	kinds := named
	if len(named) == 0 {
		kinds = []string{libvirt.Kind, docker.Kind}
	}
	var served []string
	for _, kind := range kinds {
		one, known := f.engines[kind]
		if !known {
			return nil, fmt.Errorf("there is no driver %q", kind)
		}
		variable := "CATTLE_" + strings.ToUpper(kind)
		if len(named) == 0 && f.getenv(variable+"_ENABLED") == "false" {
			continue
		}
		required := f.getenv(variable + "_REQUIRED")
		met := f.met(kind)
		usual := len(named) > 0 || kind == docker.Kind && len(served) == 0
		must := required == "true" || required == "" && usual && !met
		switch err := f.wait(ctx, one, must); {
		case err == nil:
		case must:
			return nil, fmt.Errorf("cannot serve hosts of kind %q (%s_REQUIRED=false goes on without): %w", kind, variable, err)
		case met || len(named) > 0:
			f.log.WarnContext(ctx, "what was served here is silent", "driver", kind, "err", err)
		default:
			f.log.InfoContext(ctx, "not on this host", "driver", kind, "err", err)
			continue
		}
		served = append(served, kind)
	}
	if len(served) == 0 {
		return nil, errors.New("there is nothing on this host that may be driven")
	}
	return served, nil
}

// wait asks an engine once, or, if it has to be there, for as long as patience lasts.
func (f finder) wait(ctx context.Context, one engine, must bool) error {
	for begin, pause := time.Now(), firstLook; ; pause = min(2*pause, longestLook) {
		asked, cancel := context.WithTimeout(ctx, pingTime)
		err := one.answers(asked)
		cancel()
		if err == nil || !must || time.Since(begin)+pause > f.patience || !sleep(ctx, pause) {
			return err
		}
	}
}

// dockerAddress is the variable with the address of the engine, where it is not the usual one.
const dockerAddress = "CATTLE_DOCKER_URL_BASE"

// dockerConfig takes what is particular to containers from the variables that older agents
// know.
func dockerConfig(config Config, self identity, getenv func(string) string) docker.Config {
	server := getenv("CATTLE_CONFIG_URL")
	if base, err := serverURL(config.URL); err == nil && server == "" {
		server = base.String() + "/v1"
	}
	return docker.Config{
		AgentUUID: self.agent, HostUUID: self.docker, PhysicalHostUUID: self.physicalHost,
		Hostname: config.Hostname, HostIP: or(getenv("CATTLE_DOCKER_HOST_IP"), config.HostIP),
		Engine:      getenv(dockerAddress),
		Server:      server,
		StopTimeout: seconds(getenv, "CATTLE_STOP_TIMEOUT"), DelegateTimeout: seconds(getenv, "CATTLE_DOCKER_DELEGATE_TIMEOUT"),
	}
}

// seconds is how long something may take; 0 is as long as usual.
func seconds(getenv func(string) string, variable string) time.Duration {
	n, _ := strconv.Atoi(getenv(variable)) // what is no number is as if not given
	return time.Duration(max(n, 0)) * time.Second
}

// libvirtConfig takes what is particular to virtual machines from the variables that
// older agents know. Theirs showed screens to browsers unless told not to; otherwise this one
// has no port that is open to others, and users look at screens through the server.
func libvirtConfig(config Config, self identity, getenv func(string) string) libvirt.Config {
	screens := ""
	if getenv("CATTLE_LIBVIRT_WEBSOCKIFY_ENABLED") == "true" {
		screens = net.JoinHostPort(or(getenv("CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_HOST"), "0.0.0.0"), or(getenv("CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_PORT"), "9343"))
	}
	return libvirt.Config{
		AgentUUID: self.agent, HostUUID: self.libvirt, PhysicalHostUUID: self.physicalHost,
		Hostname: config.Hostname, HostIP: or(getenv("CATTLE_LIBVIRT_HOST_IP"), config.HostIP), Home: config.Home,
		Pools:        strings.Fields(getenv("CATTLE_LIBVIRT_POOL_DIRECTORIES")),
		Templates:    libvirt.Names(getenv("CATTLE_LIBVIRT_DEFAULT_TEMPLATE")),
		TemplateDirs: libvirt.Names(getenv("CATTLE_LIBVIRT_TEMPLATE_DIR")),
		Type:         getenv("CATTLE_LIBVIRT_TYPE"),
		VNC:          getenv("CATTLE_LIBVIRT_VNC_LISTEN"),
		Screens:      screens,
		TokenLife:    seconds(getenv, "CATTLE_LIBVIRT_WEBSOCKIFY_SESSION_TIMEOUT"),
		ConfigDrives: getenv("CATTLE_LIBVIRT_CONFIG_DRIVE_DIR"),
		Maker:        getenv("CATTLE_LIBVIRT_GENISOIMAGE"),
		StopTimeout:  seconds(getenv, "CATTLE_STOP_TIMEOUT"),
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
