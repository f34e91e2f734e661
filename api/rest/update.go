package rest

import (
	"errors"
	"maps"
	"reflect"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// attempts bounds how often a write is tried on a row that others write too.
const attempts = 8

// update answers PUT /v1/TYPE/ID: it writes the fields whose value changed and
// starts the update process if one of them asks for it.
func (r *request) update(t *auth.Type, id int64) error {
	row, err := r.writable(t, id)
	if err != nil {
		return err
	}
	in, err := r.readInput()
	if err != nil {
		return err
	}
	if doc, sent := in.values["data"].(map[string]any); sent && same(row.Data(), native(doc)) {
		in.drop("data") // clients send whole objects back, also of rows whose document is longer than they may send one
	}
	values, err := r.values(t, id, nil)
	if err != nil {
		return err
	}
	if t.Base().Name == "credential" {
		r.keepHash(row, values)
	}
	for try := 0; ; try++ {
		err = r.rewrite(t, row, values)
		if !errors.Is(err, store.ErrConflict) || try == attempts {
			break
		}
		if row, err = r.writable(t, id); err != nil {
			return err
		}
	}
	if errors.Is(err, store.ErrNotUnique) {
		err = errors.Join(r.taken(t, values, id), err) // the first of them is told
	}
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), "", 200)
	return r.sendRow(200, row)
}

func (r *request) rewrite(t *auth.Type, row *schema.Row, values map[string]any) error {
	changed, starts := apply(t, row, values, r.input.copied())
	if len(changed) == 0 {
		return nil
	}
	return r.write("update", func(w *write) error {
		if starts {
			return w.launch(row, "update", changed)
		}
		return w.Update(r.ctx, row)
	})
}

// apply sets the fields of a row that differ and returns them; starts says that
// one of them starts the update process. copied says that a whole resource was sent back.
func apply(t *auth.Type, row *schema.Row, values map[string]any, copied bool) (changed map[string]any, starts bool) {
	changed = map[string]any{}
	if v, sent := values["data"]; sent && t.HasColumn("data") {
		doc, _ := v.(map[string]any) // null is one with nothing in it
		if !same(row.Data(), doc) {
			row.SetData(merged(t, row, doc, copied))
			changed["data"] = doc
		}
	}
	for _, f := range t.Fields {
		v, sent := values[f.Name]
		if v == nil && f.Place == schema.Column && f.NotNull {
			v = emptyOf(f.Field)
		}
		if !sent || f.Name == "data" || f.Place == schema.Computed || same(row.Value(f.Field), v) {
			continue
		}
		if f.Place == schema.InData {
			row.SetField(f.Name, v)
		} else if !row.Set(f.Name, v) {
			continue
		}
		changed[f.Name] = v
		starts = starts || f.StartsUpdate
	}
	return changed, starts
}

// emptyOf is what a column that is never null holds instead of null.
func emptyOf(f *schema.Field) any {
	if f.Fallback != nil {
		return f.Fallback
	}
	return f.Empty()
}

// merged returns the document that takes the place of the row's: what was sent,
// but with the declared fields kept that the caller may not change, lest a stale
// copy overwrites them. One that came with a whole resource may be such a copy: it
// takes nothing away that it does not know.
func merged(t *auth.Type, row *schema.Row, doc map[string]any, copied bool) map[string]any {
	out, fields := map[string]any{}, map[string]any{}
	if copied {
		maps.Copy(out, row.Data())
		maps.Copy(fields, row.Fields())
	}
	maps.Copy(out, doc)
	if sent, ok := doc["fields"].(map[string]any); ok {
		maps.Copy(fields, sent)
	}
	for _, f := range t.Type.Fields() {
		if f.Place == schema.Column {
			continue
		}
		if seen := t.Field(f.Name); seen != nil && seen.Update {
			continue
		}
		delete(fields, f.Name)
		if v, ok := row.Fields()[f.Name]; ok {
			fields[f.Name] = v
		}
	}
	out["fields"] = fields
	return out
}

// same compares a stored value with a new one. Numbers of the document are read
// back as floating point.
func same(stored, v any) bool {
	return reflect.DeepEqual(widen(stored), widen(v))
}

func widen(v any) any {
	switch x := v.(type) {
	case int64:
		return float64(x)
	case int:
		return float64(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = widen(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = widen(x[k])
		}
		return out
	}
	return v
}
