package handler

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// dockerStarted records the ports and the addresses that Docker reported.
func dockerStarted(ctx context.Context, run process.Run) (*process.Answer, error) {
	tie := run.Resource()
	instance, err := run.Get(ctx, "instance", tie.Int("instanceId"))
	if err != nil {
		return nil, err
	}
	own, err := nicAddress(ctx, run, instance)
	if err != nil {
		return nil, err
	}
	reported, _ := instance.Field("dockerPorts").(map[string]any)
	address, _ := instance.Field("dockerHostIp").(string)
	if address == "" || reported == nil {
		return nil, nil
	}
	public, err := hostAddress(ctx, run, tie.Int("hostId"), address)
	if err != nil || public == nil {
		return nil, err
	}
	elsewhere, err := publishedByService(ctx, run, instance)
	if err != nil {
		return nil, err
	}
	for name, value := range reported {
		ends := map[string]any{}
		if own != nil {
			ends["privateIpAddressId"] = own.ID()
		}
		if !elsewhere {
			ends["publicIpAddressId"] = public.ID()
			if port := integer(value); port != 0 {
				ends["publicPort"] = port
			}
		}
		if err := reportedPort(ctx, run, instance, ends, name); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// publishedByService tells whether a service of its network publishes the ports of an
// instance, under the numbers that the user has asked for, rather than Docker.
func publishedByService(ctx context.Context, run process.Run, instance *schema.Row) (bool, error) {
	nics, err := nicsOf(ctx, run, instance.ID())
	if err != nil || len(nics) == 0 {
		return false, err
	}
	services, err := servicesOf(ctx, run, nics[0].Int("networkId"))
	return slices.ContainsFunc(services, func(s service) bool { return s.row.Kind() == portService }), err
}

// nicAddress records the address that Docker gave an instance, on its first nic; it is nil
// if there is none.
func nicAddress(ctx context.Context, run process.Run, instance *schema.Row) (*schema.Row, error) {
	text, _ := instance.Field("dockerIp").(string)
	if text == "" {
		return nil, nil
	}
	nics, err := nicsOf(ctx, run, instance.ID())
	if err != nil || len(nics) == 0 {
		return nil, err
	}
	nic := nics[0]
	addresses, ties, err := addressesOf(ctx, run, nic)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(addresses, func(a *schema.Row) bool { return a.Kind() == dockerAddress || a.Str("address") == text })
	if at >= 0 {
		address := addresses[at]
		if address.Kind() == dockerAddress && address.Str("address") != text {
			address.Set("address", text)
			if err := run.Save(ctx, address); err != nil {
				return nil, err
			}
		}
		return address, bothActive(ctx, run, address, ties[at])
	}
	address, err := numbered(ctx, run, "ipAddress", nic.UUID()+"-docker-ip",
		map[string]any{"kind": dockerAddress, "address": text, "networkId": nic.Get("networkId"), "accountId": nic.Get("accountId")})
	if err != nil {
		return nil, err
	}
	tie, err := one(ctx, run, "ipAddressNicMap", process.Match{"nicId": nic.ID(), "ipAddressId": address.ID()}, nil)
	if err != nil {
		return nil, err
	}
	return address, bothActive(ctx, run, address, tie)
}

func bothActive(ctx context.Context, run process.Run, address, tie *schema.Row) error {
	if err := createThenActivate(ctx, run, tie, nil); err != nil || address.Kind() != dockerAddress {
		return err
	}
	return createThenActivate(ctx, run, address, nil)
}

// hostAddress finds or makes the address of a host.
func hostAddress(ctx context.Context, run process.Run, host int64, text string) (*schema.Row, error) {
	ties, err := find(ctx, run, "hostIpAddressMap", process.Match{"hostId": host})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		address, err := run.Get(ctx, "ipAddress", tie.Int("ipAddressId"))
		if err != nil {
			return nil, err
		}
		if address.Str("address") == text {
			return address, activated(ctx, run, address, tie)
		}
	}
	if run.Setting("docker.compute.auto.add.host.ip") != "true" {
		return nil, nil
	}
	row, err := run.Get(ctx, "host", host)
	if err != nil {
		return nil, err
	}
	address, err := reportedAddress(ctx, run, row, text)
	if err != nil {
		return nil, err
	}
	tie, err := one(ctx, run, "hostIpAddressMap", process.Match{"hostId": host, "ipAddressId": address.ID()}, nil)
	if err != nil {
		return nil, err
	}
	return address, activated(ctx, run, address, tie)
}

// activated brings to active what is on its way there. What somebody has deactivated
// stays so.
func activated(ctx context.Context, run process.Run, rows ...*schema.Row) error {
	for _, row := range rows {
		if !unfinished(row) {
			continue
		}
		if err := createThenActivate(ctx, run, row, nil); err != nil {
			return err
		}
	}
	return nil
}

// reportedAddress finds or makes the row of an address. Of those of the same text, which
// several hosts may have, it is the one that was made for this host.
func reportedAddress(ctx context.Context, run process.Run, host *schema.Row, text string) (*schema.Row, error) {
	all, err := find(ctx, run, "ipAddress", process.Match{"address": text})
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if integer(a.Data()["hostId"]) == host.ID() {
			return a, nil
		}
	}
	return run.Create(ctx, "ipAddress", map[string]any{"address": text, "accountId": host.Get("accountId"),
		"data": map[string]any{"hostId": host.ID()}})
}

// reportedPort records one port under the name that Docker gives it: 80/tcp, and between
// which ends it leads.
func reportedPort(ctx context.Context, run process.Run, instance *schema.Row, ends map[string]any, name string) error {
	number, protocol, _ := strings.Cut(name, "/")
	private, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil // an agent of another mind; the container runs all the same
	}
	port, err := one(ctx, run, "port", process.Match{"instanceId": instance.ID(), "privatePort": private, "protocol": protocol},
		map[string]any{"kind": "imagePort", "accountId": instance.Get("accountId")})
	if err != nil {
		return err
	}
	for column, v := range ends {
		port.Set(column, v)
	}
	if err := run.Save(ctx, port); err != nil {
		return err
	}
	if err := run.Execute(ctx, "port.create", port, nil); err != nil && !process.IsCanceled(err) {
		return err
	}
	return nil
}
