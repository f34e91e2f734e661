package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/cattleio/cattle/shared/schema"
)

// Condition restricts a list by one column.
type Condition struct {
	Column   *schema.Field
	Modifier string // as in the published filters
	Value    any    // ignored by null and notnull
	Most     any    // where eq and ne mean all from Value up to this, nil where one
}

// Query asks for one page of a type's rows.
type Query struct {
	Type              *schema.Type
	Conditions        []Condition
	Scope             Scope
	Via               *Via
	Current           bool          // leave out rows whose removal is done with, by ShowRemoved
	ShowRemovedMillis int64         // how long a removed row stays listed
	Sort              *schema.Field // nil sorts by id
	Descending        bool
	Limit             int    // rows; 0 means all
	Marker            string // where the page begins, from Page.Next of the page before
}

// Scope restricts rows to what an account may see. The zero value restricts
// nothing.
type Scope struct {
	Account int64
	Limited bool // only rows of Account, public ones where the type has that column
	Owned   bool // leave public rows of others out: for writes
}

// Via reads the targets of a many-to-many link: rows of the type whose id stands
// in column There of rows of Map whose column Here is ID and that are not removed.
type Via struct {
	Map         *schema.Type
	Here, There string
	ID          int64
}

// Page is what a Query found.
type Page struct {
	Rows []*schema.Row
	Next string // marker of the next page, "" on the last
}

// List reads a page of committed rows. Its cost does not grow with the depth of
// the page: a marker says after which row it begins.
func (s *Store) List(ctx context.Context, q Query) (*Page, error) {
	typ := q.Type.Base()
	sort := q.sort()
	rows, err := lite(s.readers.DB.QueryContext(ctx, s.listText(q)))
	found, err := s.collect(typ, rows, err)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", q.Type.Plural, err)
	}
	page := &Page{Rows: found}
	if q.Limit > 0 && len(found) > q.Limit {
		page.Rows = found[:q.Limit]
		page.Next = marker(page.Rows[q.Limit-1], sort)
	}
	return page, nil
}

// sort is the field that rows are sorted by, nil for the id alone.
func (q Query) sort() *schema.Field {
	if q.Sort == nil || q.Sort.Name == "id" {
		return nil
	}
	return q.Sort
}

// id is how rows are sorted by their id. Of processes that are pending it is written so
// that the database takes the index that holds no others, instead of walking through
// all that have ended in the order of the ids.
func (q Query) id() string {
	if q.Type.Name == "processInstance" && slices.ContainsFunc(q.Conditions, func(c Condition) bool {
		return c.Column.Name == "endTime" && c.Modifier == "null"
	}) {
		return "(r.id + 0)"
	}
	return "r.id"
}

func (s *Store) listText(q Query) string {
	typ := q.Type.Base()
	sel := s.readers.NewSelect().TableExpr("? as r", bun.Ident(typ.Table)).ColumnExpr(prefixed(typ))
	if q.Type.Parent != nil {
		sel = sel.Where("r.kind = ?", q.Type.Name)
	}
	sel = s.restrict(sel, q)
	for _, c := range q.Conditions {
		sel = condition(sel, c)
	}
	sort, direction := q.sort(), "asc"
	if q.Descending {
		direction = "desc"
	}
	if sort != nil {
		sel = sel.OrderExpr(key(sort) + " " + direction)
	}
	sel = sel.OrderExpr(q.id() + " " + direction)
	sel = after(sel, q, sort)
	if q.Limit > 0 {
		sel = sel.Limit(int64(q.Limit) + 1)
	}
	return sel.String()
}

func prefixed(typ *schema.Type) string {
	names := make([]string, len(typ.Columns()))
	for i, f := range typ.Columns() {
		names[i] = "r." + quote(f.Column)
	}
	return strings.Join(names, ", ")
}

