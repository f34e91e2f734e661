package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/shared/wire"
)

// What a simulated agent answers.
const (
	everything = iota
	onlyPings  // it is there, and does nothing that it is asked to do
	nothing    // it holds its connection and no more
)

// perAgent is how many hosts one agent speaks for.
const perAgent = 10

// hosts are simulated hosts behind real sockets, one for each agent. They do at
// once whatever they are asked, and live here, beside the clients: a server that
// is measured spends nothing on them but what a connection costs.
type hosts struct {
	agents []*player
}

// player plays one agent.
type player struct {
	gws.BuiltinEventHandler
	id     string // of the agent, as the server calls it
	uuid   string
	hosts  int
	conn   *gws.Conn
	answer atomic.Int32
	asked  atomic.Int64           // commands that came
	news   atomic.Pointer[func()] // called for each, nil for nobody
}

// command is as much of an event as a simulated host looks at.
type command struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	ReplyTo      *string         `json:"replyTo"`
	ResourceType *string         `json:"resourceType"`
	ResourceID   *string         `json:"resourceId"`
	Data         json.RawMessage `json:"data"`
}

// joinHosts makes agents for so many hosts and connects them. The gateway may be
// elsewhere than the API.
func joinHosts(ctx context.Context, api client, gateway string, n, each int) (*hosts, error) {
	h := &hosts{}
	for left := n; left > 0; left -= each {
		h.agents = append(h.agents, &player{uuid: fmt.Sprintf("bench-%d", len(h.agents)), hosts: min(left, each)})
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, p := range h.agents {
		g.Go(func() error { return p.join(gctx, api, gateway) })
	}
	if err := g.Wait(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// half returns the agents with even or odd places.
func (h *hosts) half(which int) (agents []*player) {
	for i, p := range h.agents {
		if i%2 == which {
			agents = append(agents, p)
		}
	}
	return agents
}

func (h *hosts) close() {
	var all sync.WaitGroup
	for _, p := range h.agents {
		if p.conn != nil {
			all.Go(func() { _ = p.conn.WriteClose(1000, nil) })
		}
	}
	all.Wait()
}

func (p *player) join(ctx context.Context, api client, gateway string) error {
	agent := map[string]any{"uri": "event://" + p.uuid, "uuid": p.uuid, "managedConfig": false}
	var row made
	if err := api.ask(ctx, http.MethodPost, "/v1/agents", agent, &row); err != nil {
		return err
	}
	p.id = row.ID
	query := url.Values{"agentId": {p.id}, "eventNames": {wire.Ping, wire.StorageImageActivate, wire.StorageVolumeActivate, wire.StorageVolumeDeactivate,
		wire.StorageVolumeRemove, wire.ComputeInstanceActivate, wire.ComputeInstanceDeactivate}}
	conn, resp, err := gws.NewClient(p, &gws.ClientOption{
		Addr:          strings.Replace(gateway, "http", "ws", 1) + "/v1/subscribe?" + query.Encode(),
		RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}},
	})
	if err != nil {
		if resp != nil {
			err = errors.Join(err, errors.New(resp.Status))
		}
		return fmt.Errorf("cannot connect agent %s: %w", p.id, err)
	}
	p.conn = conn
	go conn.ReadLoop()
	return nil
}

// OnMessage answers a command, or does not.
func (p *player) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	var e command
	if json.Unmarshal(m.Bytes(), &e) != nil || e.ReplyTo == nil {
		return
	}
	isPing := e.Name == wire.Ping || strings.HasPrefix(e.Name, wire.Ping+";")
	if !isPing {
		p.asked.Add(1)
		if tell := p.news.Load(); tell != nil {
			(*tell)()
		}
	}
	if a := p.answer.Load(); a == nothing || a == onlyPings && !isPing {
		return
	}
	reply := map[string]any{"id": e.ID + "-reply", "name": *e.ReplyTo, "previousIds": []string{e.ID},
		"resourceType": e.ResourceType, "resourceId": e.ResourceID, "time": time.Now().UnixMilli()}
	if isPing {
		reply["data"] = p.report(&e)
	}
	if text, err := json.Marshal(reply); err == nil {
		_ = conn.WriteMessage(gws.OpcodeText, text) // a lost connection shows in what does not start
	}
}

// OnPing keeps the connection.
func (p *player) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

// report lists the hosts, each with a pool. What runs is not told: the answer does
// not claim to know.
func (p *player) report(e *command) wire.PingData {
	data := wire.PingData{Resources: []wire.Resource{}}
	var asked wire.PingData
	if json.Unmarshal(e.Data, &asked) != nil || !asked.Options.Resources {
		return data
	}
	data.Options.Resources = true
	for i := range p.hosts {
		host := p.host(i)
		data.Resources = append(data.Resources, wire.Resource{Type: "storagePool", UUID: host + "-0", Kind: "sim", HostUUID: host},
			wire.Resource{Type: "host", UUID: host, Kind: "sim"})
	}
	return data
}

func (p *player) host(i int) string { return fmt.Sprintf("%s-%d", p.uuid, i) }
