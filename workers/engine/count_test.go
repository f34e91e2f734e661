package engine_test

import (
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// What becomes of attempts is counted: a run that lost its process, a wait for an
// agent, a resource that is held, a panic, and the end.
func TestAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		slow, other := w.worker(), w.worker()
		slow.Metrics, other.Metrics = telemetry.New(), telemetry.New()
		shows := func(k *worker, lines ...string) {
			t.Helper()
			_, text, err := k.Metrics.Text()
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				if !strings.Contains(string(text), "\n"+line+"\n") {
					t.Errorf("%s is not shown", line)
				}
			}
		}
		c := w.container(nil)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		at := 0
		slow.store.Seam = func(s store.Seam, _ string) error {
			if s == store.Beginning {
				if at++; at == 2 { // it has claimed and wants to write
					slow.store.Seam = nil
					w.once(other, c)
				}
			}
			return nil
		}
		w.once(slow, c)
		shows(slow, `cattle_process_claims_total{outcome="taken"} 1`, `cattle_process_claims_total{outcome="lost"} 1`)
		shows(other, `cattle_process_waits_total{for="agent"} 1`, `cattle_process_execution_total{reason="waiting"} 1`)

		w.act(c, "instance.stop")
		stop := w.find("processInstance", process.Match{"processName": "instance.stop"})[0]
		if err := other.Execute(w.ctx, stop.ID()); err != nil {
			t.Fatal(err)
		}
		shows(other, `cattle_process_waits_total{for="resource"} 1`, `cattle_process_execution_total{reason="resource_busy"} 1`)
		if err := other.Execute(w.ctx, stop.ID()); err != nil { // it is not due
			t.Fatal(err)
		}
		shows(other, `cattle_process_claims_total{outcome="refused"} 1`, `cattle_process_execution_total{reason="not_found"} 1`)

		panics := 1
		w.agent.fail = func(e *wire.Event) string {
			if panics > 0 && e.Name == wire.ComputeInstanceDeactivate {
				panics--
				panic("a mistake of ours")
			}
			return ""
		}
		w.agent.mute = nil
		w.work(other)
		w.want(c, "stopped")
		shows(other, `cattle_processes_ended_total{process="instance.create",reason="canceled"} 1`,
			`cattle_processes_ended_total{process="instance.stop",reason="done"} 1`,
			`cattle_process_duration_seconds_count{process="instance.stop"} 1`,
			`cattle_panics_total{part="engine"} 1`, `cattle_process_waits_total{for="retry"} 1`)
	})
}
