package rest

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// included returns the links that the request asks to have followed. Names that
// are no visible link are ignored.
func (r *request) included(t *auth.Type) []resource.Link {
	var out []resource.Link
	for _, name := range r.query.all("include") {
		for _, l := range t.Links {
			if strings.EqualFold(l.Name, name) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// listIncluding answers with a page of rows and what they are related to. The
// limit counts joined rows: a row whose related ones do not fit goes on on the
// next page, where it appears again with the others.
func (r *request) listIncluding(l *listing, links []resource.Link) error {
	at := parseCursor(l.query.Marker)
	l.query.Marker = at.Marker
	page, err := r.reads().List(r.ctx, l.query)
	if err != nil {
		return err
	}
	room := l.query.Limit
	if !l.paged {
		room = 1 << 30
	}
	var entries []entry
	f := follower{r: r, seen: map[string]*schema.Row{}}
	window := page.Rows[min(at.Roots, len(page.Rows)):]
	if err := f.fetch(window[:min(room, len(window))], links); err != nil {
		return err
	}
	for i := min(at.Roots, len(page.Rows)); i < len(page.Rows); i++ {
		if room <= 0 {
			return r.sendList(l, entries, cursor{at.Marker, i, 0}.String())
		}
		skip := 0
		if i == at.Roots {
			skip = at.Seen
		}
		e, used, more, err := f.follow(page.Rows[i], links, skip, room)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		if more {
			return r.sendList(l, entries, cursor{at.Marker, i, skip + used}.String())
		}
		room -= max(used, 1)
	}
	return r.sendList(l, entries, page.Next)
}

// follower follows links of many rows and remembers the rows that several of them
// refer to.
type follower struct {
	r       *request
	seen    map[string]*schema.Row
	fetched map[string]map[int64][]*schema.Row // by link and row, what was read for all at once
}

// follow reads what a row is related to, leaving out the first skip rows and
// stopping after room; more says that something is left.
func (f *follower) follow(row *schema.Row, links []resource.Link, skip, room int) (e entry, used int, more bool, err error) {
	e.row = row
	for _, l := range links {
		if l.Reference {
			target, err := f.reference(row, l)
			if err != nil {
				return e, used, false, err
			}
			if target != nil {
				e.includes = append(e.includes, related{name: l.Name, one: true, rows: []*schema.Row{target}})
			}
			continue
		}
		rows, err := f.many(row, l, skip+room-used+1)
		if err != nil {
			return e, used, false, err
		}
		n := min(skip, len(rows))
		rows, skip = rows[n:], skip-n
		if len(rows) > room-used {
			rows, more = rows[:room-used], true
		}
		used += len(rows)
		e.includes = append(e.includes, related{name: l.Name, rows: rows})
		if more {
			break
		}
	}
	return e, used, more, nil
}

// many returns at most limit rows that a child or map link leads to.
func (f *follower) many(row *schema.Row, l resource.Link, limit int) ([]*schema.Row, error) {
	if byRow, ok := f.fetched[l.Name]; ok {
		rows := byRow[row.ID()]
		return rows[:min(limit, len(rows))], nil
	}
	q := f.query(row, l)
	q.Limit = limit
	page, err := f.r.reads().List(f.r.ctx, q)
	if err != nil {
		return nil, err
	}
	return page.Rows, nil
}

// query asks for the rows that a child or map link includes. Ties that are removed are
// left out: clients take the first for the one that holds.
func (f *follower) query(row *schema.Row, l resource.Link) store.Query {
	q := f.r.linkQuery(row, l)
	if strings.HasSuffix(l.Target, "Map") {
		q.Conditions = append(q.Conditions, store.Condition{Column: q.Type.Field("removed"), Modifier: "null"})
	}
	return q
}

const (
	fewRows  = 4        // fewer are cheap to follow one by one
	manyRows = 5 * 1000 // more are not read at once
)

// fetch reads what all of the rows are related to, with one query or two for each
// link: their ids are close to each other as a rule. Links with too much behind
// them are left to be followed row by row.
func (f *follower) fetch(rows []*schema.Row, links []resource.Link) error {
	if len(rows) < fewRows {
		return nil
	}
	f.fetched = map[string]map[int64][]*schema.Row{}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID()
	}
	for _, l := range links {
		if l.Reference {
			continue
		}
		found, err := f.children(rows[0], ids, l)
		if err != nil {
			return err
		}
		if found != nil {
			f.fetched[l.Name] = found
		}
	}
	return nil
}

// children reads the rows a link leads to from all ids, by id; nil if there are
// too many between the ids.
func (f *follower) children(first *schema.Row, ids []int64, l resource.Link) (map[int64][]*schema.Row, error) {
	q := f.query(first, l)
	if l.Via == "" {
		rows, err := f.between(q, l.Column, ids)
		return group(rows, func(r *schema.Row) int64 { return r.Int(l.Column) }), err
	}
	via := q.Via.Map
	maps, err := f.between(store.Query{Type: via}, l.Column, ids)
	if err != nil || maps == nil {
		return nil, err
	}
	q.Via = nil
	var targets []int64
	maps = slices.DeleteFunc(maps, func(m *schema.Row) bool { return via.HasColumn("removed") && m.Removed() })
	for _, m := range maps {
		targets = append(targets, m.Int(l.There))
	}
	rows, err := f.between(q, "id", targets)
	if err != nil || rows == nil {
		return nil, err
	}
	byID := map[int64]*schema.Row{}
	for _, row := range rows {
		byID[row.ID()] = row
	}
	out := map[int64][]*schema.Row{}
	for _, m := range maps {
		here, target := m.Int(l.Column), byID[m.Int(l.There)]
		if target != nil && !slices.Contains(out[here], target) {
			out[here] = append(out[here], target)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b *schema.Row) int { return cmp.Compare(a.ID(), b.ID()) })
	}
	return out, nil
}

func group(rows []*schema.Row, key func(*schema.Row) int64) map[int64][]*schema.Row {
	if rows == nil {
		return nil
	}
	out := map[int64][]*schema.Row{}
	for _, row := range rows {
		out[key(row)] = append(out[key(row)], row)
	}
	return out
}

// between reads the rows whose column has one of the ids, in order of id, by
// reading all from the least to the greatest; nil if those are too many.
func (f *follower) between(q store.Query, column string, ids []int64) ([]*schema.Row, error) {
	wanted := map[int64]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	if len(ids) == 0 {
		return []*schema.Row{}, nil
	}
	c := q.Type.Field(column)
	q.Conditions = append(slices.DeleteFunc(q.Conditions, func(one store.Condition) bool { return one.Column == c }),
		store.Condition{Column: c, Modifier: "gte", Value: slices.Min(ids)}, store.Condition{Column: c, Modifier: "lte", Value: slices.Max(ids)})
	q.Limit = manyRows
	page, err := f.r.reads().List(f.r.ctx, q)
	if err != nil || page.Next != "" {
		return nil, err
	}
	rows := slices.DeleteFunc(page.Rows, func(row *schema.Row) bool { return !wanted[row.Int(column)] })
	if rows == nil {
		rows = []*schema.Row{}
	}
	return rows, nil
}

func (f *follower) reference(row *schema.Row, l resource.Link) (*schema.Row, error) {
	id := row.Int(l.Column)
	if id == 0 {
		return nil, nil
	}
	key := l.Target + strconv.FormatInt(id, 10)
	if target, ok := f.seen[key]; ok {
		return target, nil
	}
	target, err := f.r.visible(f.r.view.Type(l.Target), id)
	if errors.Is(err, store.ErrNotFound) {
		target, err = nil, nil
	}
	f.seen[key] = target
	return target, err
}

// linkQuery asks for the rows a child or map link leads to.
func (r *request) linkQuery(row *schema.Row, l resource.Link) store.Query {
	t := resource.All.Type(l.Target)
	q := store.Query{Type: t, Scope: r.caller.Scope, ShowRemovedMillis: r.api.removedMillis()}
	if l.Via != "" {
		q.Via = &store.Via{Map: resource.All.Type(l.Via), Here: l.Column, There: l.There, ID: row.ID()}
		return q
	}
	q.Current = !r.caller.RemovedVisible
	q.Conditions = []store.Condition{{Column: t.Field(l.Column), Modifier: "eq", Value: row.ID()}}
	return q
}
