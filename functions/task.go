package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// register makes the rows by which clients know the functions.
func (s *Scheduler) register(ctx context.Context) error {
	typ := resource.All.Type("task")
	for _, f := range s.functions {
		err := s.Store.Write(ctx, "task", func(tx *store.Tx) error {
			rows, err := tx.Find(ctx, typ, map[string]any{"name": f.Name})
			if err != nil || len(rows) > 0 {
				return err
			}
			return tx.Insert(ctx, store.NewRow(typ, 0, map[string]any{"name": f.Name}))
		})
		if err != nil {
			if rows, err := s.Store.Find(ctx, typ, map[string]any{"name": f.Name}); err == nil && len(rows) > 0 {
				continue // another server did
			}
			return fmt.Errorf("cannot register task %s: %w", f.Name, err)
		}
	}
	return nil
}

// repeat runs one function, with a pause from the end of a run to the next that
// varies by a fifth. A schedule that is changed is in force at once.
func (s *Scheduler) repeat(ctx context.Context, f Function) {
	ended, first := time.Now(), true
	for ctx.Err() == nil {
		changed := s.Settings.Changed()
		text, every := s.schedule(ctx, f)
		var run <-chan time.Time
		if every > 0 {
			pause := every - every/5 + rand.N(every*2/5+1)
			if first {
				pause = min(every, s.Settings.Seconds("task.initial.delay.seconds"))
			}
			run = time.After(time.Until(ended.Add(pause)))
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				changed = s.Settings.Changed()
				waiting = s.Settings.Get(schedule(f)) == text
			case <-run:
				s.do(ctx, f)
				ended, first, waiting = time.Now(), false, false
			}
		}
	}
}

func schedule(f Function) string { return "task." + f.Name + ".schedule" }

// schedule reads how often a function runs: never, unless the setting is a number of
// seconds above 0.
func (s *Scheduler) schedule(ctx context.Context, f Function) (text string, every time.Duration) {
	text = s.Settings.Get(schedule(f))
	if strings.TrimSpace(text) == "" {
		return text, 0
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || seconds < 0 || seconds > 1e9 {
		s.Log.WarnContext(ctx, "schedule is no number of seconds: the task is run by hand alone", "task", f.Name, "says", text)
		return text, 0
	}
	return text, time.Duration(seconds * float64(time.Second))
}

// off tells whether a function is switched off, by hand as well.
func (s *Scheduler) off(f Function) bool {
	n, err := strconv.ParseFloat(strings.TrimSpace(s.Settings.Get(schedule(f))), 64)
	return err == nil && n == 0
}

// do runs a function now, and records it.
func (s *Scheduler) do(ctx context.Context, f Function) {
	r := s.record(ctx, f)
	err := s.try(ctx, f)
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "task failed", "task", f.Name, "err", err)
	}
	r.end(err)
}

// try runs a function; a panic in it is an error.
func (s *Scheduler) try(ctx context.Context, f Function) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Metrics.Panicked("functions")
			s.Log.ErrorContext(ctx, "task panicked", "task", f.Name, "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error in task %s", f.Name)
		}
	}()
	return f.Run(ctx, s)
}

// Request asks all servers to run a task. Whoever knows it does, or one of them if one
// is enough.
func Request(name string) (channel, payload string, err error) {
	data, err := wire.Encode(map[string]string{"name": name})
	if err != nil {
		return "", "", err
	}
	text, err := wire.Encode(&wire.Event{ID: uuid.NewString(), Name: wire.ExecuteTask, Data: data, TimeMillis: time.Now().UnixMilli()})
	return wire.EventChannel(wire.ExecuteTask), string(text), err
}

// claimed is how long a server that hears late leaves a request to who took it.
const claimed = time.Minute

// hear runs the task that a request names.
func (s *Scheduler) hear(ctx context.Context, payload string) {
	var e wire.Event
	var data struct{ Name string }
	if json.Unmarshal([]byte(payload), &e) != nil || json.Unmarshal(e.Data, &data) != nil {
		return
	}
	for _, f := range s.functions {
		if f.Name != data.Name || s.off(f) {
			continue
		}
		if !f.Everywhere && e.ID != "" {
			if _, mine := s.Locks.Try(ctx, "EVENT."+e.ID, claimed); !mine {
				return
			}
		}
		s.do(ctx, f)
	}
}

// record is the row of one run. One that is soon over is written once, at its end.
type record struct {
	s     *Scheduler
	ctx   context.Context
	f     Function
	start int64
	timer *time.Timer

	mu  sync.Mutex
	row int64
}

// soon is how long a run goes on before it is shown as one that has not ended.
const soon = time.Second

// record begins the record of a run, nil for a function without.
func (s *Scheduler) record(ctx context.Context, f Function) *record {
	if f.Unrecorded {
		return nil
	}
	r := &record{s: s, ctx: context.WithoutCancel(ctx), f: f}
	r.start, _ = s.Store.Clock(ctx)
	r.timer = time.AfterFunc(soon, func() { r.write(0, nil) })
	return r
}

func (r *record) end(err error) {
	if r == nil {
		return
	}
	r.timer.Stop()
	now, _ := r.s.Store.Clock(r.ctx)
	r.write(max(now, r.start), err)
}

// write inserts the row, or completes it. That it cannot is no reason to stop.
func (r *record) write(end int64, failure error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	run := store.TaskRun{ID: r.row, Task: r.f.Name, Server: r.s.Server, Start: r.start, End: end}
	if failure != nil {
		run.Exception = failure.Error()
	}
	var err error
	if r.row, err = r.s.Store.RecordTask(ctx, run); err != nil {
		r.s.Log.WarnContext(ctx, "run of a task is not recorded", "task", r.f.Name, "err", err)
	}
}

// cleanRuns forgets the records of runs that are old.
var cleanRuns = Function{Name: "cleanup.task.instances", Run: func(ctx context.Context, s *Scheduler) error {
	return s.Store.ForgetTasks(ctx, 1000*s.Settings.Int("task.purge.after.seconds"), 1000)
}}
