package process

import (
	"strings"
	"testing"
	"time"
)

// volumes is a small life that is in order; each story spoils it in one way.
func volumes() Model {
	m := Model{Type: "volume", First: map[string]string{"state": "requested", "allocationState": "inactive"}, Ends: []string{"gone"}}
	for _, d := range []*Definition{
		{Name: "volume.create", Start: []string{"requested"}, Through: To("creating"), Done: To("idle"), Delegate: "volume.activate"},
		{Name: "volume.activate", Start: []string{"idle", "creating"}, Through: To("activating"), Done: To("active")},
		{Name: "volume.deactivate", Start: []string{"active", "activating"}, Through: To("deactivating"), Done: To("idle"),
			Delegate: "volume.remove", Chains: []string{"volume.activate", "volume.remove"}},
		{Name: "volume.remove", Start: []string{"idle", "creating", "deactivating"}, Through: To("removing"), Done: To("gone"), Forward: "it is half gone"},
		{Name: "volume.allocate", Field: "allocationState", Start: []string{"inactive"}, Through: To("activating"), Done: To("active")},
		{Name: "volume.deallocate", Field: "allocationState", Start: []string{"activating", "active"}, Through: To("deactivating"), Done: To("inactive"), Forward: "it is half given back"},
	} {
		d.Type = "volume"
		m.Processes = append(m.Processes, d)
	}
	return m
}

func TestALifeInOrderHasNoFaults(t *testing.T) {
	if faults := volumes().Faults(); len(faults) > 0 {
		t.Errorf("faults were found:\n%s", strings.Join(faults, "\n"))
	}
}

func TestEveryFaultOfADefinitionIsNamed(t *testing.T) {
	snapshot := func(change func(d *Definition)) func(m *Model) {
		return func(m *Model) {
			d := &Definition{Type: "volume", Name: "volume.snapshot", Start: []string{"active"}, Through: To("snapshotting"), Done: To("active"), Forward: "it is quick"}
			change(d)
			m.Processes = append(m.Processes, d)
		}
	}
	change := func(name string, f func(d *Definition)) func(m *Model) {
		return func(m *Model) { f(m.find(name)) }
	}
	for _, story := range []struct {
		name  string
		spoil func(m *Model)
		want  string // "" where all is well
	}{
		{"all is well", snapshot(func(d *Definition) {}), ""},
		{"no start", snapshot(func(d *Definition) { d.Start = nil }), "process volume.snapshot starts nowhere"},
		{"no transitioning state", snapshot(func(d *Definition) { d.Through = Map{} }), "process volume.snapshot has no transitioning state from active"},
		{"no done state", snapshot(func(d *Definition) { d.Done = Map{"idle": "active"} }), "process volume.snapshot has no done state from snapshotting"},
		{"another type's name", snapshot(func(d *Definition) { d.Name = "disk.snapshot" }), "process disk.snapshot is not called volume.verb in lower case"},
		{"another type", snapshot(func(d *Definition) { d.Type = "disk" }), "process volume.snapshot is one of disk, not of volume"},
		{"two of a name", snapshot(func(d *Definition) { d.Name = "volume.remove" }), "two processes are called volume.remove"},
		{"an unknown column", snapshot(func(d *Definition) { d.Field = "mood" }), "process volume.snapshot moves mood, of which nobody says where it begins"},
		{"no deadline", snapshot(func(d *Definition) { d.Timeout = -time.Second }), "process volume.snapshot has no deadline in snapshotting"},
		{"done while under way", snapshot(func(d *Definition) { d.Done = To("snapshotting") }), "process volume.snapshot is under way and done in snapshotting alike"},
		{"starts while under way", snapshot(func(d *Definition) { d.Start = append(d.Start, "snapshotting") }), "process volume.snapshot starts in snapshotting, where it is under way"},
		{"a way from nowhere", snapshot(func(d *Definition) { d.Through["idle"] = "snapshotting" }), "process volume.snapshot says where it goes from idle and does not start there"},
		{"an end from nowhere", snapshot(func(d *Definition) { d.Done["copying"] = "active" }), "process volume.snapshot says where it ends from copying and never comes there"},
		{"a start that nothing leads to", snapshot(func(d *Definition) { d.Start = []string{"archived"} }), "process volume.snapshot starts in archived, to which nothing leads from requested"},
		{"a start of another column", snapshot(func(d *Definition) { d.Field, d.Start = "allocationState", []string{"idle"} }), "process volume.snapshot starts in idle, to which nothing leads from inactive"},
		{"an end that is under way", snapshot(func(d *Definition) { d.Done = To("removing") }), "process volume.snapshot has no way on from snapshotting: it ends in removing, where volume.remove is under way"},
		{"a dead end", snapshot(func(d *Definition) { d.Done = To("frozen") }), "process volume.snapshot ends in frozen, out of which nothing leads"},
		{"no way back", snapshot(func(d *Definition) { d.Forward = "" }), "process volume.snapshot has no way back from snapshotting: no other process starts there, and it does not say why it goes only forward"},
		{"a way back where none was said to be", change("volume.remove", func(d *Definition) { d.Start = append(d.Start, "activating") }), ""},
		{"forward in words only", change("volume.activate", func(d *Definition) { d.Forward = "it is quick" }), "process volume.activate says that it goes only forward, but volume.deactivate starts in activating"},
		{"no such delegate", snapshot(func(d *Definition) { d.Delegate = "volume.copy" }), "process volume.snapshot has the delegate volume.copy, which does not move state of volume"},
		{"a delegate of another column", snapshot(func(d *Definition) { d.Delegate = "volume.allocate" }), "process volume.snapshot has the delegate volume.allocate, which does not move state of volume"},
		{"a delegate that does not fit", snapshot(func(d *Definition) { d.Delegate = "volume.remove" }), "process volume.snapshot may go on as volume.remove, which has no business in snapshotting"},
		{"delegates that go round", change("volume.remove", func(d *Definition) { d.Delegate = "volume.deactivate" }), "process volume.deactivate is its own delegate: volume.deactivate, volume.remove, volume.deactivate"},
		{"no such chain", snapshot(func(d *Definition) { d.Chains = []string{"volume.copy"} }), "process volume.snapshot chains to volume.copy, which does not move state of volume"},
		{"a chain that does not fit", snapshot(func(d *Definition) { d.Chains = []string{"volume.remove"} }), "process volume.snapshot chains to volume.remove, which does not start in what follows snapshotting"},
	} {
		t.Run(story.name, func(t *testing.T) {
			m := volumes()
			story.spoil(&m)
			faults := m.Faults()
			found := story.want == "" && len(faults) == 0
			for _, f := range faults {
				found = found || f == story.want
			}
			if !found {
				t.Errorf("faults: %q\nwanted: %q", faults, story.want)
			}
			if (m.Check() == nil) != (len(faults) == 0) {
				t.Errorf("Check answers %v", m.Check())
			}
		})
	}
}
