// Package functions holds what the clock starts. Each finds work and launches or
// wakes processes; none does their work. One server leads at a time; a second one
// for a moment does no harm.
package functions

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
)

// Settings is what functions read of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
	Seconds(name string) time.Duration
}

// Deps is what functions stand on.
type Deps struct {
	Store    *store.Store
	Ring     func([]process.Bell)
	Depth    func() (int, error) // tasks that wait in the queue
	Locks    *lock.Locks
	Settings Settings
	Server   string
	Log      *slog.Logger
}

// Function is one thing that the clock starts.
type Function struct {
	Name string // of the task, and of the setting task.NAME.schedule in seconds
	Run  func(ctx context.Context, d Deps) error
}

// All lists the functions.
var All = []Function{reconcile, purge, cleanup}

// Run starts each function by its schedule while this server leads, until ctx ends.
func Run(ctx context.Context, d Deps) error {
	d.Locks.Lead(ctx, "scheduler", 10*time.Second, func(ctx context.Context) {
		var wait sync.WaitGroup
		for _, f := range All {
			wait.Go(func() { repeat(ctx, d, f) })
		}
		wait.Wait()
	})
	return nil
}

// repeat runs one function, with a pause from the end of a run to the next that
// varies by a fifth. The schedule is read anew each time.
func repeat(ctx context.Context, d Deps, f Function) {
	for {
		every := d.Settings.Seconds("task." + f.Name + ".schedule")
		if every <= 0 {
			every = time.Minute // switched off; look again whether it still is
		} else if err := f.Run(ctx, d); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "task failed", "task", f.Name, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - every/5 + rand.N(every*2/5+1)):
		}
	}
}
