// Package engine moves resources by running processes.
//
//	start ──launch──▶ transitioning ──all logic ran──▶ done
//	                    ▲       └─ retry, crash ─┐
//	                    └────────────────────────┘
//
// It owns states, claims, attempts and waits. What a process does is a handler's
// business; which processes exist is declared in package resource. An attempt is
// a chain of short transactions: the claim, one before each command to an agent,
// and the end. Each carries the epoch of the claim, so that a run that lost its
// process writes nothing more. A crash between two of them costs a repetition:
// every attempt runs all logic from the start.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/wire"
)

// Settings is what the engine reads of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
	Bool(name string) bool
}

// Caller carries commands to agents. A call has at most one sender at a time.
type Caller interface {
	// Send delivers the event and waits up to wait for its final reply. Without
	// one it answers ErrSilent, and ErrOffline if nobody serves the agent. The
	// reply may still come: Forget hands it over. Without an agent the event goes
	// to whoever listens for its name.
	Send(ctx context.Context, agent *schema.Row, e *wire.Event, wait time.Duration, progress func(*wire.Event)) (*wire.Event, error)
	// Forget ends interest in the reply to an event and returns it if it came
	// after Send had given up.
	Forget(id string) *wire.Event
	// ReplyName is the address of this server for the reply to an event.
	ReplyName(id string) string
}

// What Caller.Send answers without a reply.
var (
	ErrSilent  = errors.New("nobody has answered yet")
	ErrOffline = errors.New("nobody is connected who could answer")
)

// Locker makes contention for a resource cheap. Correctness never rests on it.
type Locker interface {
	Try(ctx context.Context, name string, ttl time.Duration) (release func(), ok bool)
}

// Change is news about a resource, told after the commit.
type Change struct {
	Type            string
	ID              int64
	Account         int64
	Previous, State string
	Progress        bool // only the message or percent changed
}

// Config is what an Engine stands on. Every field but the last is needed.
type Config struct {
	Store    *store.Store
	Settings Settings
	Caller   Caller
	Locks    Locker
	Ring     func([]store.Bell) // wakes workers, best effort
	Tell     func([]Change)     // tells others, best effort
	Server   string             // names this server in rows and logs
	Handlers []process.Handler
	Slots    int // attempts at the same time; 0 means 50
	Log      *slog.Logger
	Metrics  *telemetry.Metrics // nil counts nothing
}

// Engine runs processes. It is safe for concurrent use.
type Engine struct {
	Config
	lists     registry
	externals externals
	patience  *patience
	strays    strays
	hands     hands
	cuts      cuts
}

// New returns an engine; it panics when two handlers of one list share a name.
func New(c Config) *Engine {
	if c.Slots <= 0 {
		c.Slots = 50
	}
	return &Engine{Config: c, lists: newRegistry(c.Handlers), patience: newPatience(c.Slots),
		hands: hands{make(chan func())}, strays: strays{running: map[int64]bool{}, most: 40 * c.Slots}}
}

// lease is how long a claim stays in force without a sign of life.
func (e *Engine) lease() int64 {
	if n := e.Settings.Int("process.lease.seconds"); n > 0 {
		return n * 1000
	}
	return 6000
}

// execute claims the process and runs its logic once.
func (e *Engine) execute(ctx context.Context, id int64) error {
	e.Metrics.Looked()
	r := &run{e: e, checks: e.checks()}
	defer func() { r.close() }()
	err := r.claim(ctx, id)
	for try := 0; try < 3 && (errors.Is(err, store.ErrConflict) || store.Passing(err)); try++ {
		r.close() // somebody wrote the resource at the same moment
		r = &run{e: e, checks: e.checks()}
		err = r.claim(ctx, id)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.refused()
		return nil
	case errors.Is(err, errEnded):
		e.Metrics.Claimed(taken)
		return nil
	case err != nil:
		return fmt.Errorf("cannot claim process %d: %w", id, err)
	}
	return r.work(ctx)
}

// work runs the logic of a process that was claimed.
func (r *run) work(ctx context.Context) error {
	r.e.Metrics.Claimed(taken)
	alive, stop := context.WithTimeout(ctx, r.top.def.Deadline())
	defer stop()
	go r.renew(alive, stop)
	err := r.attempt(alive)
	if r.unclaimed {
		r.abandon()
		return errUnclaimed
	}
	return r.conclude(context.WithoutCancel(ctx), err)
}

// errEnded says that the attempt was over with the claim.
var errEnded = errors.New("nothing left to do")

