package handler

import (
	"context"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// Which configuration items follow from which process is said by settings:
//
//	PROCESS.agentInstanceProvider.KIND.apply           given to the system container
//	PROCESS.agentInstanceProvider.KIND.increment       applied by it anew
//	host.PROCESS.agentInstanceProvider.KIND.increment  applied anew by the agent of the host
//
// where KIND is that of a service of the network.
func serviceItemHandlers() []process.Handler {
	return []process.Handler{
		after("AgentInstanceApplyItems", process.Specific, applyItems,
			"nic.activate", "instancelink.activate", "instancelink.update", "hostipaddressmap.activate"),
		after("AgentInstanceHostServicesApplyItems", process.Specific, applyHostItems, "instancehostmap.activate", "instancehostmap.deactivate",
			"port.activate", "port.update", "ipassociation.activate", "ipassociation.deactivate"),
		before("AgentInstanceServicesInstanceHostMapActivate", process.Specific, awaitServices, "instancehostmap.activate"),
	}
}

// itemsFor are the items that a process asks for, for services of some kinds.
func itemsFor(run process.Run, of string, kinds []string) []wantedItem {
	var out []wantedItem
	for _, kind := range kinds {
		name := of + "." + agentProvider + "." + kind
		for _, w := range append(listed(run, name+".apply", false), listed(run, name+".increment", true)...) {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// concerned returns the nics that the resource of the process is about.
func concerned(ctx context.Context, run process.Run) ([]*schema.Row, error) {
	row := run.Resource()
	switch row.Type().Name {
	case "nic":
		return []*schema.Row{row}, nil
	case "instanceLink", "port", "instanceHostMap":
		return nicsOf(ctx, run, row.Int("instanceId"))
	case "ipAssociation":
		return nicsOfAddress(ctx, run, row.Int("childIpAddressId"))
	}
	// An address of a host concerns the ends of tunnels.
	services, err := find(ctx, run, "networkService", process.Match{"kind": ipsecService})
	if err != nil || len(services) == 0 {
		return nil, err
	}
	var out []*schema.Row
	ties, err := find(ctx, run, "instanceHostMap", process.Match{"hostId": row.Int("hostId")})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		nics, err := nicsOf(ctx, run, tie.Int("instanceId"))
		if err != nil {
			return nil, err
		}
		out = append(out, nics...)
	}
	return out, nil
}

func nicsOfAddress(ctx context.Context, run process.Run, address int64) ([]*schema.Row, error) {
	ties, err := find(ctx, run, "ipAddressNicMap", process.Match{"ipAddressId": address})
	if err != nil {
		return nil, err
	}
	var out []*schema.Row
	for _, tie := range ties {
		nic, err := run.Get(ctx, "nic", tie.Int("nicId"))
		if err != nil {
			return nil, err
		}
		out = append(out, nic)
	}
	return out, nil
}

// applyItems asks the system containers that serve a nic to take it in. The instance waits
// for those on its own virtual network; the others are only told.
func applyItems(ctx context.Context, run process.Run) (*process.Answer, error) {
	nics, err := concerned(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		all, err := servers(ctx, run, nic)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if err := s.ask(ctx, run); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

func (s server) ask(ctx context.Context, run process.Run) error {
	items := itemsFor(run, run.Process().Name, s.kinds)
	if run.Process().Name == "nic.activate" {
		if err := assign(ctx, run, s.agent.ID(), listed(run, "agent.instance.start.items.apply", false)); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return nil
	}
	if err := assign(ctx, run, s.agent.ID(), items); err != nil {
		return err
	}
	ties, err := find(ctx, run, "networkServiceProviderInstanceMap", process.Match{"networkServiceProviderId": s.provider.ID()})
	if err != nil {
		return err
	}
	for _, tie := range ties {
		other, err := run.Get(ctx, "instance", tie.Int("instanceId"))
		if err != nil {
			return err
		}
		if gone(other) || other.ID() == s.instance.ID() || other.Int("agentId") == 0 {
			continue
		}
		if err := assign(ctx, run, other.Int("agentId"), items); err != nil {
			return err
		}
	}
	return nil
}

// applyHostItems tells the agent of the host what follows for it.
func applyHostItems(ctx context.Context, run process.Run) (*process.Answer, error) {
	nics, err := concerned(ctx, run)
	if err != nil {
		return nil, err
	}
	var told *process.Answer
	for _, nic := range nics {
		services, err := servicesOf(ctx, run, nic.Int("networkId"))
		if err != nil {
			return nil, err
		}
		var kinds []string
		for _, s := range services {
			if s.byAgents() {
				kinds = append(kinds, s.row.Kind())
			}
		}
		items := itemsFor(run, "host."+run.Process().Name, kinds)
		if len(items) == 0 {
			continue
		}
		agent, err := hostAgent(ctx, run, nic.Int("instanceId"))
		if err != nil {
			return nil, err
		}
		if agent == nil {
			continue
		}
		if err := assign(ctx, run, agent.ID(), items); err != nil {
			return nil, err
		}
		told = &process.Answer{}
	}
	return told, nil
}

// agentInstanceItems gives a system container what it starts with.
func agentInstanceItems(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource().Int("agentId")
	if agent == 0 {
		return nil, nil
	}
	return &process.Answer{}, assign(ctx, run, agent, append(listed(run, "agent.instance.start.items.apply", false), listed(run, "agent.instance.start.items.increment", true)...))
}

// awaitServices waits until what serves the instance knows it, so that it finds it at work.
func awaitServices(ctx context.Context, run process.Run) (*process.Answer, error) {
	nics, err := concerned(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		all, err := servers(ctx, run, nic)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			items := listed(run, "agent.instance.start.items.apply", false)
			for _, name := range []string{"nic.activate", "instancelink.activate"} {
				items = append(items, itemsFor(run, name, s.kinds)...)
			}
			if err := await(ctx, run, s.agent, items); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}
