package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// A server that dies says nothing; the next attempt says it for it, whether it ends
// the process or waits itself, and once.
func TestTheNextAttemptSaysThatAServerDied(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		for _, story := range []struct {
			name    string
			silent  bool
			reasons string
		}{{"and ends", false, "SERVER_TERMINATED DONE"}, {"and waits", true, "SERVER_TERMINATED DONE"}} {
			c := w.container(nil)
			p := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key(), "endTime": nil})[0]
			if err := w.store.Write(w.ctx, "claim", func(tx *store.Tx) error {
				_, err := tx.Claim(w.ctx, p.ID(), "a server that dies", -1)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if story.silent {
				w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
				w.once(w.worker(), c)
				w.agent.mute = nil
				if got := w.reasons(p); got != "SERVER_TERMINATED" {
					t.Errorf("%s: while it waits its logs say %q", story.name, got)
				}
			}
			w.work(w.worker())
			w.want(c, "running")
			if got := w.reasons(p); got != story.reasons {
				t.Errorf("%s: its logs say %q", story.name, got)
			}
		}
	})
}

// reasons tells how the attempts at a process ended by their logs, oldest first.
func (w *world) reasons(p *schema.Row) string {
	w.t.Helper()
	var out []string
	for _, l := range w.find("processExecution", process.Match{"processInstanceId": p.ID()}) {
		var log struct {
			Executions []struct{ ExitReason string }
		}
		if err := json.Unmarshal([]byte(l.Str("log")), &log); err != nil || len(log.Executions) == 0 {
			w.t.Fatalf("a log is %s: %v", l.Str("log"), err)
		}
		out = append(out, log.Executions[len(log.Executions)-1].ExitReason)
	}
	return strings.Join(out, " ")
}
