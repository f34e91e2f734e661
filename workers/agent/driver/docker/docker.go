// Package docker runs instances as containers of one Docker engine. It is the
// home of the engine's client library.
//
// The name of a container is the uuid of its instance, so the engine itself
// remembers what belongs to whom, and nothing is kept here. Networks, links by
// address and configuration items of an instance are others' business.
package docker

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Kind is the kind of Docker hosts and pools.
const Kind = "docker"

// Labels of our containers.
const (
	labelInstance = "io.cattle.instance.uuid"
	labelAgent    = "io.cattle.agent.uuid"
	labelOptions  = "io.cattle.options" // what the container was made with
)

// Config says who the host is. HostUUID and PhysicalHostUUID cannot be missed.
type Config struct {
	AgentUUID        string
	HostUUID         string
	PhysicalHostUUID string
	Hostname         string
	// HostIP is the address under which users reach published ports.
	HostIP string
	// Engine is the address of the engine; "" asks DOCKER_HOST, then the local socket.
	Engine string
	// Server is where the server is, for agents in containers.
	Server string
	// Logins is the directory of the config.json that docker login writes; "" asks
	// DOCKER_CONFIG, then .docker of the home directory.
	Logins string
	// StopGrace is how long a container may take to stop before it is killed; 0 is a second.
	StopGrace time.Duration
	// StopTimeout is how long a stop is tried; 0 is a minute.
	StopTimeout time.Duration
	// DelegateTimeout is how long an agent in a container may take for a command; 0 is two
	// minutes.
	DelegateTimeout time.Duration
}

// Driver drives one engine. It may be made before the engine is up, and survives
// its restarts.
type Driver struct {
	config Config
	engine *client.Client
	met    atomic.Bool // the version of the engine's API is known
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver for the engine, which need not be there yet.
func New(config Config) (*Driver, error) {
	options := []client.Opt{client.FromEnv}
	if config.Engine != "" {
		options = append(options, client.WithHost(config.Engine))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("cannot use Docker engine %q: %w", config.Engine, err)
	}
	if config.StopGrace == 0 {
		config.StopGrace = time.Second
	}
	if config.StopTimeout == 0 {
		config.StopTimeout = time.Minute
	}
	if config.DelegateTimeout == 0 {
		config.DelegateTimeout = 2 * time.Minute
	}
	return &Driver{config: config, engine: engine}, nil
}

// Answers tells whether an engine does, at an address as in Config.
func Answers(ctx context.Context, address string) error {
	d, err := New(Config{Engine: address})
	if err != nil {
		return err
	}
	defer d.engine.Close()
	_, err = d.Report(ctx, wire.PingOptions{})
	return err
}

// Kind is docker.
func (d *Driver) Kind() string { return Kind }

// Report tells machine, host and pool, and the containers that run: those that are named
// by a uuid by that, and what others have begun, as foreign, by the id that the engine
// knows. Those that another agent made on this engine are left out.
func (d *Driver) Report(ctx context.Context, options wire.PingOptions) ([]wire.Resource, error) {
	if err := d.meet(ctx); err != nil {
		return nil, err
	}
	var resources []wire.Resource
	if options.Resources {
		resources = d.places()
	}
	if !options.Instances {
		return resources, nil
	}
	running, err := d.running(ctx)
	return append(resources, running...), err
}

// meet sees that the engine is there, and has the client learn which version of its API it
// speaks. The client would ask by itself before its first request, but goes on without an
// answer, with a version that an engine which is back by then may not know.
func (d *Driver) meet(ctx context.Context) error {
	if _, err := d.engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return fmt.Errorf("%w: %v", driver.ErrAbsent, err)
	}
	d.met.Store(true)
	return nil
}

// known meets the engine unless that was done before.
func (d *Driver) known(ctx context.Context) error {
	if d.met.Load() {
		return nil
	}
	return d.meet(ctx)
}

func (d *Driver) places() []wire.Resource {
	c := d.config
	name := c.Hostname + "/docker"
	return []wire.Resource{
		{Type: "physicalHost", UUID: c.PhysicalHostUUID, Kind: "physicalHost", Name: c.Hostname},
		{Type: "host", UUID: c.HostUUID, Kind: Kind, Name: name, PhysicalHostUUID: c.PhysicalHostUUID},
		{Type: "storagePool", UUID: c.HostUUID + "-pool", Kind: Kind, Name: name + " Storage Pool", HostUUID: c.HostUUID},
	}
}

func (d *Driver) running(ctx context.Context) ([]wire.Resource, error) {
	list, err := d.engine.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list containers: %w", err)
	}
	var instances []wire.Resource
	for _, c := range list.Items {
		if maker := c.Labels[labelAgent]; maker != "" && maker != d.config.AgentUUID {
			continue
		}
		if id := instanceName(c.Names); id != "" {
			instances = append(instances, wire.Resource{Type: "instance", UUID: id, State: "running"})
			continue
		}
		one := wire.Resource{Type: "instance", Kind: wire.Foreign, UUID: c.ID, State: "running", HostUUID: d.config.HostUUID, Data: map[string]any{"image": c.Image}}
		if len(c.Names) > 0 {
			one.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		instances = append(instances, one)
	}
	return instances, nil
}

// instanceName finds the uuid among a container's names, which also hold the
// names under which links know it.
func instanceName(names []string) string {
	for _, name := range names {
		if len(name) == 37 && uuid.Validate(name[1:]) == nil {
			return name[1:]
		}
	}
	return ""
}
