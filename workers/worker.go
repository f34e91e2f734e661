// Package workers runs processes: it answers the queue's bells with attempts of
// the engine and stores the replies of agents that no attempt waits for.
package workers

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/queue"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/engine"
	"github.com/cattleio/cattle/workers/handler"
	"github.com/cattleio/cattle/workers/ssh"
)

// Deps is what a worker stands on.
type Deps struct {
	Store    *store.Store
	Queue    *queue.Queue
	Bus      *event.Bus
	Locks    *lock.Locks
	Settings engine.Settings
	Server   string
	Slots    int // attempts at the same time; 0 means 50
	Log      *slog.Logger
	Ready    func() // called once, when it hears replies
	Metrics  *telemetry.Metrics
	// Serves is HOST:PORT where this process serves agents, "" if it does not.
	Serves string
	// Dialer makes the connections to hosts that let the server log in.
	Dialer net.Dialer
	// Connected tells which agents a gateway holds.
	Connected func(ctx context.Context, agents []int64) (map[int64]bool, error)
}

// Worker runs processes.
type Worker struct {
	Deps
	engine *engine.Engine
	caller *caller
	ways   *ssh.Ways
	news   chan []engine.Change

	dropped atomic.Int64
}

// New returns a worker.
func New(d Deps) *Worker {
	if d.Slots <= 0 {
		d.Slots = 50
	}
	w := &Worker{Deps: d, caller: newCaller(d.Bus, d.Server, d.Log), news: make(chan []engine.Change, 4000)}
	w.engine = engine.New(engine.Config{
		Store: d.Store, Settings: d.Settings, Caller: w.caller, Locks: d.Locks,
		Ring: d.Queue.Ring, Tell: w.tell, Server: d.Server, Handlers: handler.All(), Slots: d.Slots, Log: d.Log, Metrics: d.Metrics,
	})
	w.ways = ssh.New(ssh.Config{Store: d.Store, Locks: d.Locks, Settings: d.Settings, Log: d.Log,
		Serves: d.Serves, Dialer: d.Dialer, Connected: d.Connected})
	w.caller.reach = w.ways.Open
	w.caller.stray, w.caller.runs = w.engine.Accept, d.Store.Placed
	return w
}

// Engine is what runs the processes of this worker.
func (w *Worker) Engine() *engine.Engine { return w.engine }

// Place keeps a slot of this process for a process that is about to be born, or answers
// nil. It is called once with what was born, or with nil to give the slot back.
func (w *Worker) Place() func(*store.Born) {
	use := w.Queue.Place()
	if use == nil {
		return nil
	}
	return func(b *store.Born) {
		if b == nil {
			use(nil)
			return
		}
		use(func(ctx context.Context) {
			if err := w.engine.ExecuteBorn(ctx, b); err != nil {
				w.Log.DebugContext(ctx, "look failed", "id", b.Process.ID, "err", err)
			}
		})
	}
}

// look answers a bell. Where every commit is a trip to a server, a process that nobody has
// tried begins with one less; an embedded database has one writer, whom no logic may keep.
func (w *Worker) look(ctx context.Context, b process.Bell) error {
	if b.New && w.Store.Postgres() {
		return w.engine.ExecuteNew(ctx, b.ID)
	}
	return w.engine.Execute(ctx, b.ID)
}

// Run works until ctx ends, then finishes or hands back what is under way.
func (w *Worker) Run(ctx context.Context) error {
	w.caller.listen(ctx)
	up := w.Bus.Subscribe(ctx, wire.UpChannel, func(p string) { w.agentUp(ctx, p) })
	defer up()
	external := w.Bus.Subscribe(ctx, wire.ExternalChannel, func(string) { w.engine.ForgetExternal() })
	defer external()
	w.Ready()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.publish(ctx) })
	g.Go(func() error { return w.takeOver(ctx) })
	g.Go(func() error { return w.ways.Run(ctx) })
	g.Go(func() error { return w.Queue.Serve(ctx, w.Slots, w.look) })
	return g.Wait()
}

