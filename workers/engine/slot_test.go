package engine_test

import (
	"context"
	"testing"

	"github.com/cattleio/cattle/shared/process"
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