func (s *Store) restrict(sel *bun.SelectQuery, q Query) *bun.SelectQuery {
	typ := q.Type.Base()
	if q.Scope.Limited {
		switch {
		case typ.Name == "account":
			sel = sel.Where("r.id = ?", q.Scope.Account)
		case typ.HasColumn("accountId") && typ.HasColumn("isPublic") && !q.Scope.Owned:
			sel = sel.Where("(r.account_id = ? or r.is_public)", q.Scope.Account)
		case typ.HasColumn("accountId"):
			sel = sel.Where("r.account_id = ?", q.Scope.Account)
		}
	}
	if typ.Name == "data" {
		sel = sel.Where("r.visible")
	}
	if q.Current && typ.HasColumn("removed") {
		now := bun.Safe(s.now())
		sel = sel.Where("(r.removed is null or r.removed >= ? - ?)", now, q.ShowRemovedMillis).
			Where("(r.remove_time is null or r.remove_time > ?)", now)
	}
	if v := q.Via; v != nil {
		m := s.readers.NewSelect().TableExpr("? as m", bun.Ident(v.Map.Table)).
			ColumnExpr("m.?", bun.Ident(v.Map.Field(v.There).Column)).
			Where("m.? = ?", bun.Ident(v.Map.Field(v.Here).Column), v.ID)
		if v.Map.HasColumn("removed") {
			m = m.Where("m.removed is null")
		}
		sel = sel.Where("r.id in (?)", m)
	}
	return sel
}

func condition(sel *bun.SelectQuery, c Condition) *bun.SelectQuery {
	col := bun.Ident("r." + c.Column.Column)
	switch c.Modifier {
	case "eq":
		if c.Most != nil {
			return sel.Where("? between ? and ?", col, c.Value, c.Most)
		}
		return sel.Where("? = ?", col, c.Value)
	case "ne":
		if c.Most != nil {
			return sel.Where("? not between ? and ?", col, c.Value, c.Most)
		}
		return sel.Where("? <> ?", col, c.Value)
	case "lt":
		return sel.Where("? < ?", col, c.Value)
	case "lte":
		return sel.Where("? <= ?", col, c.Value)
	case "gt":
		return sel.Where("? > ?", col, c.Value)
	case "gte":
		return sel.Where("? >= ?", col, c.Value)
	case "prefix":
		return sel.Where(`? like ? escape '\'`, col, fmt.Sprint(c.Value)+"%")
	case "like":
		return sel.Where(`? like ? escape '\'`, col, c.Value)
	case "notlike":
		return sel.Where(`? not like ? escape '\'`, col, c.Value)
	case "null":
		return sel.Where("? is null", col)
	case "notnull":
		return sel.Where("? is not null", col)
	}
	return sel
}

// key is the sorted expression of a column: null sorts as the least value, so
// that a marker can name any row.
func key(f *schema.Field) string {
	col := `r."` + f.Column + `"`
	switch {
	case f.NotNull:
		return col
	case f.Type == "string" || f.Type == "enum":
		return "coalesce(" + col + ", '')"
	case f.Type == "boolean":
		return "coalesce(" + col + ", false)"
	}
	return "coalesce(" + col + ", -9223372036854775807)"
}

// position is what a marker holds: the sorted value and the id of the last row.
type position struct {
	Value any   `json:"v,omitempty"`
	ID    int64 `json:"i"`
}

func marker(row *schema.Row, sort *schema.Field) string {
	p := position{ID: row.ID()}
	if sort != nil {
		p.Value = row.Get(sort.Name)
		if n, ok := p.Value.(int64); ok {
			p.Value = json.Number(fmt.Sprint(n))
		}
	}
	b, _ := json.Marshal(p)
	return "m" + base64.RawURLEncoding.EncodeToString(b)
}

// after begins the page behind its marker. A marker that makes no sense is
// ignored.
func after(sel *bun.SelectQuery, q Query, sort *schema.Field) *bun.SelectQuery {
	if !strings.HasPrefix(q.Marker, "m") {
		return sel
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Marker[1:])
	var p position
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err != nil || dec.Decode(&p) != nil {
		return sel
	}
	op := ">"
	if q.Descending {
		op = "<"
	}
	if sort == nil {
		return sel.Where("r.id ? ?", bun.Safe(op), p.ID)
	}
	value := p.Value
	switch n := value.(type) {
	case json.Number:
		value, _ = n.Int64()
	case nil:
		value = map[bool]any{true: "", false: int64(-9223372036854775807)}[sort.Type == "string" || sort.Type == "enum"]
		if sort.Type == "boolean" {
			value = false
		}
	}
	return sel.Where("(?, r.id) ? (?, ?)", bun.Safe(key(sort)), bun.Safe(op), value, p.ID)
}

// Visible tells whether a row is within a scope, without asking the database.
func (sc Scope) Visible(row *schema.Row) bool {
	typ := row.Type()
	switch {
	case !sc.Limited:
		return true
	case typ.Name == "account":
		return row.ID() == sc.Account
	case !typ.HasColumn("accountId"):
		return true
	case row.Int("accountId") == sc.Account:
		return true
	}
	return !sc.Owned && typ.HasColumn("isPublic") && row.Bool("isPublic")
}
