package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// texts are the SQL texts of one type, made once.
type texts struct{ columns, insert string }

var typeTexts sync.Map // *schema.Type to texts

func textsOf(t *schema.Type) texts {
	if v, ok := typeTexts.Load(t); ok {
		return v.(texts)
	}
	var names, marks, inserted []string
	for _, f := range t.Columns() {
		names = append(names, quote(f.Column))
		if f.Name != "id" {
			inserted = append(inserted, quote(f.Column))
			marks = append(marks, "?")
		}
	}
	v := texts{
		columns: strings.Join(names, ", "),
		insert: fmt.Sprintf("insert into %s (%s) values (%s) returning id", quote(t.Table),
			strings.Join(inserted, ", "), strings.Join(marks, ", ")),
	}
	typeTexts.Store(t, v)
	return v
}

func quote(name string) string { return `"` + name + `"` }

// scan reads the columns of a type out of a result.
func scan(t *schema.Type, rows *sql.Rows) (*schema.Row, error) {
	cols := t.Columns()
	values := make([]any, len(cols))
	into := make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, f := range cols {
		values[i] = plain(f, values[i])
	}
	return schema.LoadRow(t, values), nil
}

// plain makes a driver's value one of the kinds a Row holds.
func plain(f *schema.Field, v any) any {
	switch x := v.(type) {
	case []byte:
		return string(x)
	case int64:
		if f.Type == "boolean" {
			return x != 0
		}
	}
	return v
}

