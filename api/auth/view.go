package auth

import (
	"slices"
	"strings"
	"sync"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// View is the part of the model that one kind of account sees. It never changes.
type View struct {
	Kind  string
	types map[string]*Type
	names []string
}

// Type is a type as a View shows it.
type Type struct {
	*schema.Type
	Collection, Resource []string // methods
	Fields               []*Field // that may be read or written, in order of declaration
	Filters              []Filter // in order of name
	Actions              []string // in order of name
	Links                []resource.Link
	byName               map[string]*Field
	byFilter             map[string]Filter
}

// Field is a field with the rights a View gives on it.
type Field struct {
	*schema.Field
	Create, Update bool
}

// Filter says by which modifiers a list may be filtered by a field.
type Filter struct {
	Name      string
	Column    *schema.Field // nil for a parameter that is no column
	Modifiers []string
}

// Type returns a visible type by its exact name, or nil.
func (v *View) Type(name string) *Type { return v.types[name] }

// Find returns a visible type by its singular or plural name in any case, or nil.
func (v *View) Find(name string) *Type {
	if k := resource.All.Kind(name); k != nil {
		return v.types[k.Type.Name]
	}
	return nil
}

// Names lists the visible types in order of name.
func (v *View) Names() []string { return v.names }

// Field returns a visible field by its exact name, or nil.
func (t *Type) Field(name string) *Field { return t.byName[name] }

// Filter returns how a list may be filtered by a field.
func (t *Type) Filter(name string) (Filter, bool) { f, ok := t.byFilter[name]; return f, ok }

// Lists tells whether the type can be listed.
func (t *Type) Lists() bool { return slices.Contains(t.Collection, "GET") }

// Creates tells whether the type can be posted.
func (t *Type) Creates() bool { return slices.Contains(t.Collection, "POST") }

// Allows tells whether single resources of the type take a method.
func (t *Type) Allows(method string) bool { return slices.Contains(t.Resource, method) }

// views returns one View for each kind of account that has a projection. All that
// ask share them.
var views = sync.OnceValue(func() map[string]*View {
	out := map[string]*View{}
	for _, kind := range []string{schema.Admin, schema.SuperAdmin, schema.ReadAdmin, schema.User,
		schema.Agent, schema.AgentRegister, schema.Register} {
		out[kind] = newView(kind)
	}
	return out
})

func newView(kind string) *View {
	v := &View{Kind: kind, types: map[string]*Type{}}
	for _, k := range resource.All.Kinds() {
		if letters, ok := k.Type.Access[kind]; ok {
			v.types[k.Type.Name] = newType(kind, k.Type, letters)
			v.names = append(v.names, k.Type.Name)
		}
	}
	slices.Sort(v.names)
	for _, t := range v.types {
		v.drop(t)
	}
	for _, t := range v.types {
		v.relate(t)
	}
	return v
}

func newType(kind string, typ *schema.Type, letters string) *Type {
	t := &Type{Type: typ, byName: map[string]*Field{}, byFilter: map[string]Filter{}}
	has := func(l string) bool { return strings.Contains(letters, l) }
	if has("r") && slices.Contains(typ.CollectionMethods, "GET") {
		t.Collection = append(t.Collection, "GET")
	}
	if has("c") {
		t.Collection = append(t.Collection, "POST")
	}
	for _, m := range []struct{ letter, method string }{{"r", "GET"}, {"u", "PUT"}, {"d", "DELETE"}} {
		if has(m.letter) {
			t.Resource = append(t.Resource, m.method)
		}
	}
	if kind == schema.Agent && (typ.Name == "subscribe" || typ.Name == "publish") {
		t.Resource = nil // an agent opens and sends; there is nothing to get
	}
	for _, f := range typ.Fields() {
		if g := newField(kind, f); g != nil {
			t.Fields = append(t.Fields, g)
			t.byName[f.Name] = g
		}
	}
	return t
}

// newField returns the field with the rights of a kind, nil if that kind does not
// see it.
func newField(kind string, f *schema.Field) *Field {
	if f.Internal {
		return nil
	}
	if kind == schema.SuperAdmin {
		return &Field{Field: f, Create: f.Create, Update: f.Update}
	}
	letters, ok := f.Access[kind]
	if kind == schema.ReadAdmin && !ok {
		letters = strings.NewReplacer("c", "", "u", "").Replace(f.Access[schema.Admin])
	}
	if !strings.Contains(letters, "r") {
		return nil
	}
	return &Field{Field: f, Create: strings.Contains(letters, "c"), Update: strings.Contains(letters, "u")}
}

// drop takes out the fields that name a type the View does not show.
func (v *View) drop(t *Type) {
	t.Fields = slices.DeleteFunc(t.Fields, func(f *Field) bool {
		gone := v.hides(f.Field)
		if gone {
			delete(t.byName, f.Name)
		}
		return gone
	})
}

// hides tells whether a field's type names a resource type outside the View.
func (v *View) hides(f *schema.Field) bool {
	name := f.Type[strings.LastIndexByte(f.Type, '[')+1:]
	name = strings.TrimRight(name, "]")
	k := resource.All.Kind(name)
	return k != nil && k.Type.Name == name && v.types[name] == nil
}

// relate adds filters, actions and links.
func (v *View) relate(t *Type) {
	for _, f := range t.Columns() {
		if mods := f.Modifiers(); mods != nil && v.filters(t, f) {
			t.byFilter[f.Name] = Filter{f.Name, f, mods}
		}
	}
	for name, mods := range t.Type.Filters {
		t.byFilter[name] = Filter{Name: name, Modifiers: mods}
	}
	for _, f := range t.byFilter {
		t.Filters = append(t.Filters, f)
	}
	slices.SortFunc(t.Filters, func(a, b Filter) int { return strings.Compare(a.Name, b.Name) })
	if v.acts() {
		t.Actions = resource.All.Actions(t.Type)
	}
	for _, l := range resource.All.Links(t.Type) {
		if v.types[l.Target] != nil && (!l.Reference || t.byName[l.Column] != nil) {
			t.Links = append(t.Links, l)
		}
	}
}

// filters tells whether the filter of a column is published. A column that is only
// hidden keeps its filter; one whose type is gone loses it. The kinds with a list
// of their own have nothing that is not listed.
func (v *View) filters(t *Type, f *schema.Field) bool {
	if t.byName[f.Name] != nil {
		return true
	}
	switch v.Kind {
	case schema.Agent, schema.AgentRegister, schema.Register:
		return false
	}
	return !v.hides(f) || !strings.Contains(f.Access[schema.Admin], "r")
}

// acts tells whether callers of the View may run actions at all.
func (v *View) acts() bool {
	switch v.Kind {
	case schema.Admin, schema.SuperAdmin, schema.User:
		return true
	}
	return false
}
