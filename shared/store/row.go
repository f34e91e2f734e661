package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// texts are the SQL texts of one type, made once.
type texts struct{ columns, insert, insertAs string }

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
		insertAs: fmt.Sprintf("insert into %s (%s, id) values (%s, ?)", quote(t.Table),
			strings.Join(inserted, ", "), strings.Join(marks, ", ")),
	}
	typeTexts.Store(t, v)
	return v
}

func quote(name string) string { return `"` + name + `"` }

// scan reads the columns of a type out of a result.
func (s *Store) scan(t *schema.Type, rows rows) (*schema.Row, error) {
	cols := t.Columns()
	values := make([]any, len(cols))
	into := make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	err := rows.Scan(into...)
	if err != nil {
		return nil, err
	}
	for i, f := range cols {
		if values[i], err = s.opened(f, plain(f, values[i])); err != nil {
			return nil, err
		}
	}
	return schema.LoadRow(t, values), nil
}

// plain makes a driver's value one of the kinds a Row holds.
func plain(f *schema.Field, v any) any {
	switch x := v.(type) {
	case []byte:
		return string(x)
	case int32:
		return int64(x)
	case int16:
		return int64(x)
	case int64:
		if f.Type == "boolean" {
			return x != 0
		}
	}
	return v
}

func (s *Store) collect(t *schema.Type, rows rows, err error) ([]*schema.Row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*schema.Row
	for rows.Next() {
		r, err := s.scan(t, rows)
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
	return first(t.s.collect(typ, rows, err))
}

// Get returns one committed row, or ErrNotFound.
func (s *Store) Get(ctx context.Context, typ *schema.Type, id int64) (*schema.Row, error) {
	typ = typ.Base()
	rows, err := s.query(ctx, byID(typ), id)
	return first(s.collect(typ, rows, err))
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
	return t.s.collect(typ, rows, err)
}

// Find is a question for rows with the given values.
type Find struct {
	Type  *schema.Type
	Match process.Match
}

// FindAll answers several questions in one trip. On Postgres it takes a second one
// where many ask for other things than an id and some have an answer: mostly none has;
// and where a row is not any more as it is known.
func (t *Tx) FindAll(ctx context.Context, finds []Find) ([][]*schema.Row, error) {
	out := make([][]*schema.Row, len(finds))
	if t.pipe == nil {
		return out, t.findEach(ctx, finds, out)
	}
	many := 0
	for _, f := range finds {
		if _, one := f.Match["id"]; !one {
			many++
		}
	}
	var b batch
	for i, f := range finds {
		switch row := t.remembered(f); {
		case row != nil:
			b.check(i, row)
		case f.single() || many <= 2:
			b.ask(i, t.finding(f))
		default:
			b.doubt(i, f)
		}
	}
	if len(b.checks) > 0 {
		b.statements = append(b.statements, statement{query: t.s.bind("select " + strings.Join(b.checks, ", ")), args: b.args})
	}
	answers, err := t.pipe.send(ctx, b.statements...)
	if err != nil {
		return nil, err
	}
	err = t.s.readAll(answers, finds, b.asked, out)
	again := b.checked[:0]
	if err == nil && len(b.checks) > 0 {
		again, err = b.unsettled(answers, out)
	}
	if err := errors.Join(err, answers.Close()); err != nil {
		return nil, err
	}
	return out, t.findThere(ctx, finds, again, out)
}

// single tells whether the question is for the row of an id.
func (f Find) single() bool {
	_, one := f.Match["id"]
	return one && len(f.Match) == 1
}

// remembered returns the row that a question by id is for, as it was a while ago.
func (t *Tx) remembered(f Find) *schema.Row {
	id, ok := f.Match["id"].(int64)
	if !ok || !f.single() || !f.Type.Base().HasColumn("revision") {
		return nil
	}
	return t.s.known.get(f.Type.Base(), id)
}

// batch is what FindAll sends: questions for rows, and one that says of others whether
// there is anything to read.
type batch struct {
	statements []statement
	asked      []int // by place in the list of questions
	checks     []string
	args       []any
	checked    []int
	rows       []*schema.Row // as they are known, nil where rows may be there
}

func (b *batch) ask(i int, s statement) {
	b.statements = append(b.statements, s)
	b.asked = append(b.asked, i)
}

// check asks whether a row is still as it is known.
func (b *batch) check(i int, row *schema.Row) {
	b.checks = append(b.checks, "coalesce((select revision from "+quote(row.Type().Table)+" where id = ?) <> ?, true)")
	b.args = append(b.args, row.ID(), row.Int("revision"))
	b.checked, b.rows = append(b.checked, i), append(b.rows, row)
}

// doubt asks whether there are rows at all.
func (b *batch) doubt(i int, f Find) {
	w, values := where(f.Type.Base(), f.Match)
	b.checks = append(b.checks, "exists (select 1 from "+quote(f.Type.Base().Table)+w+")")
	b.args = append(b.args, values...)
	b.checked, b.rows = append(b.checked, i), append(b.rows, nil)
}

// unsettled returns the questions that have to be asked after all.
func (b *batch) unsettled(answers pgx.BatchResults, out [][]*schema.Row) (again []int, err error) {
	yes := make([]bool, len(b.checks))
	into := make([]any, len(yes))
	for i := range yes {
		into[i] = &yes[i]
	}
	if err := answers.QueryRow().Scan(into...); err != nil {
		return nil, err
	}
	for n, i := range b.checked {
		switch {
		case yes[n]:
			again = append(again, i)
		case b.rows[n] != nil:
			out[i] = []*schema.Row{b.rows[n]}
		}
	}
	return again, nil
}

// findThere asks questions in one trip.
func (t *Tx) findThere(ctx context.Context, finds []Find, asked []int, out [][]*schema.Row) error {
	if len(asked) == 0 {
		return nil
	}
	var more []statement
	for _, i := range asked {
		more = append(more, t.finding(finds[i]))
	}
	answers, err := t.pipe.send(ctx, more...)
	if err != nil {
		return err
	}
	return errors.Join(t.s.readAll(answers, finds, asked, out), answers.Close())
}

func (t *Tx) findEach(ctx context.Context, finds []Find, out [][]*schema.Row) error {
	for i, f := range finds {
		rows, err := t.Find(ctx, f.Type, f.Match)
		if err != nil {
			return err
		}
		out[i] = rows
	}
	return nil
}

func (t *Tx) finding(f Find) statement {
	q, args := findText(f.Type.Base(), f.Match)
	return statement{query: t.s.bind(q), args: args}
}

func (s *Store) readAll(answers pgx.BatchResults, finds []Find, asked []int, out [][]*schema.Row) error {
	for _, i := range asked {
		r, err := answers.Query()
		if err == nil {
			out[i], err = s.collect(finds[i].Type.Base(), pgRows{r}, nil)
		}
		if err != nil {
			return err
		}
		if finds[i].single() && len(out[i]) == 1 {
			s.known.put(out[i][0].Copy())
		}
	}
	return nil
}

// Find returns the committed rows with the given values, oldest first.
func (s *Store) Find(ctx context.Context, typ *schema.Type, match process.Match) ([]*schema.Row, error) {
	typ = typ.Base()
	q, args := findText(typ, match)
	rows, err := s.query(ctx, q, args...)
	return s.collect(typ, rows, err)
}

// NewRow makes a row with what every new one starts with, then the given values.
// Names that are fields without a column go to data.fields.
func NewRow(typ *schema.Type, now int64, values map[string]any) *schema.Row {
	row := schema.NewRow(typ)
	row.Set("kind", typ.Name)
	for _, f := range typ.Base().Columns() {
		if f.First != nil {
			row.Set(f.Name, f.First)
		}
	}
	row.Set("uuid", uuid.NewString())
	row.Set("created", now)
	row.Set("stateSince", now)
	row.Set("state", "requested")
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
	t.keep(row)
	var id int64
	if err := t.one(ctx, textsOf(row.Type()).insert, t.s.inserted(row), &id); err != nil {
		return err
	}
	row.Set("id", id)
	row.Saved()
	return nil
}

// InsertWith is Insert together with what is waited for next: only then is the id
// set, or the error told.
func (t *Tx) InsertWith(ctx context.Context, row *schema.Row) error {
	t.keep(row)
	var id int64
	return t.insertLater(ctx, true, func() {
		row.Set("id", id)
		row.Saved()
	}, []any{&id}, textsOf(row.Type()).insert, t.s.inserted(row)...)
}

// insertLater runs an insert that returns something, now or with what is waited for next.
func (t *Tx) insertLater(ctx context.Context, later bool, got func(), into []any, query string, args ...any) error {
	if t.pipe == nil || !later {
		err := t.one(ctx, query, args, into...)
		if err == nil {
			got()
		}
		return err
	}
	t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(query), args: args, into: func(r pgx.Row) error {
		err := r.Scan(into...)
		if err == nil {
			got()
		}
		return err
	}})
	return nil
}

