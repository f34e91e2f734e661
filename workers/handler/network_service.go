package handler

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// Kinds of what a network does for its instances.
const (
	linkService     = "linkService"
	portService     = "portService"
	ipsecService    = "ipsecTunnelService"
	metadataService = "metadataService"
)

// agentProvider is the kind of the providers that do their work in system containers.
const agentProvider = "agentInstanceProvider"

func networkServiceHandlers() []process.Handler {
	return []process.Handler{
		after("AgentInstanceIpsecNetworkServiceCreate", process.Specific, ipsecKey, "networkservice.create"),
		before("AgentInstanceIpsecNicActivate", process.Specific, ipsecPorts, "nic.activate"),
		after("AgentInstanceIpsecNicDeactivate", process.Specific, ipsecPortsBack, "nic.deactivate"),
		before("MetadataAttachProcessHandler", process.Specific, attachMetadata, "instancehostmap.activate"),
	}
}

// service is a service of a network, and its provider if that has one.
type service struct{ row, provider *schema.Row }

// byAgents tells whether system containers do the work of the service.
func (s service) byAgents() bool { return s.provider != nil && s.provider.Kind() == agentProvider }

// servicesOf lists what a network does for its instances.
func servicesOf(ctx context.Context, run process.Run, network int64) ([]service, error) {
	if network == 0 {
		return nil, nil
	}
	rows, err := find(ctx, run, "networkService", process.Match{"networkId": network})
	if err != nil {
		return nil, err
	}
	var out []service
	for _, row := range rows {
		s := service{row: row}
		if id := row.Int("networkServiceProviderId"); id != 0 {
			p, err := run.Get(ctx, "networkServiceProvider", id)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			if err == nil && !gone(p) {
				s.provider = p
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// ipsecKey makes the key of a tunnel, once.
func ipsecKey(ctx context.Context, run process.Run) (*process.Answer, error) {
	row := run.Resource()
	if row.Kind() != ipsecService || row.Int("networkServiceProviderId") == 0 {
		return nil, nil
	}
	provider, err := run.Get(ctx, "networkServiceProvider", row.Int("networkServiceProviderId"))
	if err != nil || provider.Kind() != agentProvider {
		return nil, err
	}
	name := row.UUID() + "/ipsecKey"
	there, err := run.Find(ctx, "data", process.Match{"name": name})
	if err != nil || len(there) > 0 {
		return nil, err
	}
	_, err = run.Create(ctx, "data", map[string]any{"name": name, "value": hex.EncodeToString(random(16)), "visible": false})
	return nil, err
}

// hostPorts are those of a host that tunnels are given.
func hostPorts(host int64) items {
	return items{pool: store.Pool{Type: "host", ID: host, Qualifier: hostPortItem}, size: portsSize, name: portName}
}

const portsSize = 20000

func portName(n uint64) string { return fmt.Sprint(20000 + n) }

// tunnelEnd returns the instance of the nic if that is the first one of a system container
// on a network with a tunnel, and its host.
func tunnelEnd(ctx context.Context, run process.Run, nic *schema.Row) (instance *schema.Row, host int64, err error) {
	if nic.Int("deviceNumber") != 0 || nic.Int("instanceId") == 0 || nic.Int("networkId") == 0 {
		return nil, 0, nil
	}
	row, err := run.Get(ctx, "instance", nic.Int("instanceId"))
	if err != nil || row.Int("agentId") == 0 {
		return nil, 0, err
	}
	services, err := servicesOf(ctx, run, nic.Int("networkId"))
	if err != nil || !slices.ContainsFunc(services, func(s service) bool { return s.row.Kind() == ipsecService }) {
		return nil, 0, err
	}
	host, err = hostOf(ctx, run, row.ID())
	return row, host, err
}

// ipsecPorts takes the ports of the host at which a tunnel ends.
func ipsecPorts(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	instance, host, err := tunnelEnd(ctx, run, nic)
	if err != nil || instance == nil || host == 0 {
		return nil, err
	}
	taken, err := hostPorts(host).take(ctx, run, nic, 2)
	if err != nil {
		return nil, err
	}
	if len(taken) == 0 {
		return nil, &process.Failure{Message: "Failed to allocate host ports", Detail: "Port allocation error", Shown: true}
	}
	return &process.Answer{}, run.Merge(ctx, instance, map[string]any{"+data": map[string]any{"+ipsec": map[string]any{
		fmt.Sprint(host): map[string]any{"nat": 4500, "isakmp": 500}}}})
}

func ipsecPortsBack(ctx context.Context, run process.Run) (*process.Answer, error) {
	nic := run.Resource()
	instance, host, err := tunnelEnd(ctx, run, nic)
	if err != nil || instance == nil || host == 0 {
		return nil, err
	}
	return &process.Answer{}, give(ctx, run, hostPorts(host).pool, nic)
}

// attachMetadata marks an instance that gets what it should know about itself on a drive.
func attachMetadata(ctx context.Context, run process.Run) (*process.Answer, error) {
	nics, err := nicsOf(ctx, run, run.Resource().Int("instanceId"))
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		services, err := servicesOf(ctx, run, nic.Int("networkId"))
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(services, onDrive) {
			continue
		}
		instance, err := run.Get(ctx, "instance", run.Resource().Int("instanceId"))
		if err != nil || instance.Data()["metadataAttach"] == true {
			return nil, err
		}
		return &process.Answer{}, run.Merge(ctx, instance, map[string]any{"+data": map[string]any{"metadataAttach": true}})
	}
	return nil, nil
}

func onDrive(s service) bool {
	drive, _ := s.row.Field("configDrive").(bool)
	return s.row.Kind() == metadataService && drive
}