// agentUp wakes what waits for an agent; one of several workers does it.
func (w *Worker) agentUp(ctx context.Context, payload string) {
	var up wire.AgentUp
	if json.Unmarshal([]byte(payload), &up) != nil {
		return
	}
	go func() {
		if _, ok := w.Locks.Try(ctx, "agent.up."+wire.AgentChannel(payload), 300*time.Millisecond); !ok {
			return
		}
		bells, err := w.Store.WakeAgent(ctx, up.AgentID, 1000)
		if err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "processes waiting for an agent were not woken", "agent", up.AgentID, "err", err)
		}
		w.Queue.Ring(bells)
	}()
}

// tell hands news to the publisher, which may drop them: whoever needs to be sure
// reads the rows.
func (w *Worker) tell(changes []engine.Change) {
	select {
	case w.news <- changes:
	default:
		w.dropped.Add(int64(len(changes)))
		w.Bus.Owe()
	}
}

// Dropped counts the news that nobody was told because too many waited to be.
func (w *Worker) Dropped() int64 { return w.dropped.Load() }

// Changed takes the news of a write by another part of this process, and tells
// whether other workers want to hear of it.
func (w *Worker) Changed(typ string) bool {
	if !engine.IsExternal(typ) {
		return false
	}
	w.engine.ForgetExternal()
	return true
}

// stateChange is the data of the event state.change.
type stateChange struct {
	Previous string `json:"previousState"`
	State    string `json:"state"`
	Account  int64  `json:"accountId,omitempty"`
}

// gathering is how long news wait for more to go with them.
const gathering = 5 * time.Millisecond

// publish tells the news of a moment together.
func (w *Worker) publish(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case changes := <-w.news:
			w.announce(ctx, w.gather(changes))
		}
	}
}

func (w *Worker) gather(changes []engine.Change) []engine.Change {
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	for len(changes) < 200 {
		select {
		case more := <-w.news:
			changes = append(changes, more...)
		case <-timer.C:
			return changes
		}
	}
	return changes
}

// announce tells the changes; whoever needs to be sure reads the rows.
func (w *Worker) announce(ctx context.Context, changes []engine.Change) {
	named := map[string][]engine.Change{}
	var always []event.Message
	for _, c := range changes {
		name := wire.StateChange
		if c.Progress {
			name = wire.ProgressChange
		}
		named[name] = append(named[name], c)
		if revokes(c) {
			text, _ := wire.Encode(wire.Revoked{Type: c.Type, ID: c.ID})
			always = append(always, event.Message{Channel: wire.RevokeChannel, Payload: string(text)})
		}
		if engine.IsExternal(c.Type) {
			always = append(always, event.Message{Channel: wire.ExternalChannel, Payload: "{}"})
		}
	}
	if len(always) > 0 {
		_ = w.Bus.PublishAll(ctx, always)
	}
	for name, list := range named {
		_ = w.Bus.PublishHeard(ctx, wire.EventChannel(name), len(list), func(i int) string { return news(name, list[i]) })
	}
}

// news is the event that tells of a change.
func news(name string, c engine.Change) string {
	data, _ := wire.Encode(stateChange{c.Previous, c.State, c.Account})
	text, _ := wire.Encode(&wire.Event{ID: uuid.NewString(), Name: name, ResourceType: wire.Text(c.Type), ResourceID: id(c.ID),
		Data: data, TimeMillis: time.Now().UnixMilli()})
	return string(text)
}

// revokes tells whether a change takes from somebody the right to be connected.
func revokes(c engine.Change) bool {
	if c.Type != "credential" && c.Type != "account" && c.Type != "agent" {
		return false
	}
	return c.State == "inactive" || c.State == "removed" || c.State == "purged"
}
