package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/localdev/faulty"
	"github.com/cattleio/cattle/shared/wire"
)

// perAgent is how many hosts one agent speaks for.
const perAgent = 2

// hosts are simulated hosts behind real sockets, one for each agent, with a ledger
// of what they have done.
type hosts struct {
	*ledger
	agents []*agent
	end    context.CancelFunc
	wait   sync.WaitGroup

	slow   faulty.Share // answers after a while
	silent faulty.Share // does nothing and says nothing
	mute   faulty.Share // does it and says nothing
	fail   faulty.Share // says that it failed, and did nothing
	lie    faulty.Share // says that it failed, and did it
	asked  atomic.Int64
}

// agent is one connection, made again whenever it breaks.
type agent struct {
	gws.BuiltinEventHandler
	of       *hosts
	rig      *rig
	id, uuid string
	chance   *rand.Rand
}

func newHosts(r *rig) *hosts {
	h := &hosts{ledger: newLedger()}
	for i := range r.agents {
		h.agents = append(h.agents, &agent{of: h, rig: r, uuid: fmt.Sprintf("agent%d", i), chance: r.chance(fmt.Sprint("agent", i))})
	}
	return h
}

func (h *hosts) quiet() {
	for _, s := range []*faulty.Share{&h.slow, &h.silent, &h.mute, &h.fail, &h.lie} {
		s.Store(0)
	}
}

// join makes the agents known, connects them and waits until their hosts are active.
func (h *hosts) join(ctx context.Context) error {
	live, end := context.WithCancel(context.WithoutCancel(ctx))
	h.end = end
	var api *rig
	for _, a := range h.agents {
		api = a.rig
		status, o, err := a.rig.ask(ctx, api.of("api")[0], http.MethodPost, "/v1/agents", "", map[string]any{"uri": "event://" + a.uuid, "uuid": a.uuid, "managedConfig": false})
		if err != nil || status != http.StatusCreated {
			return fmt.Errorf("cannot make an agent: %d %v %w", status, o, err)
		}
		a.id, _ = o["id"].(string)
		h.wait.Go(func() { a.connect(live) })
	}
	return until(ctx, "the hosts to be active", time.Minute, func() bool {
		_, o, err := api.ask(ctx, api.of("api")[0], http.MethodGet, "/v1/hosts?state=active&limit=1000", "", nil)
		data, _ := o["data"].([]any)
		return err == nil && len(data) == perAgent*len(h.agents)
	})
}

func (h *hosts) close() {
	if h.end != nil {
		h.end()
		h.wait.Wait()
	}
}

// connect keeps a connection to one of the gateways.
func (a *agent) connect(ctx context.Context) {
	query := url.Values{"agentId": {a.id}, "eventNames": {wire.Ping, wire.StorageImageActivate, wire.StorageImageDeactivate, wire.StorageVolumeActivate,
		wire.StorageVolumeDeactivate, wire.StorageVolumeRemove, wire.ComputeInstanceActivate, wire.ComputeInstanceDeactivate}}
	for ctx.Err() == nil {
		gate := a.rig.gates[a.chance.IntN(len(a.rig.gates))]
		conn, _, err := gws.NewClient(a, &gws.ClientOption{Addr: "ws://" + gate.Address() + "/v1/subscribe?" + query.Encode(), HandshakeTimeout: 5 * time.Second,
			RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}}})
		if err == nil {
			a.heard(conn)
			stop := context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })
			conn.ReadLoop()
			stop()
		}
		pause(ctx, time.Duration(a.chance.Int64N(int64(500*time.Millisecond))))
	}
}

// heard gives the connection the time of one more silence.
func (a *agent) heard(conn *gws.Conn) { _ = conn.SetReadDeadline(time.Now().Add(40 * time.Second)) }

// OnPing keeps the connection.
func (a *agent) OnPing(conn *gws.Conn, payload []byte) {
	a.heard(conn)
	_ = conn.WritePong(payload)
}

