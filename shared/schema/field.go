// Package schema says what a resource type looks like: its fields, their types,
// bounds and access, where each value is stored, and how ids are written. It
// knows no database and no HTTP; the store, the API and the engine read the same
// declarations.
package schema

import (
	"strconv"
	"strings"
)

// Place says where the value of a field lives.
type Place int

const (
	Column   Place = iota // a column of the type's table
	InData                // data.fields.NAME inside the JSON document of the row
	Computed              // made when the row is shown, or given to an action
)

// Kinds of account that a projection exists for.
const (
	Admin         = "admin"
	SuperAdmin    = "superadmin"
	ReadAdmin     = "readAdmin"
	User          = "user"
	Agent         = "agent"
	AgentRegister = "agentRegister"
	Register      = "register"
)

// Access maps a kind of account to letters: c may be set on create, r is shown,
// u may be set on update, d (types only) may be removed. A kind that is missing
// does not see the field or type at all; "-" sees it without any right.
type Access map[string]string

// Field is one field of a type, as the API publishes it and the store keeps it.
// The methods that return *Field are for declarations and may be chained.
type Field struct {
	Name, Type string // Type in the syntax of the published schemas: reference[host], array[string]
	Place      Place
	Column     string // SQL name; "" unless Place is Column

	Create, Update     bool // in the bare model, before any projection
	Nullable, Required bool
	Unique             bool
	NotNull            bool // the SQL column
	WriteOnly          bool // accepted, never shown
	StoreNull          bool // an absent value stays null instead of being filled in
	StartsUpdate       bool // a changed value starts the update process
	Internal           bool // the engine's own, seen by nobody outside
	Secret             bool // encrypted in the database

	Fallback any // what the API fills in when a create leaves the field out
	First    any // what every new row starts with, whoever makes it

	Options              []string
	Min, Max             *int64
	MinLength, MaxLength *int
	ValidChars           string
	Access               Access
	SQLDefault           string
}

// New declares a field of any type that lives in a column.
func New(name, typ string) *Field {
	return &Field{Name: name, Type: typ, Column: snake(name), Create: true, Update: true, Nullable: true,
		Access: Access{}}
}

// String declares a text of at most max characters.
func String(name string, max int) *Field { return New(name, "string").Longest(max) }

// Int declares a whole number.
func Int(name string) *Field { return New(name, "int") }

// Date declares a moment, kept as milliseconds since 1970.
func Date(name string) *Field { return New(name, "date") }

// Bool declares a truth value that is never null.
func Bool(name string) *Field {
	f := New(name, "boolean")
	f.Nullable, f.NotNull = false, true
	return f
}

// Enum declares a text out of a list.
func Enum(name string, options ...string) *Field {
	f := New(name, "enum")
	f.Options = options
	return f
}

// Ref declares the id of a row of another type.
func Ref(name, typ string) *Field { return New(name, "reference["+typ+"]") }

// Stored puts the value into data.fields instead of a column.
func (f *Field) Stored() *Field { f.Place, f.Column = InData, ""; return f }

// Shown makes the field one that is computed or only passed on.
func (f *Field) Shown() *Field { f.Place, f.Column = Computed, ""; return f }

// Bare sets who may write in the bare model: letters out of "cu".
func (f *Field) Bare(letters string) *Field {
	f.Create, f.Update = strings.Contains(letters, "c"), strings.Contains(letters, "u")
	return f
}

// For gives a kind of account its letters on this field.
func (f *Field) For(kind, letters string) *Field { f.Access[kind] = letters; return f }

// NeverNull refuses an explicit null.
func (f *Field) NeverNull() *Field { f.Nullable = false; return f }

// Filled makes the SQL column not null, with an SQL default unless that is "".
func (f *Field) Filled(def string) *Field { f.NotNull, f.SQLDefault = true, def; return f }

// Default is filled in by the API when a create leaves the field out.
func (f *Field) Default(v any) *Field { f.Fallback = v; return f }

// Initial is what every new row starts with.
func (f *Field) Initial(v any) *Field { f.First = v; return f }

// Needed makes the field required.
func (f *Field) Needed() *Field { f.Required = true; return f }

// OnlyOne makes values unique among rows that are not removed.
func (f *Field) OnlyOne() *Field { f.Unique = true; return f }

// Hidden makes the field accepted but never shown.
func (f *Field) Hidden() *Field { f.WriteOnly = true; return f }

// Sealed keeps the value encrypted in the database, if there is a key for that.
func (f *Field) Sealed() *Field { f.Secret = true; return f }

// KeepNull leaves an absent value null instead of filling in the owner.
func (f *Field) KeepNull() *Field { f.StoreNull = true; return f }

// TriggersUpdate starts the update process when a PUT changes the value.
func (f *Field) TriggersUpdate() *Field { f.StartsUpdate = true; return f }

// Between bounds a number, both ends included.
func (f *Field) Between(min, max int64) *Field { f.Min, f.Max = &min, &max; return f }

// AtLeast bounds a number from below.
func (f *Field) AtLeast(min int64) *Field { f.Min = &min; return f }

// Longest bounds the length of the text.
func (f *Field) Longest(n int) *Field { f.MaxLength = &n; return f }

// Shortest bounds the length of the text from below.
func (f *Field) Shortest(n int) *Field { f.MinLength = &n; return f }

// Chars allows only characters of a class, written as inside brackets.
func (f *Field) Chars(class string) *Field { f.ValidChars = class; return f }

// Ours keeps the column from everyone but the engine.
func (f *Field) Ours() *Field { f.Internal, f.Access = true, nil; return f }

// RefType returns the type that a reference[T] field names, or "".
func (f *Field) RefType() string {
	if strings.HasPrefix(f.Type, "reference[") {
		return strings.TrimSuffix(f.Type[len("reference["):], "]")
	}
	return ""
}

// Modifiers returns the filter modifiers of the field's type, in the order in
// which they are published; none for types that cannot be filtered.
func (f *Field) Modifiers() []string {
	switch {
	case f.Place != Column || f.Internal:
		return nil
	case f.Type == "string":
		return []string{"eq", "ne", "prefix", "like", "notlike", "null", "notnull"}
	case f.Type == "int" || f.Type == "float" || f.Type == "date":
		return []string{"eq", "ne", "lt", "lte", "gt", "gte", "null", "notnull"}
	case f.Type == "boolean" || f.Type == "enum" || f.RefType() != "":
		return []string{"eq", "ne", "null", "notnull"}
	}
	return nil
}

// Empty is what a column that is never null holds where nothing was given: its SQL
// default, and without one the least that its type has.
func (f *Field) Empty() any {
	switch f.Type {
	case "boolean":
		return f.SQLDefault == "true"
	case "string", "enum":
		return strings.Trim(f.SQLDefault, "'")
	}
	n, err := strconv.ParseInt(f.SQLDefault, 10, 64)
	if err != nil {
		return int64(0)
	}
	return n
}

func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Null accepts an explicit null.
func (f *Field) Null() *Field { f.Nullable = true; return f }

// Loose lets the SQL column be null.
func (f *Field) Loose() *Field { f.NotNull = false; return f }
