package docker

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/cattleio/cattle/shared/wire"
)

// cardTime is how long a card may take to be there once its container runs.
const cardTime = 10 * time.Second

// address gives the cards of a container the addresses that the server has for its nics,
// beside those of the engine: the services of a network look for it there. It finds what it
// has done before.
//
// An engine on another machine, or that does not show us its processes, has its containers
// left as they are, and so has a container without a network of its own.
func (d *Driver) address(ctx context.Context, found *container.InspectResponse, nics []wire.Nic) error {
	nics = slices.DeleteFunc(slices.Clone(nics), func(n wire.Nic) bool { return n.Primary() == nil })
	if len(nics) == 0 || !running(found) || found.HostConfig == nil || found.HostConfig.NetworkMode.IsHost() || found.HostConfig.NetworkMode.IsContainer() {
		return nil
	}
	space, err := netns.GetFromPid(found.State.Pid)
	if err != nil {
		return nil //nolint:nilerr // it is not here, or has just ended
	}
	defer space.Close()
	if groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", found.State.Pid)); err != nil || !bytes.Contains(groups, []byte(found.ID)) {
		return nil //nolint:nilerr // another process has that number here
	}
	inside, err := netlink.NewHandleAt(space)
	if err != nil {
		return fmt.Errorf("cannot enter the network of container %s: %w", found.Name, err)
	}
	defer inside.Close()
	ctx, cancel := context.WithTimeout(ctx, cardTime)
	defer cancel()
	for _, nic := range nics {
		if err := dress(ctx, inside, nic); err != nil {
			return fmt.Errorf("cannot give container %s its address %s: %w", found.Name, nic.Primary().Address, err)
		}
	}
	return nil
}

// dress gives one card its address and MAC address.
func dress(ctx context.Context, inside *netlink.Handle, nic wire.Nic) error {
	ip := net.ParseIP(nic.Primary().Address).To4()
	if ip == nil {
		return fmt.Errorf("it is no address")
	}
	card, err := awaited(ctx, inside, fmt.Sprintf("eth%d", nic.DeviceNumber))
	if err != nil {
		return err
	}
	there, err := inside.AddrList(card, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(there, func(a netlink.Addr) bool { return a.IP.Equal(ip) }) {
		mask := net.CIDRMask(nic.Primary().Subnet.CIDRSize, 32)
		if err := inside.AddrAdd(card, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: mask}}); err != nil {
			return err
		}
	}
	if nic.MACAddress == "" {
		return nil
	}
	mac, err := net.ParseMAC(nic.MACAddress)
	if err != nil || bytes.Equal(mac, card.Attrs().HardwareAddr) {
		return err
	}
	return inside.LinkSetHardwareAddr(card, mac)
}

// awaited waits for a card to be there.
func awaited(ctx context.Context, inside *netlink.Handle, name string) (netlink.Link, error) {
	for {
		card, err := inside.LinkByName(name)
		if err == nil {
			return card, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("there is no card %s: %w", name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
