package handler

import (
	"context"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

func linkHandlers() []process.Handler {
	activate := on("AgentInstanceLinkActivate", linkActivate, "instancelink.activate")
	deactivate := on("AgentInstanceLinkDeactivate", linkDeactivate, "instancelink.deactivate")
	activate.Priority, deactivate.Priority = process.Specific, process.Specific
	return []process.Handler{activate, deactivate}
}

// linkPorts are those of a link service, at which links are reached.
func linkPorts(service *schema.Row) items {
	return items{pool: poolOf(service, linkPortItem), size: portsSize, name: portName}
}

// linked returns the link service that an instance has, and the nic by which it has it.
func linked(ctx context.Context, run process.Run, instance int64) (nic *schema.Row, s service, err error) {
	nics, err := nicsOf(ctx, run, instance)
	if err != nil {
		return nil, s, err
	}
	for _, nic := range nics {
		services, err := servicesOf(ctx, run, nic.Int("networkId"))
		if err != nil {
			return nil, s, err
		}
		at := slices.IndexFunc(services, func(s service) bool { return s.row.Kind() == linkService && s.byAgents() })
		if at >= 0 {
			return nic, services[at], nil
		}
	}
	return nil, s, nil
}

// linkActivate takes a port of the link service for each port of the target, once that has
// run. Without a link service the link is all there is to it.
func linkActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	link := run.Resource()
	nic, s, err := linked(ctx, run, link.Int("instanceId"))
	if err != nil || nic == nil || link.Int("targetInstanceId") == 0 {
		return nil, err
	}
	by, err := linkServer(ctx, run, nic, s.provider)
	if err != nil || by == nil {
		return nil, err
	}
	target, err := run.Get(ctx, "instance", link.Int("targetInstanceId"))
	if err != nil {
		return nil, err
	}
	if target.Get("firstRunning") == nil {
		return nil, linkWait(ctx, run, link, "instance "+target.Key()+" to have run")
	}
	address, err := primaryAddress(ctx, run, by.ID())
	if err != nil || address == "" {
		return nil, err
	}
	ports, err := find(ctx, run, "port", process.Match{"instanceId": target.ID()})
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	taken, err := linkPorts(s.row).take(ctx, run, link, len(ports))
	if err != nil {
		return nil, err
	}
	if len(taken) == 0 {
		return nil, &process.Failure{Message: "Failed to allocate link port", Detail: "Port allocation error", Shown: true}
	}
	ends := make([]any, len(ports))
	for i, p := range ports {
		ends[i] = map[string]any{"protocol": p.Str("protocol"), "ipAddress": address,
			"publicPort": float64(integer(taken[i])), "privatePort": float64(p.Int("privatePort"))}
	}
	return &process.Answer{Data: map[string]any{"ports": ends}, Continue: &goOn}, nil
}

// linkServer returns the system container of the link service once it runs.
func linkServer(ctx context.Context, run process.Run, nic, provider *schema.Row) (*schema.Row, error) {
	all, err := servers(ctx, run, nic)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(s server) bool { return s.provider.ID() == provider.ID() })
	if at < 0 {
		return nil, nil
	}
	if all[at].instance.State() != "running" {
		return nil, linkWait(ctx, run, run.Resource(), "agent instance "+all[at].instance.Key()+" to run")
	}
	return all[at].instance, nil
}

// linkScope is where the data of a process says since when it waits for a link.
const linkScope = "io.cattle.platform.instance.link.wait"

// linkWait waits for what a link needs, but not for ever.
func linkWait(ctx context.Context, run process.Run, link *schema.Row, what string) error {
	instance, err := run.Get(ctx, "instance", link.Int("instanceId"))
	if err != nil {
		return err
	}
	waits := private(run.Data(), linkScope)
	name := link.Key() + " " + what
	if waits[name] == nil {
		waits[name] = float64(run.Now())
	}
	limit := number(run, "instance.link.target.wait.time.millis")
	if own := integer(instance.Data()["linkWaitTime"]); own != 0 {
		limit = own
	}
	left := integer(waits[name]) + limit - run.Now()
	if left <= 0 {
		why := "Timeout waiting for instance link " + link.Str("linkName")
		return &process.Failure{Message: why, Detail: why, Shown: true}
	}
	return &process.WaitingError{For: what, After: min(time.Duration(left)*time.Millisecond, 300*time.Millisecond)}
}

// linkDeactivate gives the ports back.
func linkDeactivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	link := run.Resource()
	nic, s, err := linked(ctx, run, link.Int("instanceId"))
	if err != nil || nic == nil {
		return nil, err
	}
	if err := give(ctx, run, linkPorts(s.row).pool, link); err != nil {
		return nil, err
	}
	return &process.Answer{Data: map[string]any{"ports": []any{}}, Continue: &goOn}, nil
}