// InsertAs writes a new row under the id that NextID gave it, with the commit at
// the latest.
func (t *Tx) InsertAs(ctx context.Context, row *schema.Row) error {
	t.keep(row)
	err := t.later(ctx, textsOf(row.Type()).insertAs, append(t.s.inserted(row), row.ID())...)
	row.Saved()
	return err
}

// inserted lists the values of all columns but the id.
func (s *Store) inserted(row *schema.Row) []any {
	var args []any
	values := row.Values()
	for i, f := range row.Type().Columns() {
		if f.Name == "id" {
			continue
		}
		v := values[i]
		if v == nil && f.NotNull {
			v = f.Empty()
		}
		args = append(args, s.stored(f, v))
	}
	return args
}

// block is a run of ids of one table that this server has taken in advance.
type block struct {
	mu   sync.Mutex
	free []int64
}

const blockSize = 50

// NextID takes an id for a row that is inserted later. On SQLite it gives none: a
// row gets its id there when it is inserted, which costs no trip.
func (t *Tx) NextID(ctx context.Context, typ *schema.Type) (id int64, ok bool, err error) {
	if t.pipe == nil {
		return 0, false, nil
	}
	v, _ := t.s.blocks.LoadOrStore(typ.Table, &block{})
	b := v.(*block)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) == 0 {
		r, err := t.query(ctx, "select nextval(pg_get_serial_sequence(?, 'id')) from generate_series(1, ?::int)", quote(typ.Table), int64(blockSize))
		if err != nil {
			return 0, false, err
		}
		defer r.Close()
		for r.Next() {
			if err := r.Scan(&id); err != nil {
				return 0, false, err
			}
			b.free = append(b.free, id)
		}
		if err := r.Err(); err != nil {
			return 0, false, err
		}
	}
	id = b.free[0]
	b.free = b.free[1:]
	return id, true, nil
}

// Update writes the changed columns of a row that nobody has written since it was
// read; else it is ErrConflict, here or at the commit, and nothing happens.
func (t *Tx) Update(ctx context.Context, row *schema.Row) error {
	changed := row.Changed()
	if len(changed) == 0 {
		return nil
	}
	t.keep(row)
	typ := row.Type()
	var b strings.Builder
	b.WriteString("update " + quote(typ.Table) + " set ")
	var args []any
	for i, name := range changed {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(typ.Field(name).Column) + " = ?")
		args = append(args, t.s.stored(typ.Field(name), row.Get(name)))
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
	if err := t.must(ctx, ErrConflict, b.String(), args...); err != nil {
		return err
	}
	t.left(row)
	t.noticed(typ)
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
	rows, err := s.query(ctx, "select "+textsOf(typ).columns+" from "+quote(typ.Table)+
		" where state = 'removed' and removed is not null and remove_time < "+s.now()+" order by remove_time limit ?", int64(limit))
	return s.collect(typ, rows, err)
}
