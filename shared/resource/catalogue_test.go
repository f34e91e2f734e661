package resource

import (
	"slices"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// The catalogue refuses to be built with a fault, so a broken declaration never gets
// as far as this test; what it adds is that every type was looked at.
func TestTheStatesOfEveryTypeMakeAWholeModel(t *testing.T) {
	t.Parallel()
	processes := 0
	for _, k := range All.Kinds() {
		if len(k.Processes) == 0 {
			continue
		}
		processes += len(k.Processes)
		for _, fault := range model(k.Type, k.Processes).Faults() {
			t.Errorf("%s: %s", k.Type.Name, fault)
		}
	}
	if processes != 254 {
		t.Errorf("%d processes were checked, not 254", processes)
	}
}

// disk is a type of its own, so that the real ones stay as they are.
func disk() (*Catalogue, *Kind) {
	k := &Kind{
		Type:      &schema.Type{Name: "disk", Table: "disk", Own: fields(moving)},
		Processes: lifecycle("disk", nil),
	}
	thin := &Kind{Type: &schema.Type{Name: "thinDisk", Parent: k.Type, Own: nil}}
	return build(k, thin), k
}

func snapshot() *process.Definition {
	return &process.Definition{Name: "disk.snapshot", Start: []string{"active"}, Through: process.To("snapshotting"), Done: process.To("active"),
		Forward: "a snapshot is either whole or not there"}
}

func TestAnExtensionAddsAProcess(t *testing.T) {
	t.Parallel()
	c, k := disk()
	if err := c.Extend("disk", snapshot()); err != nil {
		t.Fatal(err)
	}
	if d := c.Process("disk.snapshot"); d == nil || d.Type != "disk" || c.Verb(k.Type, "snapshot") != d {
		t.Errorf("the process is not in the catalogue: %v", d)
	}
	if !slices.Contains(c.Actions(k.Type), "snapshot") {
		t.Errorf("the type has no action for it: %v", c.Actions(k.Type))
	}
	if !c.Moving(k.Type, "snapshotting") {
		t.Error("its transitioning state does not count as one")
	}
	for _, typ := range []string{"disk", "thinDisk"} {
		if !slices.Contains(c.Type(typ).Field("state").Options, "snapshotting") {
			t.Errorf("%s does not show its state: %v", typ, c.Type(typ).Field("state").Options)
		}
	}
}

func TestAnExtensionIsToldWhatIsWrongWithItsProcess(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		name, typ, want string
		spoil           func(d *process.Definition)
	}{
		{"a dead end", "disk", "process disk.snapshot ends in frozen, out of which nothing leads", func(d *process.Definition) { d.Done = process.To("frozen") }},
		{"no way back", "disk", "process disk.snapshot has no way back from snapshotting", func(d *process.Definition) { d.Forward = "" }},
		{"a state from nowhere", "disk", "process disk.snapshot starts in archived, to which nothing leads from requested", func(d *process.Definition) { d.Start = []string{"archived"} }},
		{"a name that is taken", "disk", "two processes are called disk.remove", func(d *process.Definition) { d.Name = "disk.remove" }},
		{"no such type", "tape", "there is no such type", func(d *process.Definition) {}},
		{"a kind of another type", "thinDisk", "those of disk are its own", func(d *process.Definition) {}},
	} {
		t.Run(story.name, func(t *testing.T) {
			c, k := disk()
			before := len(k.Processes)
			d := snapshot()
			story.spoil(d)
			err := c.Extend(story.typ, d)
			if err == nil || !strings.Contains(err.Error(), story.want) {
				t.Errorf("it was told %v, not %q", err, story.want)
			}
			if len(k.Processes) != before || c.Process("disk.snapshot") != nil {
				t.Error("something was changed all the same")
			}
		})
	}
}

func TestAMistakeInADeclarationStopsTheProgramAtItsStart(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "disk.snapshot ends in frozen") {
			t.Errorf("it was built: %v", p)
		}
	}()
	d := snapshot()
	d.Done = process.To("frozen")
	build(&Kind{Type: &schema.Type{Name: "disk", Table: "disk", Own: fields(moving)}, Processes: lifecycle("disk", nil, d)})
}
