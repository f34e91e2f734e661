package libvirt

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/cattleio/cattle/workers/agent/driver"
)

// pressAgain is how often a machine is asked to shut down: one that boots hears nothing.
const pressAgain = time.Second

// Start makes the instance's machine from its template and starts it. One that is up
// is left as it is.
func (d *Driver) Start(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	name := cmd.Map.Instance.UUID
	if err := checkName(name); err != nil {
		return nil, err
	}
	s, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	domain, found, err := s.find(name)
	up := false
	if err == nil && found {
		up, err = s.alive(domain)
	}
	if err != nil || up {
		return d.observed(s, name, err)
	}
	if cmd.Map.Instance.Data.Imported {
		return d.observed(s, name, s.startAgain(domain, found, name))
	}
	text, err := d.describe(s, cmd)
	if err != nil {
		return nil, fmt.Errorf("cannot describe machine %s: %w", name, err)
	}
	if found { // it has crashed, and was kept to be looked at
		if err := s.destroy(domain); err != nil {
			return nil, err
		}
	}
	if _, err := s.DomainCreateXML(text, 0); err != nil {
		return nil, s.failed("cannot start machine "+name, err)
	}
	return d.observed(s, name, nil)
}

// startAgain starts a machine that others have begun, as they have defined it. We have no
// description of it: where they have left none, as of one that was made to last until it
// stops, it cannot be started, rather than another be put in its place.
func (s *session) startAgain(domain golibvirt.Domain, found bool, name string) error {
	if found {
		persistent, err := s.DomainIsPersistent(domain)
		switch {
		case golibvirt.IsNotFound(err):
		case err != nil:
			return s.failed("cannot read machine "+name, err)
		case persistent != 0:
			if err := s.destroy(domain); err != nil { // it may have crashed, and be kept to be looked at
				return err
			}
			if err := s.DomainCreate(domain); err != nil {
				return s.failed("cannot start machine "+name, err)
			}
			return nil
		}
	}
	return fmt.Errorf("cannot start machine %s: others have begun it, and it is not defined any more", name)
}

// Stop asks the machine to shut down, and turns it off after a while. No machine is
// success.
func (d *Driver) Stop(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	name := cmd.Map.Instance.UUID
	if err := checkName(name); err != nil {
		return nil, err
	}
	s, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	domain, found, err := s.find(name)
	if err == nil && found {
		err = d.stop(s, domain, cmd.Progress)
	}
	if err != nil {
		return nil, err
	}
	d.dropConfigDrive(name)
	return map[string]any{"instance": map[string]any{"+data": map[string]any{"+fields": map[string]any{
		"libvirtVncAddress": nil, "libvirtVncPassword": nil,
	}}}}, nil
}

func (d *Driver) stop(s *session, domain golibvirt.Domain, progress driver.Progress) error {
	ctx, cancel := context.WithTimeout(s.ctx, d.config.StopTimeout)
	defer cancel()
	events, err := s.LifecycleEvents(ctx)
	if err != nil {
		return s.failed("cannot watch machine "+domain.Name, err)
	}
	progress("Shutting down", -1)
	again := time.NewTicker(pressAgain)
	defer again.Stop()
	for {
		up, err := s.alive(domain)
		if err != nil || !up {
			cancel()
			drain(events)
			return errors.Join(err, s.destroy(domain))
		}
		// One that is on its way down, or cannot hear, refuses; what counts is seen above.
		_ = s.DomainShutdownFlags(domain, golibvirt.DomainShutdownAcpiPowerBtn)
		if !ended(ctx, events, domain.Name, again.C) {
			drain(events)
			return s.destroy(domain)
		}
	}
}

// ended waits until the machine has stopped or it is time to look again; false when
// the time is over.
func ended(ctx context.Context, events <-chan golibvirt.DomainEventLifecycleMsg, name string, again <-chan time.Time) bool {
	for {
		select {
		case e, open := <-events:
			if !open || e.Dom.Name == name && golibvirt.DomainEventType(e.Event) == golibvirt.DomainEventStopped {
				return open
			}
		case <-again:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// drain lets the sender of events end.
func drain(events <-chan golibvirt.DomainEventLifecycleMsg) {
	go func() {
		for range events { //nolint:revive // there is nothing to be done with them
		}
	}()
}

// destroy turns a machine off. One that is gone is off.
func (s *session) destroy(domain golibvirt.Domain) error {
	err := s.DomainDestroy(domain)
	if err == nil || golibvirt.IsNotFound(err) || isCode(err, golibvirt.ErrOperationInvalid) {
		return nil
	}
	return s.failed("cannot turn off machine "+domain.Name, err)
}

// live is what is read of a running machine.
type live struct {
	Secrets []struct {
		Name string `xml:"http://cattle.io/schemas/cattle-libvirt name,attr"`
		Text string `xml:",chardata"`
	} `xml:"metadata>data"`
	Graphics []struct {
		Type   string `xml:"type,attr"`
		Port   int    `xml:"port,attr"`
		Listen string `xml:"listen,attr"`
	} `xml:"devices>graphics"`
}

// observed reads the reply for an instance from libvirt.
func (d *Driver) observed(s *session, name string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	domain, found, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("machine %s ended at once", name)
	}
	text, err := s.DomainGetXMLDesc(domain, 0)
	if err != nil {
		return nil, s.failed("cannot read machine "+name, err)
	}
	var machine live
	if err := xml.Unmarshal([]byte(text), &machine); err != nil {
		return nil, fmt.Errorf("cannot read machine %s: %w", name, err)
	}
	password := machine.password()
	if password != "" {
		text = strings.ReplaceAll(text, password, "")
	}
	fields := map[string]any{"libvirtVncAddress": nil, "libvirtVncPassword": nil}
	if at := machine.screen(d.config.HostIP); at != "" {
		fields["libvirtVncAddress"], fields["libvirtVncPassword"] = at, password
		if d.screens != nil {
			fields["capabilities"] = []string{"console"}
		}
	}
	return map[string]any{"instance": map[string]any{"+data": map[string]any{
		"+libvirt": map[string]any{"xml": text}, "+fields": fields,
	}}}, nil
}

func (m *live) password() string {
	for _, secret := range m.Secrets {
		if secret.Name == "vncpasswd" {
			return secret.Text
		}
	}
	return ""
}

// screen is where users reach the machine's screen, "" where it shows none.
func (m *live) screen(hostIP string) string {
	for _, g := range m.Graphics {
		if g.Type != "vnc" || g.Port <= 0 {
			continue
		}
		if (g.Listen == "0.0.0.0" || g.Listen == "::") && hostIP != "" {
			g.Listen = hostIP
		}
		return net.JoinHostPort(g.Listen, strconv.Itoa(g.Port))
	}
	return ""
}

func (d *Driver) consoles() string { return filepath.Join(d.config.Home, "consoles") }

// console is the file of what a machine wrote to its serial console.
func (d *Driver) console(name string) string { return filepath.Join(d.consoles(), name+".log") }

// dropConsole forgets it, with what has grown too long and was laid aside.
func (d *Driver) dropConsole(name string) {
	texts, _ := filepath.Glob(d.console(name) + "*")
	for _, path := range texts {
		_ = os.Remove(path)
	}
}

// dropConfigDrive forgets what a machine was told at its start.
func (d *Driver) dropConfigDrive(name string) {
	drives, _ := filepath.Glob(filepath.Join(d.config.ConfigDrives, "config-"+name+"-*.iso"))
	for _, path := range drives {
		_ = os.Remove(path)
	}
}
