package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// summary is an entry of the engine's list of containers in the form that users
// find in dockerContainer.
type summary struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	ImageID string
	Command string
	Created int64
	Ports   []port
	Labels  map[string]string
	State   string
	Status  string
}

type port struct {
	IP          string `json:",omitempty"`
	PrivatePort uint16
	PublicPort  uint16 `json:",omitempty"`
	Type        string
}

// observe reads the reply for an instance from the engine. Of a container that is
// gone it says so by nulls.
func (d *Driver) observe(ctx context.Context, uuid string) (any, error) {
	listed, err := d.listed(ctx, uuid)
	if err != nil {
		return nil, err
	}
	_, inspect, err := d.inspectRaw(ctx, uuid)
	if err != nil {
		return nil, err
	}
	return map[string]any{"instance": map[string]any{"+data": map[string]any{
		"dockerContainer": listed,
		"dockerInspect":   inspect,
		"+fields": map[string]any{
			"dockerHostIp": d.config.HostIP,
			"dockerPorts":  listed.ports(),
			"dockerIp":     address(inspect),
		},
	}}}, nil
}

func (d *Driver) listed(ctx context.Context, uuid string) (*summary, error) {
	list, err := d.engine.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("name", "^/"+regexp.QuoteMeta(uuid)+"$"),
	})
	if err != nil {
		return nil, engineError("cannot list container "+uuid, err)
	}
	if len(list.Items) == 0 {
		return nil, nil
	}
	return summarize(list.Items[0]), nil
}

func summarize(c container.Summary) *summary {
	s := &summary{
		ID: c.ID, Names: c.Names, Image: c.Image, ImageID: c.ImageID, Command: c.Command, Created: c.Created,
		Ports: []port{}, Labels: c.Labels, State: string(c.State), Status: c.Status,
	}
	for _, p := range c.Ports {
		entry := port{PrivatePort: p.PrivatePort, PublicPort: p.PublicPort, Type: p.Type}
		if p.IP.IsValid() {
			entry.IP = p.IP.String()
		}
		s.Ports = append(s.Ports, entry)
	}
	return s
}

// ports maps "80/tcp" to the public port as text, or to nil.
func (s *summary) ports() map[string]any {
	ports := map[string]any{}
	if s == nil {
		return ports
	}
	for _, p := range s.Ports {
		key := fmt.Sprintf("%d/%s", p.PrivatePort, p.Type)
		if p.PublicPort != 0 {
			ports[key] = strconv.Itoa(int(p.PublicPort))
		} else if _, known := ports[key]; !known {
			ports[key] = nil
		}
	}
	return ports
}

// address is the container's address on the default bridge, else on any network:
// newer engines tell it per network only.
func address(inspect json.RawMessage) string {
	var c struct {
		NetworkSettings struct {
			IPAddress string
			Networks  map[string]struct{ IPAddress string }
		}
	}
	if json.Unmarshal(inspect, &c) != nil {
		return ""
	}
	if c.NetworkSettings.IPAddress != "" {
		return c.NetworkSettings.IPAddress
	}
	if bridge := c.NetworkSettings.Networks["bridge"].IPAddress; bridge != "" {
		return bridge
	}
	for _, network := range c.NetworkSettings.Networks {
		if network.IPAddress != "" {
			return network.IPAddress
		}
	}
	return ""
}
