package resource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// Catalogue is every type and process, found by name. It does not change once
// anything is served.
type Catalogue struct {
	kinds     []*Kind
	byName    map[string]*Kind // lower case singular and plural
	processes map[string]*process.Definition
	links     map[string][]Link // by base type
}

// Link leads from a row to rows it is related to.
type Link struct {
	Name string
	// Column is the property of this row (reference) or of the target (child)
	// that holds the id.
	Column string
	Target string // type
	// Via is the map type of a many-to-many link; Column is then its property
	// that names this row, and There the one that names the target.
	Via, There string
	Reference  bool
}

// Build checks the declarations and works out what follows from them. It panics
// on a mistake: nothing is served before it was called.
func build(kinds ...*Kind) *Catalogue {
	c := &Catalogue{byName: map[string]*Kind{}, processes: map[string]*process.Definition{}, links: map[string][]Link{}}
	for _, k := range kinds {
		c.add(k)
	}
	for _, k := range kinds {
		if k.Type.Parent == nil && k.Type.Table != "" {
			c.relate(k.Type)
		}
	}
	for _, l := range c.links {
		slices.SortFunc(l, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	}
	return c
}

func (c *Catalogue) add(k *Kind) {
	t := k.Type
	if t.Parent == nil && len(k.Processes) > 0 {
		for _, f := range t.Own {
			if f.Name == "state" && f.Type == "enum" {
				f.Options = states(k.Processes)
			}
		}
		if err := model(t, k.Processes).Check(); err != nil {
			panic("resource: " + err.Error())
		}
	}
	t.Build()
	for _, name := range []string{t.Name, t.Plural} {
		if c.byName[strings.ToLower(name)] != nil && c.byName[strings.ToLower(name)] != k {
			panic("resource: two types are called " + name)
		}
		c.byName[strings.ToLower(name)] = k
	}
	c.kinds = append(c.kinds, k)
	for _, d := range k.Processes {
		if c.processes[d.Name] != nil {
			panic("resource: two processes are called " + d.Name)
		}
		c.processes[d.Name] = d
	}
}

// states lists the values of column state that the processes lead through.
func states(defs []*process.Definition) []string {
	var out []string
	for _, d := range defs {
		if d.StateField() != "state" {
			continue
		}
		for _, t := range d.Transitions() {
			for _, s := range []string{t.From, t.To} {
				if !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// overrides names the links whose plain name another column has taken.
var overrides = map[string]string{
	"port.publicIpAddressId":         "publicPorts",
	"port.privateIpAddressId":        "privatePorts",
	"instanceLink.targetInstanceId":  "targetInstanceLinks",
	"ipAssociation.childIpAddressId": "childIpAssociations",
}

// relate adds the links that the references of t make, on both ends.
func (c *Catalogue) relate(t *schema.Type) {
	refs := references(t)
	for _, f := range refs {
		c.links[t.Name] = append(c.links[t.Name],
			Link{Name: strings.TrimSuffix(f.Name, "Id"), Column: f.Name, Target: f.RefType(), Reference: true})
		c.links[f.RefType()] = append(c.links[f.RefType()],
			Link{Name: c.childName(t, f), Column: f.Name, Target: t.Name})
	}
	if strings.HasSuffix(t.Name, "Map") && len(refs) == 2 {
		for i, here := range refs {
			there := refs[1-i]
			c.links[here.RefType()] = append(c.links[here.RefType()], Link{
				Name: c.byName[strings.ToLower(there.RefType())].Type.Plural, Column: here.Name,
				Target: there.RefType(), Via: t.Name, There: there.Name})
		}
	}
}

func (c *Catalogue) childName(t *schema.Type, f *schema.Field) string {
	if name, ok := overrides[t.Name+"."+f.Name]; ok {
		return name
	}
	return t.Plural
}

func references(t *schema.Type) []*schema.Field {
	var out []*schema.Field
	for _, f := range t.Columns() {
		if f.RefType() != "" {
			out = append(out, f)
		}
	}
	return out
}

// Kinds lists every type in the order of declaration, parents before sub types.
func (c *Catalogue) Kinds() []*Kind { return c.kinds }

// Tables lists the types that own a table.
func (c *Catalogue) Tables() []*schema.Type {
	var out []*schema.Type
	for _, k := range c.kinds {
		if k.Type.Parent == nil && k.Type.Table != "" {
			out = append(out, k.Type)
		}
	}
	return out
}

// Kind returns the type of that name, singular or plural, in any case; nil if
// there is none.
func (c *Catalogue) Kind(name string) *Kind { return c.byName[strings.ToLower(name)] }

// Type returns the type of that name; it panics for a name that is no type, which
// is a mistake in the code that asks.
func (c *Catalogue) Type(name string) *schema.Type {
	k := c.Kind(name)
	if k == nil {
		panic(fmt.Sprintf("resource: there is no type %q", name))
	}
	return k.Type
}

// Of returns the type as which a row is shown: the sub type its kind names, else
// its base type.
func (c *Catalogue) Of(row *schema.Row) *schema.Type {
	if k := c.byName[strings.ToLower(row.Kind())]; k != nil && k.Type.Name == row.Kind() && k.Type.Base() == row.Type() {
		return k.Type
	}
	return row.Type()
}

// Process returns the definition of that name, or nil.
func (c *Catalogue) Process(name string) *process.Definition { return c.processes[name] }

// Processes lists the processes of a type's base type.
func (c *Catalogue) Processes(t *schema.Type) []*process.Definition {
	return c.byName[strings.ToLower(t.Base().Name)].Processes
}

// Verb returns the process behind an action of a type, or nil.
func (c *Catalogue) Verb(t *schema.Type, action string) *process.Definition {
	return c.processes[strings.ToLower(t.Base().Name)+"."+strings.ToLower(action)]
}

// Links lists the links of a type in the order of their names.
func (c *Catalogue) Links(t *schema.Type) []Link { return c.links[t.Base().Name] }

// Moving tells whether s is a transitioning state of column state of the type.
func (c *Catalogue) Moving(t *schema.Type, s string) bool {
	for _, d := range c.Processes(t) {
		if d.StateField() == "state" && d.IsTransitioning(s) {
			return true
		}
	}
	return false
}

// Action returns an action of a type and whether it exists. Actions are the verbs
// of the processes of the base type and those declared by themselves.
func (c *Catalogue) Action(t *schema.Type, name string) (Action, bool) {
	base := c.byName[strings.ToLower(t.Base().Name)]
	for _, k := range []*Kind{c.byName[strings.ToLower(t.Name)], base} {
		for n, a := range k.Actions {
			if strings.EqualFold(n, name) {
				return a, true
			}
		}
	}
	if d := c.Verb(t, name); d != nil && t.Name != "agentGroup" {
		return Action{}, true
	}
	return Action{}, false
}

// Actions lists the names of the actions of a type.
func (c *Catalogue) Actions(t *schema.Type) []string {
	var out []string
	base := c.byName[strings.ToLower(t.Base().Name)]
	if t.Base().Name != "agentGroup" {
		for _, d := range base.Processes {
			out = append(out, d.Verb())
		}
	}
	for _, k := range []*Kind{base, c.byName[strings.ToLower(t.Name)]} {
		for n := range k.Actions {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}
