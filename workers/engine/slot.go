package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/store"
)

// slotTime is how long an attempt may hold its slot. One that takes longer goes on
// without: a handler that hangs keeps nobody else waiting.
const slotTime = 5 * time.Second

// strays are the attempts that run without a slot, and all that run.
type strays struct {
	mu      sync.Mutex
	running map[int64]bool // by id of the process: whether to look again afterwards
	out     int
	most    int
}

// enter refuses a process whose earlier attempt has not returned, which looks again
// instead when it does.
func (s *strays) enter(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.running[id]; ok {
		s.running[id] = true
		return false
	}
	s.running[id] = false
	return true
}

// leave ends an attempt, unless the process is to be looked at again.
func (s *strays) leave(id int64) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again = s.running[id]; again {
		s.running[id] = false
		return true
	}
	delete(s.running, id)
	return false
}

// release lets an attempt go on without a slot, unless very many do.
func (s *strays) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out >= s.most {
		return false
	}
	s.out++
	return true
}

func (s *strays) returned() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out--
}

// Execute makes one attempt to run a process. What ends or delays the process is
// written down, so the caller learns only of failures to write: then the attempt
// is made again once the lease has run out. An attempt that takes long goes on when
// Execute has returned, until ctx ends.
func (e *Engine) Execute(ctx context.Context, id int64) error {
	return e.within(ctx, id, func() error { return e.execute(ctx, id) })
}

// ExecuteBorn is Execute for a process that this server claimed when it was born.
func (e *Engine) ExecuteBorn(ctx context.Context, b *store.Born) error {
	return e.within(ctx, b.Process.ID, func() error {
		r := &run{e: e, checks: e.checks()}
		defer r.close()
		if err := r.begin(ctx, b); errors.Is(err, errEnded) {
			return nil
		} else if err != nil {
			return err
		}
		return r.work(ctx)
	})
}

// ExecuteNew is Execute for a process that nobody has tried: its claim becomes durable with
// the first unit of its logic. Where that unit comes to nothing, so does the claim, and
// the process is claimed as any other is. Who comes later than its launch must use
// Execute: a server that dies over the process before its claim is durable leaves no trace
// by which the next would be slower to try.
func (e *Engine) ExecuteNew(ctx context.Context, id int64) error {
	return e.within(ctx, id, func() error {
		if begun, err := e.begin(ctx, id); begun {
			return err
		}
		return e.execute(ctx, id)
	})
}

// begin tells false if it has left the process as it was.
func (e *Engine) begin(ctx context.Context, id int64) (begun bool, err error) {
	if e.checks() != nil { // they cut the logic short, which is not to cost the claim
		return false, nil
	}
	r := &run{e: e, unclaimed: true}
	defer r.close()
	switch err := r.claim(ctx, id); {
	case errors.Is(err, errEnded):
		e.Metrics.Looked()
		e.Metrics.Claimed(taken)
		return true, nil
	case err != nil:
		return false, nil
	}
	if err = r.work(ctx); errors.Is(err, errUnclaimed) {
		return false, nil
	}
	e.Metrics.Looked()
	return true, err
}

// errUnclaimed says that the logic came to no unit with which its claim would have become
// durable.
var errUnclaimed = errors.New("the claim was not written")

// within runs the first attempt, and those that are asked for meanwhile, as long as
// there is a slot.
func (e *Engine) within(ctx context.Context, id int64, first func() error) error {
	if !e.strays.enter(id) {
		return nil
	}
	done := make(chan error, 1)
	e.hands.run(func() { done <- e.guarded(ctx, id, first) })
	timer := time.NewTimer(slotTime)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	if !e.strays.release() {
		return <-done
	}
	go func() {
		defer e.strays.returned()
		if err := <-done; err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "attempt was not written down", "id", id, "err", err)
		}
	}()
	return nil
}

// hands are goroutines whose stacks have grown already: an attempt needs a large one.
type hands struct{ idle chan func() }

func (h hands) run(f func()) {
	select {
	case h.idle <- f:
	default:
		go h.work(f)
	}
}

func (h hands) work(f func()) {
	for {
		f()
		select {
		case f = <-h.idle:
		case <-time.After(time.Second):
			return
		}
	}
}

func (e *Engine) guarded(ctx context.Context, id int64, first func() error) error {
	err := e.careful(ctx, id, first)
	for e.strays.leave(id) {
		err = e.careful(ctx, id, func() error { return e.execute(ctx, id) })
	}
	return err
}

func (e *Engine) careful(ctx context.Context, id int64, attempt func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.ErrorContext(ctx, "engine panicked", "id", id, "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error while running process %d", id)
		}
	}()
	return attempt()
}
