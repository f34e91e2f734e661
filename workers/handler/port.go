package handler

import (
	"context"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/process"
)

func portHandlers() []process.Handler {
	activate := on("PortActivate", portActivate, "port.activate")
	remove := on("PortRemove", portRemove, "port.remove")
	return []process.Handler{
		after("InstancePortCreate", process.Default, instancePorts, "instance.create"),
		activate, remove,
	}
}

// instancePorts makes a row for each port that the instance asks for.
func instancePorts(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	wanted, ok := instance.Field("ports").([]any)
	if !ok {
		return nil, nil
	}
	for _, w := range wanted {
		text, _ := w.(string)
		public, private, protocol := parsePort(text)
		if private == 0 {
			continue
		}
		port, err := one(ctx, run, "port", process.Match{"instanceId": instance.ID(), "privatePort": private, "protocol": protocol},
			map[string]any{"kind": "userPort", "publicPort": public, "accountId": instance.Get("accountId")})
		if err != nil {
			return nil, err
		}
		if err := run.Execute(ctx, "port.create", port, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
	}
	return nil, nil
}

// parsePort reads [public:]private[/protocol]; public is nil where none is named.
func parsePort(text string) (public any, private int64, protocol string) {
	ports, protocol, ok := strings.Cut(text, "/")
	if !ok {
		protocol = "tcp"
	}
	if first, second, two := strings.Cut(ports, ":"); two {
		if n, err := strconv.ParseInt(first, 10, 64); err == nil {
			public = n
		}
		ports = second
	}
	private, _ = strconv.ParseInt(ports, 10, 64)
	return public, private, protocol
}

// portActivate gives the port the address of its instance and that of its host.
func portActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	port := run.Resource()
	result := map[string]any{}
	nics, err := nicsOf(ctx, run, port.Int("instanceId"))
	if err != nil {
		return nil, err
	}
	if len(nics) > 0 {
		private, _, err := primaryOf(ctx, run, nics[0])
		if err != nil {
			return nil, err
		}
		if private != nil {
			result["privateIpAddressId"] = private.ID()
		}
	}
	if port.Get("publicIpAddressId") == nil {
		host, err := hostOf(ctx, run, port.Int("instanceId"))
		if err != nil {
			return nil, err
		}
		ties, err := find(ctx, run, "hostIpAddressMap", process.Match{"hostId": host})
		if err != nil {
			return nil, err
		}
		if len(ties) > 0 {
			result["publicIpAddressId"] = ties[0].Int("ipAddressId")
		}
	}
	return &process.Answer{Data: result, Continue: &goOn}, nil
}

func portRemove(context.Context, process.Run) (*process.Answer, error) {
	return &process.Answer{Data: map[string]any{"publicIpAddressId": nil, "privateIpAddressId": nil}, Continue: &goOn}, nil
}
