package rest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// form says how the value of a field is written.
type form int

const (
	asIs      form = iota // text, number, truth: as the row has it
	asDate                // ISO text, and a TS companion
	asRef                 // id of a row of another type
	asRefs                // array or map of ids
	asJSON                // JSON text
	asMove                // transitioning
	asMessage             // transitioningMessage
	asPercent             // transitioningProgress
	asNull                // computed elsewhere
)

// slot is one field of a shape.
type slot struct {
	name   string
	form   form
	column int    // index of the row's value, -1 if it is stored in the document
	stored int    // index among the shape's stored names
	prefix string // of ids of the referred type
}

// shape is everything about writing the rows of a type that does not depend on the
// row. It is made once for each type of each view.
type shape struct {
	typ     *auth.Type
	plural  string // lower case
	prefix  string
	self    bool // rows have a self link
	id      int  // column index of id
	state   int  // column indexes, -1 if there is none
	data    int
	slots   []slot
	links   []linkSlot
	actions []actionSlot
	stored  []string // names of document fields that are needed
	moves   bool     // the type has the transitioning fields
	moving  map[string]bool
	// explains says that the rows tell what they wait for.
	explains bool
}

type linkSlot struct {
	name, lower string
	column      int // of the reference, -1 for a link that is always there
}

type actionSlot struct {
	name, lower string
	states      []string // nil: in every state
	capability  string
}

// Document fields that the transitioning fields and actions are made from; they
// come first in shape.stored.
const (
	storedMove = iota
	storedMessage
	storedInternal
	storedPercent
	storedCapabilities
	storedOwn
)

func newShape(t *auth.Type) *shape {
	s := &shape{
		typ: t, plural: strings.ToLower(t.Plural), prefix: t.Prefix(),
		self: t.Field("id") != nil,
		id:   column(t.Type, "id"), state: column(t.Type, "state"), data: column(t.Type, "data"),
		stored: []string{"transitioning", "transitioningMessage", "transitioningInternalMessage", "transitioningProgress", "capabilities"},
		moving: map[string]bool{},
	}
	s.moves, s.explains = t.Type.Field("transitioning") != nil, explains(t)
	for _, f := range t.Fields {
		if f.Name != "id" && !f.WriteOnly {
			s.slots = append(s.slots, s.slot(f.Field))
		}
	}
	slices.SortFunc(s.slots, func(a, b slot) int { return cmp.Compare(a.name, b.name) })
	for _, l := range t.Links {
		slot := linkSlot{name: l.Name, lower: strings.ToLower(l.Name), column: -1}
		if l.Reference {
			slot.column = column(t.Type, l.Column)
		}
		s.links = append(s.links, slot)
	}
	for _, name := range t.Actions {
		s.actions = append(s.actions, newAction(t.Type, name))
	}
	if s.moves {
		for _, d := range resource.All.Processes(t.Type) {
			for _, state := range d.FromStates() {
				s.moving[state] = resource.All.Moving(t.Type, state)
			}
		}
	}
	return s
}

// column returns the index of a column, -1 if there is none of that name.
func column(t *schema.Type, name string) int {
	return slices.IndexFunc(t.Base().Columns(), func(f *schema.Field) bool { return f.Name == name })
}

func (s *shape) slot(f *schema.Field) slot {
	out := slot{name: f.Name, column: -1, form: formOf(f)}
	inner := f.Type[strings.LastIndexByte(f.Type, '[')+1:]
	if k := resource.All.Kind(strings.TrimRight(inner, "]")); k != nil && (out.form == asRef || out.form == asRefs) {
		out.prefix = k.Type.Prefix()
	}
	switch f.Place {
	case schema.Column:
		out.column = column(s.typ.Type, f.Name)
	case schema.InData:
		out.stored = len(s.stored)
		s.stored = append(s.stored, f.Name)
	}
	return out
}

func formOf(f *schema.Field) form {
	switch f.Name {
	case "transitioning":
		return asMove
	case "transitioningMessage":
		return asMessage
	case "transitioningProgress":
		return asPercent
	}
	switch {
	case f.Place == schema.Computed:
		return asNull
	case f.Type == "date":
		return asDate
	case f.RefType() != "":
		return asRef
	case strings.Contains(f.Type, "[reference["):
		return asRefs
	case strings.ContainsAny(f.Type, "[") || f.Type == "json":
		return asJSON
	}
	return asIs
}

// newAction works out when an action is offered.
func newAction(t *schema.Type, name string) actionSlot {
	out := actionSlot{name: name, lower: strings.ToLower(name)}
	if d := resource.All.Verb(t, name); d != nil {
		out.states = d.FromStates()
	}
	if a, ok := resource.All.Action(t, name); ok {
		out.capability = a.Capability
		if a.State != "" {
			out.states = []string{a.State}
		}
	}
	return out
}

// offered tells whether an action is among those of a row.
func (a *actionSlot) offered(state, capabilities string) bool {
	if a.states != nil && !slices.Contains(a.states, state) {
		return false
	}
	if a.capability == "" {
		return true
	}
	found := false
	elements(capabilities, func(value string) { found = found || value == `"`+a.capability+`"` })
	return found
}