func collect(t *schema.Type, rows *sql.Rows, err error) ([]*schema.Row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*schema.Row
	for rows.Next() {
		r, err := scan(t, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func first(rows []*schema.Row, err error) (*schema.Row, error) {
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return rows[0], nil
}

func byID(t *schema.Type) string {
	return "select " + textsOf(t).columns + " from " + quote(t.Table) + " where id = ?"
}

// Get returns one row as this transaction sees it, or ErrNotFound.
func (t *Tx) Get(ctx context.Context, typ *schema.Type, id int64) (*schema.Row, error) {
	typ = typ.Base()
	rows, err := t.query(ctx, byID(typ), id)
	return first(collect(typ, rows, err))
}

// Get returns one committed row, or ErrNotFound.
func (s *Store) Get(ctx context.Context, typ *schema.Type, id int64) (*schema.Row, error) {
	typ = typ.Base()
	rows, err := s.readers.DB.QueryContext(ctx, s.bind(byID(typ)), s.args([]any{id})...)
	return first(collect(typ, rows, err))
}

func where(typ *schema.Type, match process.Match) (string, []any) {
	var parts []string
	var args []any
	for _, f := range typ.Columns() { // a fixed order keeps the texts few
		v, ok := match[f.Name]
		if !ok {
			continue
		}
		if v == nil {
			parts = append(parts, quote(f.Column)+" is null")
			continue
		}
		parts = append(parts, quote(f.Column)+" = ?")
		args = append(args, v)
	}
	if len(parts) != len(match) {
		panic(fmt.Sprintf("store: %v names what is no column of %s", match, typ.Name))
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " where " + strings.Join(parts, " and "), args
}

func findText(typ *schema.Type, match process.Match) (string, []any) {
	w, args := where(typ, match)
	return "select " + textsOf(typ).columns + " from " + quote(typ.Table) + w + " order by id", args
}

// Find returns the rows with the given values, oldest first.
func (t *Tx) Find(ctx context.Context, typ *schema.Type, match process.Match) ([]*schema.Row, error) {
	typ = typ.Base()
	q, args := findText(typ, match)
	rows, err := t.query(ctx, q, args...)
	return collect(typ, rows, err)
}

// Find returns the committed rows with the given values, oldest first.
func (s *Store) Find(ctx context.Context, typ *schema.Type, match process.Match) ([]*schema.Row, error) {
	typ = typ.Base()
	q, args := findText(typ, match)
	rows, err := s.readers.DB.QueryContext(ctx, s.bind(q), s.args(args)...)
	return collect(typ, rows, err)
}

// NewRow makes a row with what every new one starts with, then the given values.
// Names that are fields without a column go to data.fields.
func NewRow(typ *schema.Type, now int64, values map[string]any) *schema.Row {
	row := schema.NewRow(typ)
	for _, f := range typ.Base().Columns() {
		if f.First != nil {
			row.Set(f.Name, f.First)
		}
	}
	row.Set("uuid", uuid.NewString())
	row.Set("created", now)
	row.Set("stateSince", now)
	row.Set("state", "requested")
	row.Set("kind", typ.Name)
	if data, ok := values["data"].(map[string]any); ok {
		row.SetData(data)
	}
	for name, v := range values {
		if name == "data" || v == nil {
			continue
		}
		if !row.Set(name, v) {
			if f := typ.Field(name); f != nil && f.Place == schema.InData {
				row.SetField(name, v)
			}
		}
	}
	if row.Type().HasColumn("data") && row.Get("data") == nil {
		row.SetData(map[string]any{})
	}
	return row
}

// Insert writes a new row and sets its id. A taken uuid is ErrNotUnique.
func (t *Tx) Insert(ctx context.Context, row *schema.Row) error {
	typ := row.Type()
	var args []any
	values := row.Values()
	for i, f := range typ.Columns() {
		if f.Name == "id" {
			continue
		}
		v := values[i]
		if v == nil && f.NotNull {
			v = zero(f)
		}
		args = append(args, v)
	}
	var id int64
	if err := t.one(ctx, textsOf(typ).insert, args, &id); err != nil {
		return err
	}
	row.Set("id", id)
	row.Saved()
	return nil
}

func zero(f *schema.Field) any {
	switch f.Type {
	case "boolean":
		return f.SQLDefault == "true"
	case "string", "enum":
		return strings.Trim(f.SQLDefault, "'")
	}
	return int64(0)
}

// Update writes the changed columns of a row that nobody has written since it was
// read; else it is ErrConflict and nothing happens.
func (t *Tx) Update(ctx context.Context, row *schema.Row) error {
	changed := row.Changed()
	if len(changed) == 0 {
		return nil
	}
	typ := row.Type()
	var b strings.Builder
	b.WriteString("update " + quote(typ.Table) + " set ")
	var args []any
	for i, name := range changed {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(typ.Field(name).Column) + " = ?")
		args = append(args, row.Get(name))
	}
	if t.leaves(row) {
		b.WriteString(", state_since = " + t.s.now())
	}
	revised := typ.HasColumn("revision")
	if revised {
		b.WriteString(", revision = revision + 1")
	}
	b.WriteString(" where id = ?")
	args = append(args, row.ID())
	if revised {
		b.WriteString(" and revision = ?")
		args = append(args, row.Int("revision"))
	}
	n, err := t.exec(ctx, b.String(), args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrConflict
	}
	t.left(row)
	if revised {
		row.Set("revision", row.Int("revision")+1)
	}
	row.Saved()
	return nil
}

// Delete erases a row of a type that has no processes.
func (t *Tx) Delete(ctx context.Context, typ *schema.Type, id int64) error {
	_, err := t.exec(ctx, "delete from "+quote(typ.Base().Table)+" where id = ?", id)
	return err
}

// Purgeable lists rows that were removed and whose time to be purged has come.
func (s *Store) Purgeable(ctx context.Context, typ *schema.Type, limit int) ([]*schema.Row, error) {
	rows, err := s.readers.DB.QueryContext(ctx, s.bind("select "+textsOf(typ).columns+" from "+quote(typ.Table)+
		" where state = 'removed' and removed is not null and remove_time < "+s.now()+" order by remove_time limit ?"), s.args([]any{int64(limit)})...)
	return collect(typ, rows, err)
}
