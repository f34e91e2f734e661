package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// launched is the one pending process of a resource.
func (w *world) launched(row *schema.Row) *schema.Row {
	w.t.Helper()
	all := w.find("processInstance", process.Match{"resourceType": row.Type().Name, "resourceId": row.Key(), "endTime": nil})
	if len(all) != 1 {
		w.t.Fatalf("%d processes are pending", len(all))
	}
	return all[0]
}

// before is logic that comes first in a start.
func before(run func(context.Context, process.Run) (*process.Answer, error)) process.Handler {
	return process.Handler{Name: "Before", Stage: process.Pre, Processes: []string{"instance.create"}, Run: run}
}

// The claim of a new process and the first unit of its logic are one commit.
func TestANewProcessBeginsWithOneCommit(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k, n := w.worker(), 0
		k.store.Seam = func(at store.Seam, _ string) error {
			if at == store.Committed {
				n++
			}
			return nil
		}
		commits := func(begin func(ctx context.Context, id int64) error) int {
			c := w.container(nil)
			n = 0
			if err := begin(w.ctx, w.launched(c).ID()); err != nil {
				t.Fatal(err)
			}
			w.want(c, "running")
			return n
		}
		for range 4 { // brings the image to both hosts
			commits(k.Execute)
		}
		usual := commits(k.Execute)
		if fresh := commits(k.ExecuteNew); fresh != usual-1 {
			t.Errorf("%d commits, and %d for one that is not new", fresh, usual)
		}
	})
}

// Logic that fails in the first unit of a new process has failed once, as it would have
// anywhere, and is tried again.
func TestANewProcessThatFailsAtOnceHasFailedOnce(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		broken := true
		k := w.worker(before(func(context.Context, process.Run) (*process.Answer, error) {
			if broken {
				return nil, errors.New("it is broken")
			}
			return nil, nil
		}))
		c := w.container(nil)
		id := w.launched(c).ID()
		if err := k.ExecuteNew(w.ctx, id); err != nil {
			t.Fatal(err)
		}
		if p := w.launched(c); p.Int("attempts") != 1 || p.Str("lastError") != "it is broken" || p.Str("exitReason") != "UNKNOWN_EXCEPTION" {
			t.Errorf("after %d attempts it says %s, %s", p.Int("attempts"), p.Str("lastError"), p.Str("exitReason"))
		}
		broken = false
		w.work(k)
		w.want(c, "running")
	})
}

// A server that dies in the first unit of a new process has left it as it was. The next one
// claims it before it begins: it may be the process that servers die of.
func TestANewProcessThatAServerDiesOfIsClaimedFirst(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		dying := w.worker(before(func(context.Context, process.Run) (*process.Answer, error) { panic(errDead) }))
		dying.store.Seam = func(at store.Seam, _ string) error {
			if at == store.Committing {
				return errDead
			}
			return nil
		}
		c := w.container(nil)
		id := w.launched(c).ID()
		_ = dying.ExecuteNew(w.ctx, id)
		if p := w.launched(c); p.Int("attempts") != 0 || p.Get("runningProcessServerId") != nil {
			t.Errorf("a server that is dead has it, after %d attempts", p.Int("attempts"))
		}
		due, err := w.store.Due(w.ctx, 10)
		if err != nil || len(due) != 1 || due[0].ID != id || due[0].New {
			t.Fatalf("who looks after it finds %v: %v", due, err)
		}
		attempts := int64(0)
		k := w.worker(before(func(context.Context, process.Run) (*process.Answer, error) {
			attempts = w.launched(c).Int("attempts")
			return nil, nil
		}))
		w.work(k)
		w.want(c, "running")
		if attempts != 1 {
			t.Errorf("while it is tried it has %d attempts", attempts)
		}
	})
}

// A removal that comes while a new process is in its first unit is not lost, whichever of
// the two writes first.
func TestARemovalInTheFirstUnitOfANewProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.PostgresSchema(t))
	var c *schema.Row
	asked, once := make(chan error, 1), sync.Once{}
	k := w.worker(before(func(context.Context, process.Run) (*process.Answer, error) {
		once.Do(func() { go func() { asked <- w.launch(c, "instance.remove", nil) }() })
		return nil, nil
	}))
	c = w.container(nil)
	if err := k.ExecuteNew(w.ctx, w.launched(c).ID()); err != nil {
		t.Fatal(err)
	}
	err := <-asked
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrCannotStart) { // a client asks again
		w.work(k)
		err = w.launch(c, "instance.stop", map[string]any{"remove": true})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.work(k)
	w.want(c, "removed")
}
