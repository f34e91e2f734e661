// Package functions holds what the clock starts. Each finds work and launches or
// wakes processes; none does their work. One server leads at a time; a second one
// for a moment does no harm.
package functions

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/wire"
)

// Settings is what functions read of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
	Seconds(name string) time.Duration
	Changed() <-chan struct{}
}

// Deps is what functions stand on.
type Deps struct {
	Store *store.Store
	Ring  func([]process.Bell)
	// Depths counts the tasks that wait, by queue.
	Depths func() (map[string]int, error)
	// Connected tells of each agent whether a gateway holds it.
	Connected func(ctx context.Context, agents []int64) (map[int64]bool, error)
	// Items tells the content of each configuration item that there is; nil knows none.
	Items    func() (map[string]string, error)
	Locks    *lock.Locks
	Bus      *event.Bus // nil hears no requests to run a task
	Settings Settings
	Server   string
	Log      *slog.Logger
	Metrics  *telemetry.Metrics // nil shows nothing
}

// Function is one thing that the clock starts.
type Function struct {
	Name string // of the task, and of the setting task.NAME.schedule in seconds
	Run  func(ctx context.Context, s *Scheduler) error

	Everywhere bool // every server runs it, by its own clock, rather than one for all
	Unrecorded bool // leaves no record of its runs
	ByHand     bool // runs when it is asked for alone
}

// All lists the functions.
var All = []Function{reconcile, publishChanges, monitorChanges, cleanLocks, purge, cleanup, logs, cleanRuns, liveness, failover, watch, configSync, configMigration, configSources}

// Scheduler starts functions and remembers what they have to from one run to the
// next. Losing that costs them a little time.
type Scheduler struct {
	Deps
	mu     sync.Mutex
	absent map[int64]absence // active agents that are away
	ticks  int64             // runs of liveness
	storm  int               // those of them until the loss of many agents is over

	hosts outage // that are gone

	strange   map[string]bool      // what has been told and is not told again, such as what agents run that is not known
	moment    time.Duration        // an agent whose connection is lost has to come back
	patience  time.Duration        // with what an agent misses, which may be about to come back by itself
	auditing  sync.Mutex           // one round at a time
	surveying sync.Mutex           // likewise
	calling   sync.Mutex           // likewise
	quiet     map[int64]bool       // agents that did not answer when they were asked last
	reported  map[uint64]time.Time // what agents report and is known, until when that is believed
	beside    sync.WaitGroup       // what runs of functions have left to be done

	watcher   *watcher
	functions []Function
}

// New returns a scheduler.
func New(d Deps) *Scheduler {
	return &Scheduler{Deps: d, strange: map[string]bool{}, moment: time.Second, patience: 2 * time.Second, watcher: newWatcher(), functions: All}
}

// priority is that of the processes of a definition.
func (s *Scheduler) priority(d *process.Definition) int {
	return int(s.Settings.Int("process." + d.Name + ".priority"))
}

// led is how long a leader may be silent before another takes its place. A process
// whose server died is rung for by the leader: if that died with it, another must be
// there by the time the lease has run out.
const led = 3 * time.Second

// Run makes the tasks known and starts each by its schedule until ctx ends: while this
// server leads, and those that run everywhere in any case. It runs what is asked for.
func (s *Scheduler) Run(ctx context.Context) error {
	for s.register(ctx) != nil && ctx.Err() == nil { // the database is away
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	var wait sync.WaitGroup
	defer s.beside.Wait()
	defer wait.Wait()
	if s.Bus != nil {
		defer s.Bus.Subscribe(ctx, wire.EventChannel(wire.ExecuteTask), func(payload string) {
			wait.Go(func() { s.hear(ctx, payload) })
		})()
	}
	for _, f := range s.functions {
		if f.Everywhere {
			wait.Go(func() { s.repeat(ctx, f) })
		}
	}
	s.Locks.Lead(ctx, "scheduler", led, s.lead)
	return nil
}

func (s *Scheduler) lead(ctx context.Context) {
	var wait sync.WaitGroup
	for _, f := range s.functions {
		if !f.Everywhere && !f.ByHand {
			wait.Go(func() { s.repeat(ctx, f) })
		}
	}
	wait.Go(func() { s.notice(ctx) })
	wait.Wait()
	s.Metrics.See(nil) // another leads now, and shows what it sees
}

// Task runs a task here and now.
func (s *Scheduler) Task(ctx context.Context, name string) error {
	for _, f := range s.functions {
		if f.Name == name {
			r := s.record(ctx, f)
			err := s.try(ctx, f)
			r.end(err)
			s.beside.Wait()
			return err
		}
	}
	return fmt.Errorf("there is no task %s", name)
}
