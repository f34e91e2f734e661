package handler

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// A network service that system containers carry out has one of them on each virtual
// network. It has an agent of its own, which is reached through the agent of its host.
func agentInstanceHandlers() []process.Handler {
	return []process.Handler{
		before("AgentInstanceNicActivate", process.Early, serveNic, "nic.activate"),
		before("AgentInstanceInstanceStart", process.Specific, agentInstanceItems, "instance.start"),
	}
}

// serveNic makes sure that there are system containers for what serves the nic.
func serveNic(ctx context.Context, run process.Run) (*process.Answer, error) {
	_, err := servers(ctx, run, run.Resource())
	return nil, err
}

// server is a system container and what it does for a nic.
type server struct {
	instance, agent, provider *schema.Row
	kinds                     []string // of its services
}

// servers returns the system containers that serve a nic, making or starting them where
// they are missing. Their own nics are served by nobody.
func servers(ctx context.Context, run process.Run, nic *schema.Row) ([]server, error) {
	if nic.Int("vnetId") == 0 || nic.Int("instanceId") == 0 {
		return nil, nil
	}
	services, err := servicesOf(ctx, run, nic.Int("networkId"))
	if err != nil || !slices.ContainsFunc(services, service.byAgents) {
		return nil, err
	}
	client, err := run.Get(ctx, "instance", nic.Int("instanceId"))
	if err != nil || client.Int("agentId") != 0 {
		return nil, err
	}
	var out []server
	for _, s := range services {
		if !s.byAgents() {
			continue
		}
		at := slices.IndexFunc(out, func(o server) bool { return o.provider.ID() == s.provider.ID() })
		if at < 0 {
			made, err := serverOf(ctx, run, nic, s.provider)
			if err != nil {
				return nil, err
			}
			out, at = append(out, made), len(out)
		}
		out[at].kinds = append(out[at].kinds, s.row.Kind())
	}
	return out, nil
}

// serverOf finds the system container of a provider on the virtual network of a nic, or
// makes it; one that was stopped is started.
func serverOf(ctx context.Context, run process.Run, nic, provider *schema.Row) (server, error) {
	s := server{provider: provider}
	instance, tie, err := serverOn(ctx, run, provider, nic.Int("vnetId"))
	if err != nil {
		return s, err
	}
	if instance == nil {
		if instance, tie, err = makeServer(ctx, run, nic, provider); err != nil {
			return s, err
		}
	}
	s.instance = instance
	for _, next := range []struct {
		row            *schema.Row
		state, process string
	}{
		{tie, "requested", "networkserviceproviderinstancemap.create"},
		{instance, "requested", "instance.create"},
		{instance, "stopped", "instance.start"},
	} {
		if next.row.State() != next.state {
			continue
		}
		if err := run.Schedule(ctx, next.process, next.row, nil); err != nil {
			return s, err
		}
	}
	s.agent, err = run.Get(ctx, "agent", instance.Int("agentId"))
	return s, err
}

// serverOn returns the living system container of a provider on a virtual network and what
// ties the two, or nil.
func serverOn(ctx context.Context, run process.Run, provider *schema.Row, vnet int64) (instance, tie *schema.Row, err error) {
	ties, err := find(ctx, run, "networkServiceProviderInstanceMap", process.Match{"networkServiceProviderId": provider.ID()})
	if err != nil {
		return nil, nil, err
	}
	for _, tie := range ties {
		instance, err := run.Get(ctx, "instance", tie.Int("instanceId"))
		if err != nil {
			return nil, nil, err
		}
		if gone(instance) || instance.State() == "removing" {
			continue
		}
		if slices.Contains(integers(instance.Field("vnetIds")), vnet) {
			return instance, tie, nil
		}
	}
	return nil, nil, nil
}

// makeServer makes the agent of a system container, waits for its key, and makes the container.
func makeServer(ctx context.Context, run process.Run, nic, provider *schema.Row) (instance, tie *schema.Row, err error) {
	vnet := nic.Int("vnetId")
	uri := fmt.Sprintf("delegate:///?vnetId=%d&networkServiceProviderId=%d", vnet, provider.ID())
	if err := failedBefore(ctx, run, provider, vnet); err != nil {
		return nil, nil, err
	}
	if err := run.Lock(ctx, "AGENT.INSTANCE.AGENT.CREATE."+uri); err != nil {
		return nil, nil, err
	}
	if there, tie, err := serverOn(ctx, run, provider, vnet); there != nil || err != nil {
		return there, tie, err // somebody was faster
	}
	group, err := groupOf(ctx, run, nic)
	if err != nil {
		return nil, nil, err
	}
	agent, err := one(ctx, run, "agent", process.Match{"uri": uri}, map[string]any{"managedConfig": false, "agentGroupId": group})
	if err != nil {
		return nil, nil, err
	}
	if agent.State() == "requested" {
		if err := run.Schedule(ctx, "agent.create", agent, nil); err != nil {
			return nil, nil, err
		}
	}
	if ready, err := hasKey(ctx, run, agent); err != nil || !ready {
		if err == nil {
			err = awaiting(run, "the key of agent "+agent.Key())
		}
		return nil, nil, err
	}
	owner, err := ownerOf(ctx, run, nic, provider)
	if err != nil {
		return nil, nil, err
	}
	uuid, _ := provider.Field("agentInstanceImageUuid").(string)
	if uuid == "" {
		uuid = run.Setting("agent.instance.image.uuid")
	}
	image, err := imageNamed(ctx, run, uuid, owner)
	if err != nil {
		return nil, nil, err
	}
	instance, err = numbered(ctx, run, "instance", "instance of agent "+agent.UUID(), map[string]any{
		"agentId": agent.ID(), "kind": "container", "name": run.Setting("agent.instance.name"), "accountId": owner, "imageId": image, "instanceTriggeredStop": "restart",
		"data": map[string]any{"fields": map[string]any{"privileged": true, "vnetIds": []any{float64(vnet)}, "imageUuid": uuid}},
	})
	if err != nil {
		return nil, nil, err
	}
	tie, err = one(ctx, run, "networkServiceProviderInstanceMap",
		process.Match{"networkServiceProviderId": provider.ID(), "instanceId": instance.ID()}, nil)
	if err != nil {
		return nil, nil, err
	}
	private(run.Data(), serverScope)[lockName(provider.ID(), vnet)] = float64(instance.ID())
	return instance, tie, nil
}

