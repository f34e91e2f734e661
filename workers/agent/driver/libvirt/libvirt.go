// Package libvirt runs instances as virtual machines of one host, by libvirt and
// QEMU. It is the home of libvirt's client library.
//
//	image   POOL/<image uuid>.FORMAT     fetched once, read-only
//	volume  POOL/<volume uuid>.qcow2     what differs from its image
//	domain  named by the instance's uuid, made from a template at each start,
//	        and no more once it has stopped
//
// So libvirt and the files remember what belongs to whom, and nothing is kept here.
// No format of a disk is ever guessed from its content: what a machine writes to its
// own disk must not make another disk of it.
package libvirt

import (
	"context"
	"crypto/md5" //nolint:gosec // names a directory, protects nothing
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Kind is the kind of libvirt hosts and pools.
const Kind = "libvirt"

// agentSpace is the namespace under which a domain names the agent that made it.
const agentSpace = "http://cattle.io/schemas/cattle-agent"

const usualSocket = "/var/run/libvirt/libvirt-sock"

// Config says who the host is. HostUUID, PhysicalHostUUID and Home cannot be missed.
type Config struct {
	AgentUUID        string
	HostUUID         string
	PhysicalHostUUID string
	Hostname         string
	// HostIP is what stands for 0.0.0.0 where users read an address.
	HostIP string
	// Home is where pools, consoles and users' templates are, unless said otherwise.
	Home string
	// Pools are directories for images and volumes; none is pools/libvirt in Home.
	Pools []string
	// Templates are the names of templates that are looked for, the first that exists
	// is taken; none is custom_template.tmpl. TemplateDirs are where; see templates.
	Templates, TemplateDirs []string
	// Type is kvm or qemu; empty is kvm where the processor and libvirt have it.
	Type string
	// VNC is the address that screens are shown at; empty is 127.0.0.1.
	VNC string
	// Screens is where browsers may look at screens with a token; empty is nowhere.
	Screens string
	// TokenLife is how long such a token may be used; 0 is five minutes.
	TokenLife time.Duration
	// ConfigDrives is where disks are made that tell machines who they are; empty is
	// pools/config-drive in Home. Maker is the program that makes them; empty is genisoimage.
	ConfigDrives, Maker string
	// Socket of libvirtd; empty is where it usually is.
	Socket string
	// StopTimeout is how long a machine may take to shut down; 0 is a minute.
	StopTimeout time.Duration
}

// Driver drives the virtual machines of one libvirtd, which need not be up.
type Driver struct {
	config  Config
	screens *screens // nil shows none
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver and makes its directories.
func New(config Config) (*Driver, error) {
	if len(config.Pools) == 0 {
		config.Pools = []string{filepath.Join(config.Home, "pools", "libvirt")}
	}
	if len(config.Templates) == 0 {
		config.Templates = []string{"custom_template.tmpl"}
	}
	if len(config.TemplateDirs) == 0 {
		config.TemplateDirs = templateDirs(config.Home)
	}
	if config.VNC == "" {
		config.VNC = "127.0.0.1"
	}
	if config.Socket == "" {
		config.Socket = usualSocket
	}
	if config.StopTimeout == 0 {
		config.StopTimeout = time.Minute
	}
	if config.TokenLife == 0 {
		config.TokenLife = 5 * time.Minute
	}
	if config.ConfigDrives == "" {
		config.ConfigDrives = filepath.Join(config.Home, "pools", "config-drive")
	}
	if config.Maker == "" {
		config.Maker = "genisoimage"
	}
	d := &Driver{config: config}
	for i, pool := range config.Pools {
		path, err := filepath.Abs(pool)
		if err == nil {
			err = os.MkdirAll(path, 0o755)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot make pool: %w", err)
		}
		config.Pools[i] = path
		sweep(path, ".", ".new")
		sweep(filepath.Join(path, "work"), "cattle-temp-", "")
	}
	sweep(config.ConfigDrives, ".stage-", "")
	if err := os.MkdirAll(d.consoles(), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make a place for consoles: %w", err)
	}
	if config.Screens != "" {
		var err error
		if d.screens, err = openScreens(config); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// sweep removes what an agent that was killed has left half done, of names that begin and end
// so: nobody may ask for it again.
func sweep(dir, prefix, suffix string) {
	entries, _ := os.ReadDir(dir) // there is nothing in what is not there
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), suffix) {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// Answers tells whether libvirtd does, at its usual socket, and lets us drive machines.
func Answers(ctx context.Context) error {
	s, err := (&Driver{config: Config{Socket: usualSocket}}).open(ctx)
	if err != nil {
		return err
	}
	s.close()
	return nil
}

// Kind is libvirt.
func (d *Driver) Kind() string { return Kind }

// Report tells machine, host and pools, and the machines that run; those that others have
// begun as foreign, by libvirt's uuid. Those that another agent made on this host are left
// out.
func (d *Driver) Report(ctx context.Context, options wire.PingOptions) ([]wire.Resource, error) {
	s, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var resources []wire.Resource
	if options.Resources {
		if resources, err = d.places(s); err != nil {
			return nil, err
		}
	}
	if !options.Instances {
		return resources, nil
	}
	running, err := d.running(s)
	return append(resources, running...), err
}

func (d *Driver) places(s *session) ([]wire.Resource, error) {
	c := d.config
	kind, err := d.machineType(s)
	if err != nil {
		return nil, err
	}
	name := c.Hostname + "/libvirt"
	resources := []wire.Resource{
		{Type: "physicalHost", UUID: c.PhysicalHostUUID, Kind: "physicalHost", Name: c.Hostname},
		{Type: "host", UUID: c.HostUUID, Kind: Kind, Name: name, PhysicalHostUUID: c.PhysicalHostUUID,
			Data: map[string]any{"libvirt": map[string]any{"type": kind}}},
	}
	for _, pool := range c.Pools {
		resources = append(resources, wire.Resource{Type: "storagePool", UUID: d.poolUUID(pool), Kind: Kind, HostUUID: c.HostUUID,
			Name: name + " Storage Pool " + pool, Data: map[string]any{"libvirt": map[string]any{"driver": "directory", "poolPath": pool}}})
	}
	return resources, nil
}

func (d *Driver) poolUUID(path string) string {
	sum := md5.Sum([]byte(path)) //nolint:gosec // as above
	return d.config.HostUUID + "-" + hex.EncodeToString(sum[:])
}

// pool gives the directory of one of our pools.
func (d *Driver) pool(place wire.Place) (string, error) {
	for _, path := range d.config.Pools {
		if d.poolUUID(path) == place.UUID {
			return path, nil
		}
	}
	return "", fmt.Errorf("storage pool %s is not on this host", place.UUID)
}

func (d *Driver) running(s *session) ([]wire.Resource, error) {
	domains, _, err := s.ConnectListAllDomains(1, golibvirt.ConnectListDomainsActive)
	if err != nil {
		return nil, s.failed("cannot list machines", err)
	}
	var instances []wire.Resource
	for _, domain := range domains {
		up, err := s.alive(domain)
		if err != nil {
			return nil, err
		}
		if !up {
			continue
		}
		one, err := d.told(s, domain)
		if err != nil {
			return nil, err
		}
		if one != nil {
			instances = append(instances, *one)
		}
	}
	return instances, nil
}

// told is what is reported of a machine that runs, nil where it is another agent's or has
// ended meanwhile. One that does not say who made it is ours if its name is a uuid: a
// template may leave it out.
func (d *Driver) told(s *session, domain golibvirt.Domain) (*wire.Resource, error) {
	maker, err := s.maker(domain)
	named := uuid.Validate(domain.Name) == nil
	foreign := wire.Resource{Type: "instance", Kind: wire.Foreign, UUID: uuid.UUID(domain.UUID).String(), Name: domain.Name, State: "running", HostUUID: d.config.HostUUID}
	if err == nil && maker == "" && !named {
		_, memory, _, processors, _, unread := s.DomainGetInfo(domain)
		foreign.Data, err = map[string]any{"instanceKind": "virtualMachine", "memoryMb": memory >> 10, "vcpu": processors}, unread
	}
	switch {
	case golibvirt.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, s.failed("cannot read machine "+domain.Name, err)
	case maker == "" && !named:
		return &foreign, nil
	case maker == "" || maker == d.config.AgentUUID:
		return &wire.Resource{Type: "instance", UUID: domain.Name, State: "running"}, nil
	}
	return nil, nil
}

// maker is the uuid of the agent that made a machine, "" where it does not say.
func (s *session) maker(domain golibvirt.Domain) (string, error) {
	text, err := s.DomainGetMetadata(domain, int32(golibvirt.DomainMetadataElement), golibvirt.OptString{agentSpace}, 0)
	if isCode(err, golibvirt.ErrNoDomainMetadata) {
		return "", nil
	}
	var maker struct {
		UUID string `xml:",chardata"`
	}
	if err == nil {
		err = xml.Unmarshal([]byte(text), &maker)
	}
	return maker.UUID, err
}

func isCode(err error, code golibvirt.ErrorNumber) bool {
	var e golibvirt.Error
	return errors.As(err, &e) && e.Code == uint32(code)
}
