package resource_test

import (
	"slices"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
)

func TestTheWayBackIsWhatTheUserAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, state, back string }{
		{"instance.create", "creating", "instance.remove"}, {"instance.create", "starting", "instance.remove"},
		{"instance.start", "starting", "instance.stop"}, {"instance.start", "running", ""}, {"instance.start", "stopping", ""},
		{"instance.stop", "stopping", ""}, {"instance.remove", "removing", ""}, {"instance.purge", "purging", ""},
		{"instance.restore", "restoring", ""}, {"instance.update", "updating-running", ""}, {"instance.restart", "restarting", ""},
		{"volume.create", "registering", "volume.remove"}, {"volume.create", "activating", "volume.remove"},
		{"volume.activate", "activating", "volume.deactivate"}, {"agent.reconnect", "reconnecting", "agent.deactivate"},
		{"ipaddress.associate", "associating", "ipaddress.disassociate"}, {"volume.allocate", "activating", "volume.deallocate"},
	} {
		got := ""
		if back := resource.All.WayBack(resource.All.Process(c.name), c.state); back != nil {
			got = back.Name
		}
		if got != c.back {
			t.Errorf("%s is canceled from %s by %q, not %q", c.name, c.state, got, c.back)
		}
	}
}

// Whatever is forced comes to rest, and an error nowhere but where it came from.
func TestForceLeadsEveryProcessToRest(t *testing.T) {
	t.Parallel()
	nowhere := 0
	for _, k := range resource.All.Kinds() {
		moving := func(field, state string) bool {
			return slices.ContainsFunc(k.Processes, func(d *process.Definition) bool { return d.StateField() == field && d.IsTransitioning(state) })
		}
		for _, d := range k.Processes {
			for _, tr := range d.Transitions() {
				to, ok := resource.All.Forced(d.Name, tr.From, process.OutcomeDone)
				if !ok || moving(tr.Field, to) || !d.IsDone(to) {
					t.Errorf("%s forced to done from %s is %s", d.Name, tr.From, to)
				}
				if tr.Type != "DONE" {
					continue
				}
				to, ok = resource.All.Forced(d.Name, tr.From, process.OutcomeError)
				if !ok {
					nowhere++
				} else if through, _ := d.Through.Get(to); through != tr.From || moving(tr.Field, to) {
					t.Errorf("%s forced to error from %s is %s", d.Name, tr.From, to)
				}
				if created := d.Verb() == "create"; created == ok {
					t.Errorf("%s from %s: an error leads back: %v", d.Name, tr.From, ok)
				}
			}
		}
	}
	if nowhere == 0 {
		t.Error("even what is created rested somewhere before")
	}
}
