// Package functions holds what the clock starts. Each finds work and launches or
// wakes processes; none does their work. One server leads at a time; a second one
// for a moment does no harm.
package functions

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
)

// Settings is what functions read of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
	Seconds(name string) time.Duration
}

// Deps is what functions stand on.
type Deps struct {
	Store *store.Store
	Ring  func([]process.Bell)
	// Depths counts the tasks that wait, by queue.
	Depths func() (map[string]int, error)
	// Connected tells of each agent whether a gateway holds it.
	Connected func(ctx context.Context, agents []int64) (map[int64]bool, error)
	Locks     *lock.Locks
	Settings  Settings
	Server    string
	Log       *slog.Logger
	Metrics   *telemetry.Metrics // nil shows nothing
}

// Function is one thing that the clock starts.
type Function struct {
	Name string // of the task, and of the setting task.NAME.schedule in seconds
	Run  func(ctx context.Context, s *Scheduler) error
}

// All lists the functions.
var All = []Function{reconcile, purge, cleanup, logs, liveness, watch}

// Scheduler starts functions and remembers what they have to from one run to the
// next. Losing that costs them a little time.
type Scheduler struct {
	Deps
	mu     sync.Mutex
	absent map[int64]int // runs of liveness since an agent was seen

	watcher *watcher
}

// New returns a scheduler.
func New(d Deps) *Scheduler {
	return &Scheduler{Deps: d, absent: map[int64]int{}, watcher: newWatcher()}
}

// Run starts each function by its schedule while this server leads, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	s.Locks.Lead(ctx, "scheduler", 10*time.Second, func(ctx context.Context) {
		var wait sync.WaitGroup
		for _, f := range All {
			wait.Go(func() { s.repeat(ctx, f) })
		}
		wait.Wait()
		s.Metrics.See(nil) // another leads now, and shows what it sees
	})
	return nil
}

// Task runs a function now.
func (s *Scheduler) Task(ctx context.Context, name string) error {
	for _, f := range All {
		if f.Name == name {
			return f.Run(ctx, s)
		}
	}
	return fmt.Errorf("there is no task %s", name)
}

// repeat runs one function, with a pause from the end of a run to the next that
// varies by a fifth. The schedule is read anew each time.
func (s *Scheduler) repeat(ctx context.Context, f Function) {
	for {
		every := s.Settings.Seconds("task." + f.Name + ".schedule")
		if every <= 0 {
			every = time.Minute // switched off; look again whether it still is
		} else if err := f.Run(ctx, s); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "task failed", "task", f.Name, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - every/5 + rand.N(every*2/5+1)):
		}
	}
}
