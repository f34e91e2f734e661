// Package resource declares every resource type: its fields, its states and the
// processes that move it. One file declares one type, and the store, the API, the
// engine, the migrations and the tests all read it there. All lists them.
package resource

import (
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// Kind is one type with its processes.
type Kind struct {
	Type      *schema.Type
	Processes []*process.Definition
	Actions   map[string]Action // what differs from the plain action of each process
	// ActivatesByDefault lets create go on to activate unless the setting
	// activate.by.default.TYPE says otherwise.
	ActivatesByDefault bool
}

// Action is something a caller may ask of a resource.
type Action struct {
	Input, Output string // types; an empty input takes any body, an empty output is the base type
	State         string // offered in this state only
	Capability    string // and only if data.fields.capabilities holds this
}

// Methods of the bare model.
var (
	list   = []string{"GET", "POST"}
	change = []string{"GET", "PUT", "DELETE"}
)

// shape says which of the common fields a type has.
type shape int

const (
	owned  shape = 1 << iota // accountId
	zoned                    // zoneId
	moving                   // processes, hence states and the transitioning fields
	public                   // visible to ordinary users
	plain  shape = 0
)

// fields returns the common fields of a lasting type followed by its own; an own
// field replaces a common one of the same name.
func fields(s shape, own ...*schema.Field) []*schema.Field {
	all := []*schema.Field{
		schema.Int("id").Bare("").For(schema.Admin, "r"),
		schema.String("name", 255).For(schema.Admin, "cru"),
		schema.String("kind", 255).Filled("").For(schema.Admin, "cr"),
		schema.String("uuid", 128).Filled("").For(schema.Admin, "cr"),
		schema.String("description", 1024).For(schema.Admin, "cru"),
		state(s&moving != 0),
		schema.Date("created").For(schema.Admin, "r"),
		schema.Date("removed").For(schema.Admin, "r"),
		schema.Date("removeTime").For(schema.Admin, "ru"),
		schema.New("data", "map[json]").Longest(65535).For(schema.Admin, "cru"),
	}
	if s&owned != 0 {
		all = append(all, schema.Ref("accountId", "account").For(schema.Admin, "cru"))
	}
	if s&zoned != 0 {
		all = append(all, schema.Ref("zoneId", "zone").Initial(int64(1)))
	}
	if s&moving != 0 {
		all = append(all,
			schema.Enum("transitioning", "yes", "no", "error").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("transitioningMessage", "string").Shown().Bare("").For(schema.Admin, "r"),
			schema.Int("transitioningProgress").Shown().Bare("").For(schema.Admin, "r"),
		)
	}
	all = append(all,
		schema.Int("revision").Ours().Filled("0").Initial(int64(0)),   // raised by every write
		schema.Int("claimProcessId").Ours(),                           // the process instance that holds the row
		schema.Int("claimEpoch").Ours().Filled("0").Initial(int64(0)), // raised by every claim, never reset
	)
	if s&moving != 0 {
		all = append(all, schema.Int("stateSince").Ours()) // written by the store whenever the state moves
	}
	if s&public != 0 {
		show(all)
	}
	return append(all, own...)
}

// show gives ordinary users their letters on the common fields.
func show(all []*schema.Field) {
	for _, f := range all {
		switch f.Name {
		case "name", "description":
			f.For(schema.User, "cru")
		case "data", "removeTime", "accountId", "zoneId":
		default:
			if !f.Internal {
				f.For(schema.User, "r")
			}
		}
	}
}

// state is an enumeration for types with processes, its options known once the
// processes are, and a plain text for the others.
func state(moves bool) *schema.Field {
	if !moves {
		return schema.String("state", 128).Filled("").For(schema.Admin, "r")
	}
	return schema.Enum("state").Longest(128).NeverNull().Filled("").For(schema.Admin, "r")
}

// rename maps the words of the standard life cycle, states and verbs alike, to
// those of a type that speaks differently.
type rename map[string]string

func (r rename) word(s string) string {
	if w, ok := r[s]; ok {
		return w
	}
	return s
}

// lifecycle brings the standard processes of a type, renamed, followed by its
// own; an own process replaces a standard one of the same name.
func lifecycle(typ string, r rename, own ...*process.Definition) []*process.Definition {
	lower := strings.ToLower(typ)
	w := func(states ...string) []string {
		for i, s := range states {
			states[i] = r.word(s)
		}
		return states
	}
	to := func(s string) process.Map { return process.To(r.word(s)) }
	name := func(verb string) string { return lower + "." + r.word(verb) }
	standard := []*process.Definition{
		{Name: name("create"), Start: w("requested"), Through: to("registering"), Done: to("inactive"), Delegate: name("activate")},
		{Name: name("activate"), Start: w("inactive", "registering"), Through: to("activating"), Done: to("active")},
		{Name: name("deactivate"), Start: w("active", "activating", "updating-active", "updating-inactive"),
			Through: to("deactivating"), Done: to("inactive"), Delegate: name("remove")},
		{Name: name("remove"), Start: w("requested", "inactive", "activating", "deactivating", "registering", "updating-active", "updating-inactive"),
			Through: to("removing"), Done: to("removed"), Forward: "what is half removed is removed to its end; then it may be restored"},
		{Name: name("purge"), Start: w("removed"), Through: to("purging"), Done: to("purged"), Forward: "what is half erased is of no use to anybody"},
		{Name: name("update"), Start: w("inactive", "active"),
			Through: process.Map{r.word("inactive"): r.word("updating-inactive"), r.word("active"): r.word("updating-active")},
			Done:    process.Map{r.word("updating-inactive"): r.word("inactive"), r.word("updating-active"): r.word("active")}},
		{Name: name("restore"), Start: w("removed"), Through: to("restoring"), Done: to("inactive"), Forward: "it costs little to end; then it may be removed again"},
	}
	out := make([]*process.Definition, 0, len(standard)+len(own))
	for _, d := range standard {
		replaced := false
		for _, o := range own {
			replaced = replaced || o.Name == d.Name
		}
		if !replaced {
			out = append(out, d)
		}
	}
	out = append(out, own...)
	for _, d := range out {
		d.Type = typ
	}
	return out
}

// chaining lets the logic of one of the processes go on as others.
func chaining(defs []*process.Definition, name string, others ...string) []*process.Definition {
	for _, d := range defs {
		if d.Name == name {
			d.Chains = others
		}
	}
	return defs
}

// onward says as what a process goes on although its own work is done.
func onward(defs []*process.Definition, name string, next map[string]string) []*process.Definition {
	for _, d := range defs {
		if d.Name == name {
			d.Onward = next
		}
	}
	return defs
}

// allocate and deallocate move the second state of types that are placed.
func allocate(typ string) *process.Definition {
	return &process.Definition{Name: typ + ".allocate", Field: "allocationState",
		Start: []string{"inactive"}, Through: process.To("activating"), Done: process.To("active")}
}

func deallocate(typ string) *process.Definition {
	return &process.Definition{Name: typ + ".deallocate", Field: "allocationState",
		Start: []string{"activating", "active"}, Through: process.To("deactivating"), Done: process.To("inactive"),
		Forward: "what is half given back is given back to its end; then it may be allocated anew"}
}
