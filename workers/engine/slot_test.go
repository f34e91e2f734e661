package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/testkit"
)

// Handlers that hang give up their slots: Execute returns while they go on, and what
// they were doing is done when they come back.
func TestAHandlerThatHangsHoldsNoSlot(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		hang := make(chan struct{})
		k := w.worker(process.Handler{Name: "Hang", Stage: process.Pre, Processes: []string{"instance.start"},
			Run: func(context.Context, process.Run) (*process.Answer, error) {
				<-hang
				return nil, nil
			}})
		c := w.container(nil)
		id := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0].ID()
		for range 2 { // the second time nobody waits for it
			if err := k.Execute(w.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.again(c).State(); got != "creating" {
			t.Fatalf("it is %s while a handler hangs", got)
		}
		close(hang)
		until(t, "what the handler was to do", func() bool {
			w.once(k, c) // Postgres may have ended the transaction meanwhile: then this is the next attempt
			return w.again(c).State() == "running"
		})
	})
}

// An attempt has until the deadline of its process, and no longer: what waits for its end
// on behalf of others never waits for ever.
func TestAnAttemptHasADeadline(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		var left time.Duration
		k := w.worker(process.Handler{Name: "Look", Stage: process.Pre, Processes: []string{"instance.start"},
			Run: func(ctx context.Context, _ process.Run) (*process.Answer, error) {
				if end, limited := ctx.Deadline(); limited {
					left = time.Until(end)
				}
				return nil, nil
			}})
		c := w.container(nil)
		w.work(k)
		w.want(c, "running")
		if most := resource.All.Process("instance.create").Deadline(); left <= 0 || left > most {
			t.Errorf("an attempt that may take %s has %s left", most, left)
		}
	})
}
