package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// found is the result of a Find. It stays right while the run makes rows of the
// type: those that match are added.
type found struct {
	typ   *schema.Type
	match process.Match
	rows  []*schema.Row
}

// Row returns a row as this run knows it, reading it once.
func (r *run) Row(ctx context.Context, typ *schema.Type, id int64) (*schema.Row, error) {
	k := key{typ.Base().Name, id}
	if row, ok := r.rows[k]; ok {
		return row, nil
	}
	tx, err := r.unit(ctx)
	if err != nil {
		return nil, err
	}
	row, err := tx.Get(ctx, typ, id)
	if err != nil {
		return nil, err
	}
	r.rows[k] = row
	return row, nil
}

// rowsOf returns the rows with the given values. What the run changed and has not
// written yet is written first, so that it counts.
func (r *run) rowsOf(ctx context.Context, typ *schema.Type, match process.Match) ([]*schema.Row, error) {
	typ = typ.Base()
	if rows, ok := r.known(typ, match); ok {
		return rows, nil
	}
	if err := r.flushType(ctx, typ); err != nil {
		return nil, err
	}
	tx, err := r.unit(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Find(ctx, typ, match)
	if err != nil {
		return nil, err
	}
	return r.keep(typ, match, rows), nil
}

// preload reads in one trip what the logic is about to ask for.
func (r *run) preload(ctx context.Context, wants []process.Want) error {
	var finds []store.Find
	for _, w := range wants {
		typ := resource.All.Type(w.Type).Base()
		if id, one := w.Match["id"].(int64); one && r.rows[key{typ.Name, id}] != nil {
			continue
		}
		if _, ok := r.known(typ, w.Match); ok {
			continue
		}
		if err := r.flushType(ctx, typ); err != nil {
			return err
		}
		finds = append(finds, store.Find{Type: typ, Match: w.Match})
	}
	if len(finds) == 0 {
		return nil
	}
	tx, err := r.unit(ctx)
	if err != nil {
		return err
	}
	results, err := tx.FindAll(ctx, finds)
	if err != nil {
		return err
	}
	for i, rows := range results {
		r.keep(finds[i].Type, finds[i].Match, rows)
	}
	return nil
}

func (r *run) flushType(ctx context.Context, typ *schema.Type) error {
	if slices.ContainsFunc(r.dirty, func(row *schema.Row) bool { return row.Type() == typ }) {
		return r.flush(ctx)
	}
	return nil
}

// known answers a Find from what the run has read: the same one, or one that finds
// more; and from what only the run can have made.
func (r *run) known(typ *schema.Type, match process.Match) ([]*schema.Row, bool) {
	if f, ok := r.found[findName(typ, match)]; ok {
		return f.rows, true
	}
	for _, f := range r.found {
		if f.typ == typ && covers(f.match, match) {
			return matching(f.rows, match), true
		}
	}
	if r.refersToBorn(typ, match) {
		var rows []*schema.Row
		for k, row := range r.rows {
			if k.typ == typ.Name {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, func(a, b *schema.Row) int { return int(a.ID() - b.ID()) })
		return r.keep(typ, match, matching(rows, match)), true
	}
	return nil, false
}

// covers tells whether every row that matches narrow matches wide as well.
func covers(wide, narrow process.Match) bool {
	if len(wide) == 0 || len(wide) > len(narrow) {
		return false
	}
	for name, v := range wide {
		if other, ok := narrow[name]; !ok || other != v {
			return false
		}
	}
	return true
}

func matching(rows []*schema.Row, match process.Match) []*schema.Row {
	var out []*schema.Row
	for _, row := range rows {
		if fits(row, match) {
			out = append(out, row)
		}
	}
	return out
}

func fits(row *schema.Row, match process.Match) bool {
	for name, v := range match {
		if row.Get(name) != v {
			return false
		}
	}
	return true
}

// refersToBorn tells whether matching rows refer to a row that nobody but this run
// can see yet.
func (r *run) refersToBorn(typ *schema.Type, match process.Match) bool {
	for name, v := range match {
		id, ok := v.(int64)
		f := typ.Field(name)
		if !ok || f == nil || f.RefType() == "" {
			continue
		}
		to := resource.All.Type(f.RefType())
		if to == nil {
			continue
		}
		if row := r.rows[key{to.Base().Name, id}]; row != nil && r.born[row] {
			return true
		}
	}
	return false
}

// keep remembers what was found. Rows that the run knows stay the same objects.
func (r *run) keep(typ *schema.Type, match process.Match, rows []*schema.Row) []*schema.Row {
	for i, row := range rows {
		k := key{typ.Name, row.ID()}
		if known, ok := r.rows[k]; ok {
			rows[i] = known
		} else {
			r.rows[k] = row
		}
	}
	r.found[findName(typ, match)] = &found{typ, match, rows}
	return rows
}

func findName(typ *schema.Type, match process.Match) string {
	names := make([]string, 0, len(match))
	for name, v := range match {
		names = append(names, fmt.Sprint(name, "=", v))
	}
	slices.Sort(names)
	return typ.Name + " " + strings.Join(names, " ")
}

// create makes a row in state requested. Where ids can be had in advance it is
// inserted as it ends up in this unit.
func (r *run) create(ctx context.Context, typ *schema.Type, values map[string]any) (*schema.Row, error) {
	typ = typ.Base()
	tx, err := r.unit(ctx)
	if err != nil {
		return nil, err
	}
	row := store.NewRow(typ, r.now(), values)
	id, early, err := tx.NextID(ctx, typ)
	if err == nil && early {
		row.Set("id", id)
		r.fresh[row] = true
		r.touch(row)
	} else if err == nil {
		err = tx.Insert(ctx, row)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a %s: %w", typ.Name, err)
	}
	r.born[row] = true
	r.rows[key{typ.Name, row.ID()}] = row
	for _, f := range r.found {
		if f.typ == typ && fits(row, f.match) {
			f.rows = append(slices.Clip(f.rows), row)
		}
	}
	return row, nil
}

// now is the time of the database: as the claim told it, and what has passed since.
func (r *run) now() int64 { return r.p.Now + time.Since(r.claimed).Milliseconds() }