// OnMessage carries out a command, each on its own.
func (a *agent) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	a.heard(conn)
	e := &wire.Event{}
	if json.Unmarshal(m.Bytes(), e) != nil || e.ReplyTo == nil {
		return
	}
	go func() {
		reply := a.obey(e)
		if reply == nil {
			return
		}
		reply.ID = e.ID + "-reply"
		if text, err := wire.Encode(reply); err == nil {
			_ = conn.WriteMessage(gws.OpcodeText, text) // lost with its connection, it is asked for again
		}
	}()
}

// obey does what a command says, more or less, and returns what is said of it.
func (a *agent) obey(e *wire.Event) *wire.Event {
	name, _, _ := strings.Cut(e.Name, ";")
	if name == wire.Ping {
		return replied(e, a.report(e))
	}
	h := a.of
	h.asked.Add(1)
	if h.silent.Meets() {
		return nil
	}
	if h.slow.Meets() {
		time.Sleep(rand.N(3 * time.Second))
	}
	if h.fail.Meets() {
		return e.Fail("the host has a bad day", "")
	}
	if !h.act(a.uuid, name, e) {
		return e.Fail(wire.StaleCommand, "")
	}
	switch {
	case h.mute.Meets():
		return nil
	case h.lie.Meets():
		return e.Fail("the host says that it failed", "")
	}
	return replied(e, nil)
}

func replied(e *wire.Event, data any) *wire.Event {
	reply, err := e.Reply(data)
	if err != nil {
		return nil
	}
	return reply
}

// report lists the hosts, each with a pool.
func (a *agent) report(e *wire.Event) wire.PingData {
	data := wire.PingData{Resources: []wire.Resource{}}
	var asked wire.PingData
	if json.Unmarshal(e.Data, &asked) != nil || !asked.Options.Resources {
		return data
	}
	data.Options.Resources = true
	for i := range perAgent {
		host := fmt.Sprintf("%s-host%d", a.uuid, i)
		data.Resources = append(data.Resources, wire.Resource{Type: "storagePool", UUID: host + "-pool", Kind: "sim", HostUUID: host},
			wire.Resource{Type: "host", UUID: host, Kind: "sim"})
	}
	return data
}

// ledger is what the hosts know: which instances run on them, how often each was
// begun, and in which order they were told.
type ledger struct {
	mu       sync.Mutex
	alive    map[string]string // instance to the host on which it runs
	begun    map[string]int    // how often it came to run
	fences   map[string]int64  // agent and resource to the highest epoch
	story    map[string][]string
	doubled  []string
	refused  int // stale commands
	repeated int // commands whose effect was there
	effects  int
}

func newLedger() *ledger {
	return &ledger{alive: map[string]string{}, begun: map[string]int{}, fences: map[string]int64{}, story: map[string][]string{}}
}

// admits tells whether a command is not older than another for the same resource.
func (l *ledger) admits(agent string, f *wire.Fence) bool {
	if f == nil || f.Resource == "" {
		return true
	}
	key := agent + " " + f.Resource
	if f.Epoch < l.fences[key] {
		l.refused++
		return false
	}
	l.fences[key] = f.Epoch
	return true
}

// act lets a command have its effect, unless it is stale.
func (l *ledger) act(agent, name string, e *wire.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.admits(agent, e.Fence) {
		return false
	}
	var data wire.CommandData
	if json.Unmarshal(e.Data, &data) != nil || data.Instance == nil {
		return true
	}
	uuid, host := data.Instance.Instance.UUID, data.Instance.Host.UUID
	at := l.alive[uuid]
	done := "again"
	switch {
	case name == wire.ComputeInstanceActivate && at == "":
		l.alive[uuid], done = host, "begun"
		l.begun[uuid]++
		l.effects++
	case name == wire.ComputeInstanceActivate && at != host:
		done = "begun although it runs on " + at
		l.doubled = append(l.doubled, uuid)
	case name == wire.ComputeInstanceDeactivate && at == host:
		delete(l.alive, uuid)
		l.effects++
		done = "ended"
	default:
		l.repeated++
	}
	epoch, by := int64(0), int64(0)
	if e.Fence != nil {
		epoch, by = e.Fence.Epoch, e.Fence.ProcessID
	}
	l.story[uuid] = append(l.story[uuid], fmt.Sprintf("%s on %s: %s, epoch %d of process %d: %s", time.Now().Format("15:04:05.000"), host, name, epoch, by, done))
	return true
}
