package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Row is one row of a type's table. Its values are nil, string, int64 (numbers,
// references and dates in milliseconds) or bool. A Row belongs to one goroutine.
type Row struct {
	typ    *Type
	values []any
	data   map[string]any // parsed from the column of that name when first asked for
	parsed bool
	dirty  map[string]bool
	was    string // the state that is stored, while another one is to be saved
}

// NewRow returns an empty row of the base type of t.
func NewRow(t *Type) *Row {
	b := t.Base()
	return &Row{typ: b, values: make([]any, len(b.columns)), dirty: map[string]bool{}}
}

// LoadRow wraps values read from the database, in the order of Type.Columns.
func LoadRow(t *Type, values []any) *Row {
	return &Row{typ: t.Base(), values: values}
}

// Copy returns the row as it is, with what is to be saved. Both share the document.
func (r *Row) Copy() *Row {
	c := *r
	c.values, c.dirty = slices.Clone(r.values), maps.Clone(r.dirty)
	return &c
}

// Type returns the base type of the row.
func (r *Row) Type() *Type { return r.typ }

// ID returns the stored id, 0 for a row not yet inserted.
func (r *Row) ID() int64 { return r.Int("id") }

// Key returns the stored id as text.
func (r *Row) Key() string { return strconv.FormatInt(r.ID(), 10) }

// State returns the value of column state.
func (r *Row) State() string { return r.Str("state") }

// Kind returns the value of column kind.
func (r *Row) Kind() string { return r.Str("kind") }

// UUID returns the value of column uuid.
func (r *Row) UUID() string { return r.Str("uuid") }

// Removed tells whether the row has stopped existing for users.
func (r *Row) Removed() bool { return r.Get("removed") != nil }

// Get returns the value of a column, nil for null and for names that are none.
func (r *Row) Get(name string) any {
	i, ok := r.typ.index[name]
	if !ok {
		return nil
	}
	if name == "data" && r.parsed && r.dirty["data"] {
		return r.encoded()
	}
	return r.values[i]
}

// At returns the value of the i-th of Type.Columns.
func (r *Row) At(i int) any {
	if r.dirty["data"] && r.typ.columns[i].Name == "data" {
		return r.encoded()
	}
	return r.values[i]
}

// Str returns a text column, "" for null.
func (r *Row) Str(name string) string { s, _ := r.Get(name).(string); return s }

// Int returns a number, reference or date column, 0 for null.
func (r *Row) Int(name string) int64 { n, _ := r.Get(name).(int64); return n }

// Bool returns a truth column, false for null.
func (r *Row) Bool(name string) bool { b, _ := r.Get(name).(bool); return b }

// Set changes a column. It is remembered for the next save. Names that are no
// column are ignored; the answer tells.
func (r *Row) Set(name string, v any) bool {
	i, ok := r.typ.index[name]
	if !ok {
		return false
	}
	if name == "data" {
		m, _ := v.(map[string]any)
		r.SetData(m)
		return true
	}
	if n, small := v.(int); small {
		v = int64(n)
	}
	if r.values[i] == v {
		return true
	}
	if name == "state" && !r.dirty[name] {
		r.was, _ = r.values[i].(string)
	}
	r.values[i] = v
	r.mark(name)
	return true
}

// Was returns the state that the row had when it was read or saved.
func (r *Row) Was() string {
	if r.dirty["state"] {
		return r.was
	}
	return r.State()
}

// Data returns the JSON document of the row, never nil. Change it only through
// SetData, SetField and Touch, or the change is not saved.
func (r *Row) Data() map[string]any {
	if r.parsed {
		return r.data
	}
	r.parsed = true
	r.data = map[string]any{}
	if i, ok := r.typ.index["data"]; ok {
		if s, _ := r.values[i].(string); s != "" {
			if json.Unmarshal([]byte(s), &r.data) != nil || r.data == nil {
				r.data = map[string]any{}
			}
		}
	}
	return r.data
}

// SetData replaces the JSON document.
func (r *Row) SetData(m map[string]any) {
	if m == nil {
		m = map[string]any{}
	}
	r.data, r.parsed = m, true
	r.mark("data")
}

// Touch says that the document returned by Data was changed in place.
func (r *Row) Touch() { r.mark("data") }

// Fields returns data.fields, nil if there is none.
func (r *Row) Fields() map[string]any { m, _ := r.Data()["fields"].(map[string]any); return m }

// Field returns a value out of data.fields, or nil.
func (r *Row) Field(name string) any { return r.Fields()[name] }

// SetField puts a value into data.fields.
func (r *Row) SetField(name string, v any) {
	fields := r.Fields()
	if fields == nil {
		fields = map[string]any{}
		r.Data()["fields"] = fields
	}
	fields[name] = v
	r.mark("data")
}

// ClearField takes a value out of data.fields.
func (r *Row) ClearField(name string) {
	if fields := r.Fields(); fields != nil {
		if _, ok := fields[name]; ok {
			delete(fields, name)
			r.mark("data")
		}
	}
}

// Value returns a field wherever it is stored.
func (r *Row) Value(f *Field) any {
	switch f.Place {
	case Column:
		if f.Name == "data" {
			return r.Data()
		}
		return r.Get(f.Name)
	case InData:
		return r.Field(f.Name)
	}
	return nil
}

// Changed lists the columns changed since the row was read or saved.
func (r *Row) Changed() []string {
	names := make([]string, 0, len(r.dirty))
	for _, f := range r.typ.columns {
		if r.dirty[f.Name] {
			names = append(names, f.Name)
		}
	}
	return names
}

// Saved forgets what was changed and keeps the document as it was written.
func (r *Row) Saved() {
	if r.dirty["data"] {
		r.values[r.typ.index["data"]] = r.encoded()
	}
	r.dirty = nil
}

// Values returns the values in the order of Type.Columns, for saving.
func (r *Row) Values() []any {
	out := make([]any, len(r.values))
	for i, f := range r.typ.columns {
		out[i] = r.Get(f.Name)
	}
	return out
}

// Map returns all columns by name with the document parsed, as agents see a row.
func (r *Row) Map() map[string]any {
	m := make(map[string]any, len(r.values)+1)
	for _, f := range r.typ.columns {
		if !f.Internal {
			m[f.Name] = r.Get(f.Name)
		}
	}
	if r.typ.HasColumn("data") {
		m["data"] = maps.Clone(r.Data())
	}
	m["type"] = r.typ.Name
	return m
}

// Clone returns a copy that shares nothing with r.
func (r *Row) Clone() *Row {
	c := &Row{typ: r.typ, values: r.Values(), dirty: maps.Clone(r.dirty), was: r.was}
	return c
}

func (r *Row) mark(name string) {
	if r.dirty == nil {
		r.dirty = map[string]bool{}
	}
	r.dirty[name] = true
}

func (r *Row) encoded() string {
	b, err := json.Marshal(r.data)
	if err != nil {
		return "{}"
	}
	return string(b)
}
