package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Type is a resource type: everything about its rows that does not move.
// Processes are added beside it in package resource.
type Type struct {
	Name   string
	Doc    string // what it is, in a sentence for people who use it
	Plural string // as in URLs
	Table  string // "" for types without rows
	Parent *Type  // set for a sub type such as container

	CollectionMethods, ResourceMethods []string // of the bare model
	Access                             Access   // letters out of crud, per kind of account
	Own                                []*Field // without those of the parent
	Overrides                          map[string]Access
	Filters                            map[string][]string // of types without a table

	fields  []*Field
	byName  map[string]*Field
	columns []*Field
	index   map[string]int
}

// Build works out what follows from the declaration. It must be called once,
// parents before children, and panics on a mistake in a declaration.
func (t *Type) Build() *Type {
	if t.Plural == "" {
		t.Plural = Plural(t.Name)
	}
	if t.Parent != nil {
		t.Table = t.Parent.Table
		for _, f := range t.Parent.fields {
			t.fields = append(t.fields, override(f, t.Overrides[f.Name]))
		}
	}
	for _, f := range t.Own {
		if i := slices.IndexFunc(t.fields, func(g *Field) bool { return g.Name == f.Name }); i >= 0 {
			t.fields[i] = f
			continue
		}
		t.fields = append(t.fields, f)
	}
	t.byName = make(map[string]*Field, len(t.fields))
	t.index = make(map[string]int)
	for _, f := range t.fields {
		if t.byName[f.Name] != nil {
			panic(fmt.Sprintf("schema: type %s declares %s twice", t.Name, f.Name))
		}
		t.byName[f.Name] = f
		if f.Place == Column && t.Table != "" {
			t.index[f.Name] = len(t.columns)
			t.columns = append(t.columns, f)
		}
	}
	return t
}

// override returns f with the letters of access put over its own.
func override(f *Field, access Access) *Field {
	if len(access) == 0 {
		return f
	}
	g := *f
	g.Access = Access{}
	for k, v := range f.Access {
		g.Access[k] = v
	}
	for k, v := range access {
		g.Access[k] = v
	}
	return &g
}

// Base returns the type that owns the table.
func (t *Type) Base() *Type {
	if t.Parent != nil {
		return t.Parent.Base()
	}
	return t
}

// Fields lists all fields, the parent's first. The slice must not be changed.
func (t *Type) Fields() []*Field { return t.fields }

// Field returns the field of that name, or nil.
func (t *Type) Field(name string) *Field { return t.byName[name] }

// Columns lists the fields that are columns, in the order of a Row's values.
func (t *Type) Columns() []*Field { return t.columns }

// HasColumn tells whether name is a column of the type's table.
func (t *Type) HasColumn(name string) bool { _, ok := t.index[name]; return ok }

// Prefix returns what stands before a stored id: 1, the first letter of the base
// type, and its other capitals, in lower case.
func (t *Type) Prefix() string {
	name := t.Base().Name
	var b strings.Builder
	b.WriteByte('1')
	for i, r := range name {
		if i == 0 || r >= 'A' && r <= 'Z' {
			b.WriteString(strings.ToLower(string(r)))
		}
	}
	return b.String()
}

// Plural makes the plural of a type's name as URLs have it.
func Plural(name string) string {
	for _, end := range []string{"s", "ch", "x"} {
		if strings.HasSuffix(name, end) {
			return name + "es"
		}
	}
	return name + "s"
}

// Obfuscate writes a stored id the way the API shows it.
func (t *Type) Obfuscate(id string) string {
	if id == "" {
		return ""
	}
	if id[0] >= '0' && id[0] <= '9' {
		return t.Prefix() + id
	}
	return t.Prefix() + "!" + id
}

// ParseID reads an id as the API shows it and returns the stored one. The prefix
// is not compared with any type: scripts make ids by hand.
func ParseID(id string) (stored string, ok bool) {
	switch {
	case id == "":
		return "", false
	case isLetter(id[0]):
		return id, true
	case len(id) < 2 || id[0] != '1' || !isLetter(id[1]):
		return "", false
	}
	rest := strings.TrimLeft(id[1:], "abcdefghijklmnopqrstuvwxyz")
	return strings.TrimPrefix(rest, "!"), true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
