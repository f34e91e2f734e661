package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/cattleio/cattle/workers/agent/driver"
)

// session is one conversation with libvirtd. Each command has its own, which ends
// with its context, so that a libvirtd that hangs or starts again harms no other.
type session struct {
	*golibvirt.Libvirt
	ctx  context.Context //nolint:containedctx // it is what ends the session
	stop func() bool
	conn net.Conn
}

// dialed hands a connection to the library, which wants to dial by itself.
type dialed struct{ conn net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.conn, nil }

func (d *Driver) open(ctx context.Context) (*session, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", d.config.Socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", driver.ErrAbsent, err)
	}
	s := &session{Libvirt: golibvirt.NewWithDialer(dialed{conn}), ctx: ctx, conn: conn}
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.ConnectToURI(golibvirt.QEMUSystem); err != nil {
		s.stop()
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %v", driver.ErrAbsent, err)
	}
	return s, nil
}

func (s *session) close() {
	s.stop()
	_ = s.Disconnect() // libvirtd sees it go either way
	_ = s.conn.Close()
}

// failed says what could not be done; a conversation that broke off is ErrAbsent.
func (s *session) failed(what string, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(s.ctx))
	case !s.IsConnected():
		return fmt.Errorf("%s: %w: %v", what, driver.ErrAbsent, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// find gives the machine of that name, if it runs or has left something behind. One that
// others have begun has a name of theirs, and is known by its uuid.
func (s *session) find(name string) (domain golibvirt.Domain, found bool, err error) {
	domain, err = s.DomainLookupByName(name)
	if id, is := uuid.Parse(name); golibvirt.IsNotFound(err) && is == nil {
		domain, err = s.DomainLookupByUUID(golibvirt.UUID(id))
	}
	switch {
	case golibvirt.IsNotFound(err):
		return domain, false, nil
	case err != nil:
		return domain, false, s.failed("cannot find machine "+name, err)
	}
	return domain, true, nil
}

// alive tells whether a machine is there for its users. One that waits, as for a disk
// that is full, is.
func (s *session) alive(domain golibvirt.Domain) (bool, error) {
	state, _, err := s.DomainGetState(domain, 0)
	switch {
	case golibvirt.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, s.failed("cannot read machine "+domain.Name, err)
	}
	switch golibvirt.DomainState(state) {
	case golibvirt.DomainShutoff, golibvirt.DomainCrashed:
		return false, nil
	}
	return true, nil
}

// machineType is kvm where libvirt offers it and the processor has it, else qemu.
func (d *Driver) machineType(s *session) (string, error) {
	if d.config.Type != "" {
		return d.config.Type, nil
	}
	text, err := s.ConnectGetCapabilities()
	if err != nil {
		return "", s.failed("cannot read what libvirt is capable of", err)
	}
	offered, err := offeredTypes(text)
	switch {
	case err != nil:
		return "", err
	case offered["kvm"] && hasKVM("/"):
		return "kvm", nil
	case offered["qemu"]:
		return "qemu", nil
	}
	return "", fmt.Errorf("libvirt offers neither kvm nor qemu")
}

func offeredTypes(capabilities string) (map[string]bool, error) {
	var read struct {
		Guests []struct {
			Domains []struct {
				Type string `xml:"type,attr"`
			} `xml:"arch>domain"`
		} `xml:"guest"`
	}
	if err := xml.Unmarshal([]byte(capabilities), &read); err != nil {
		return nil, fmt.Errorf("cannot read what libvirt is capable of: %w", err)
	}
	offered := map[string]bool{}
	for _, guest := range read.Guests {
		for _, domain := range guest.Domains {
			offered[domain.Type] = true
		}
	}
	return offered, nil
}

// hasKVM looks at device, processor and module below a root: a device alone may be
// one that no machine starts on.
func hasKVM(root string) bool {
	if _, err := os.Stat(root + "dev/kvm"); err != nil {
		return false
	}
	processor, _ := os.ReadFile(root + "proc/cpuinfo") // what cannot be read has none
	modules, _ := os.ReadFile(root + "proc/modules")
	for flag, module := range map[string]string{"svm": "kvm_amd", "vmx": "kvm_intel"} {
		_, err := os.Stat(root + "sys/module/" + module)
		loaded := err == nil || strings.Contains("\n"+string(modules), "\n"+module+" ")
		if loaded && strings.Contains(strings.ReplaceAll(string(processor), "\n", " ")+" ", " "+flag+" ") {
			return true
		}
	}
	return false
}