// serverScope is where the data of a process says which system containers it had made.
const serverScope = "io.cattle.platform.agent.instance.created"

// failedBefore says why a system container that this process had made is gone, if it is:
// another one would end like it.
func failedBefore(ctx context.Context, run process.Run, provider *schema.Row, vnet int64) error {
	id := integer(private(run.Data(), serverScope)[lockName(provider.ID(), vnet)])
	if id == 0 {
		return nil
	}
	instance, err := run.Get(ctx, "instance", id)
	if err != nil {
		return err
	}
	why, _ := instance.Field("transitioningMessage").(string)
	return &process.Failure{Message: strings.TrimSuffix("Agent instance failed to start : "+why, " : "), Shown: true}
}

func hasKey(ctx context.Context, run process.Run, agent *schema.Row) (bool, error) {
	if agent.Int("accountId") == 0 {
		return false, nil
	}
	keys, err := run.Find(ctx, "credential", process.Match{"accountId": agent.Int("accountId"), "kind": "agentApiKey"})
	return slices.ContainsFunc(keys, func(k *schema.Row) bool { return k.State() == "active" }), err
}

// groupOf is the group of the agent of the host that the nic is on, nil for none.
func groupOf(ctx context.Context, run process.Run, nic *schema.Row) (any, error) {
	agent, err := hostAgent(ctx, run, nic.Int("instanceId"))
	if agent == nil || err != nil {
		return nil, err
	}
	return agent.Get("agentGroupId"), nil
}

// hostAgent returns the agent of the host of an instance, nil if there is none.
func hostAgent(ctx context.Context, run process.Run, instance int64) (*schema.Row, error) {
	host, err := hostOf(ctx, run, instance)
	if err != nil || host == 0 {
		return nil, err
	}
	row, err := run.Get(ctx, "host", host)
	if err != nil || row.Int("agentId") == 0 {
		return nil, err
	}
	return run.Get(ctx, "agent", row.Int("agentId"))
}

// ownerOf is the account that a system container belongs to: the system's, unless the
// provider says that it is the user's.
func ownerOf(ctx context.Context, run process.Run, nic, provider *schema.Row) (any, error) {
	if own, _ := provider.Field("agentInstanceAccountOwned").(bool); own {
		return nic.Get("accountId"), nil
	}
	return systemAccount(ctx, run)
}

// systemAccount is the id of the account that owns what belongs to nobody, nil for none.
func systemAccount(ctx context.Context, run process.Run) (any, error) {
	accounts, err := run.Find(ctx, "account", process.Match{"uuid": "system"})
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	return accounts[0].ID(), nil
}

// dockerImage reads [NAMESPACE/]NAME[:TAG][@DIGEST] as the agents of Docker hosts get it.
func dockerImage(text string) map[string]any {
	named, digest, pinned := strings.Cut(text, "@")
	qualified, tag := named, "latest"
	if i := strings.LastIndexByte(named, ':'); i > strings.LastIndexByte(named, '/') {
		qualified, tag = named[:i], named[i+1:]
	}
	image := map[string]any{"id": nil, "namespace": nil, "repository": qualified, "tag": tag, "qualifiedName": qualified, "fullName": qualified + ":" + tag}
	if pinned {
		image["fullName"] = qualified + "@" + digest
	}
	if space, rest, ok := strings.Cut(qualified, "/"); ok {
		image["namespace"], image["repository"] = space, rest
	}
	return image
}

// imageNamed returns the image of that name, registering it where a pool outside offers
// images of its kind.
func imageNamed(ctx context.Context, run process.Run, uuid string, owner any) (int64, error) {
	match := process.Match{"uuid": uuid}
	images, err := find(ctx, run, "image", match)
	if err != nil {
		return 0, err
	}
	if len(images) > 0 && images[0].State() != "requested" { // otherwise an attempt that began this ended there
		return images[0].ID(), nil
	}
	kind, name, _ := strings.Cut(uuid, ":")
	pools, err := find(ctx, run, "storagePool", process.Match{"kind": kind, "external": true})
	if err != nil {
		return 0, err
	}
	if len(pools) == 0 || name == "" {
		return 0, &process.Failure{Message: "Failed to find image " + uuid, Shown: true}
	}
	if err := run.Lock(ctx, "TEMPLATE.REGISTER."+uuid); err != nil {
		return 0, err
	}
	values := map[string]any{"isPublic": true, "accountId": owner, "format": kind, "name": name}
	if kind == "docker" {
		values["instanceKind"], values["data"] = "container", map[string]any{"dockerImage": dockerImage(name)}
	}
	image, err := one(ctx, run, "image", match, values)
	if err != nil {
		return 0, err
	}
	tie, err := one(ctx, run, "imageStoragePoolMap", process.Match{"imageId": image.ID(), "storagePoolId": pools[0].ID()}, nil)
	if err != nil {
		return 0, err
	}
	for _, row := range []*schema.Row{tie, image} {
		if err := run.Execute(ctx, lower(row)+".create", row, nil); err != nil && !process.IsCanceled(err) {
			return 0, err
		}
	}
	return image.ID(), nil
}
