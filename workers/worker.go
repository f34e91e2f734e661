// Package workers runs processes: it answers the queue's bells with attempts of
// the engine and stores the replies of agents that no attempt waits for.
package workers

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"time"

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
	News     *News
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
}

// New returns a worker.
func New(d Deps) *Worker {
	if d.Slots <= 0 {
		d.Slots = 50
	}
	w := &Worker{Deps: d, caller: newCaller(d.Bus, d.Server, d.Log)}
	w.engine = engine.New(engine.Config{
		Store: d.Store, Settings: d.Settings, Caller: w.caller, Locks: d.Locks,
		Ring: d.Queue.Ring, Tell: d.News.Tell, Server: d.Server, Handlers: handler.All(), Slots: d.Slots, Log: d.Log, Metrics: d.Metrics,
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

// Changed takes the news of a write by another part of this process, and tells
// whether other workers want to hear of it.
func (w *Worker) Changed(typ string) bool {
	if !engine.IsExternal(typ) {
		return false
	}
	w.engine.ForgetExternal()
	return true
}