// attempt runs the logic. A panic in a handler is a failed attempt.
func (r *run) attempt(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.e.Metrics.Panicked("engine")
			r.e.Log.ErrorContext(ctx, "handler panicked", "process", r.p.Name, "id", r.p.ID, "type", r.p.ResourceType,
				"resource", r.p.ResourceID, "attempt", r.p.Attempts, "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error in %s", r.top.def.Name)
			r.abandon()
		}
	}()
	return r.top.perform(ctx)
}

// conclude writes how the attempt ended.
func (r *run) conclude(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var waiting *process.WaitingError
	switch {
	case errors.As(err, &waiting):
		err = r.suspend(ctx, waiting)
	case err != nil && !errors.Is(err, store.ErrFenced):
		err = r.fail(ctx, err)
	}
	if r.lost(err) {
		r.abandon()
		r.e.Log.WarnContext(ctx, "run lost its process", "process", r.p.Name, "id", r.p.ID, "type", r.p.ResourceType,
			"resource", r.p.ResourceID, "attempt", r.p.Attempts, "epoch", r.p.RunEpoch)
		return nil
	}
	return err
}

// fail ends an attempt that went wrong: the process is over if the state has moved
// under it, and is tried again otherwise.
func (r *run) fail(ctx context.Context, cause error) error {
	r.top.claimError(cause)
	if err := r.flush(ctx); err != nil {
		r.abandon() // what the attempt wrote last is not kept; the attempt is
	}
	reason, delay, free := r.judge(cause)
	row, err := r.refetch(ctx, r.top.row)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		r.abandon() // the transaction was spoilt by what went wrong in it
		row, err = r.refetch(ctx, r.top.row)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if gone := errors.Is(err, store.ErrNotFound); gone || process.Fitting(r.top.def, row.Str(r.top.def.StateField()), resource.All.Process) == nil {
		reason = process.Canceled
	}
	r.top.log.close(reason, cause)
	if reason == process.Canceled {
		return r.finish(ctx, reason)
	}
	level := slog.LevelWarn
	passing := reason == process.ResourceBusy || reason == process.StateChanged || reason == process.RetryException
	if passing {
		level = slog.LevelDebug
	}
	r.e.Log.Log(ctx, level, "process will be tried again", "process", r.p.Name, "id", r.p.ID, "type", r.p.ResourceType,
		"resource", r.p.ResourceID, "attempt", r.p.Attempts, "reason", reason, "in", delay, "err", cause)
	return r.pause(ctx, store.Pause{Reason: reason, DelayMillis: delay.Milliseconds(), GiveBack: free, Busy: reason == process.ResourceBusy, Error: cause.Error()},
		!passing)
}

// judge says how an error ends the attempt, how long to wait for the next one, and
// whether the attempt is given back.
func (r *run) judge(err error) (process.Reason, time.Duration, bool) {
	var busy *process.BusyError
	var timeout *process.TimeoutError
	var retry *process.RetryError
	var cut *cutError
	switch {
	case errors.As(err, &cut):
		return process.RetryException, 0, true
	case errors.As(err, &busy):
		return process.ResourceBusy, r.busyDelay(), true
	case errors.Is(err, store.ErrConflict), store.Passing(err):
		return process.StateChanged, jitter(20 * time.Millisecond), true
	case errors.Is(err, context.Canceled):
		return process.UnknownException, 0, true // the server stops, or lost its lease
	case errors.As(err, &retry):
		return process.UnknownException, jitter(retry.After), false
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return process.Timeout, r.backoff(), false
	}
	return process.UnknownException, r.backoff(), false
}

// backoff doubles with every attempt, from process.retry.backoff.initial.ms up to
// process.retry.backoff.max.ms.
func (r *run) backoff() time.Duration {
	first, most := r.e.Settings.Int("process.retry.backoff.initial.ms"), r.e.Settings.Int("process.retry.backoff.max.ms")
	return jitter(doubled(first, most, r.p.Attempts-1))
}

func (r *run) busyDelay() time.Duration {
	return jitter(doubled(50, r.e.Settings.Int("process.busy.backoff.max.ms"), r.p.BusyCount))
}

func doubled(first, most, times int64) time.Duration {
	if first <= 0 {
		first = 1000
	}
	if most <= 0 {
		most = 300_000
	}
	if times > 20 {
		times = 20
	}
	return time.Duration(min(most, first<<max(times, 0))) * time.Millisecond
}

// jitter spreads a pause by a fifth either way.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}
