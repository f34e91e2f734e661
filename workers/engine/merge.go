package engine

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// sealed are the columns that no result may set: what a row is and whose it is.
var sealed = map[string]bool{"id": true, "state": true, "revision": true, "claimProcessId": true, "claimEpoch": true}

// Merge puts a result into a row. A key that is a column or a field is set; +key
// merges a map into the present one; the name of a reference descends into that
// row; anything else is only for the log.
func (f *frame) Merge(ctx context.Context, row *schema.Row, result map[string]any) error {
	for name, v := range result {
		bare, add := strings.CutPrefix(name, "+")
		inner, isMap := v.(map[string]any)
		if isMap && !add {
			if target := reference(row, bare); target != nil {
				if id := row.Int(target.Column); id != 0 {
					other, err := f.Get(ctx, target.Target, id)
					if err != nil {
						return err
					}
					if err := f.Merge(ctx, other, inner); err != nil {
						return err
					}
				}
				continue
			}
		}
		set(row, bare, v, add && isMap)
	}
	f.r.touch(row)
	return nil
}

func reference(row *schema.Row, name string) *resource.Link {
	for _, l := range resource.All.Links(row.Type()) {
		if l.Reference && strings.EqualFold(l.Name, name) {
			return &l
		}
	}
	return nil
}

func set(row *schema.Row, name string, v any, add bool) {
	t := resource.All.Of(row)
	field := t.Field(name)
	switch {
	case field == nil || sealed[name] || field.Internal:
	case name == "data":
		m, _ := v.(map[string]any)
		if add {
			merge(row.Data(), m)
			row.Touch()
			return
		}
		row.SetData(maps.Clone(m))
	case field.Place == schema.Column:
		if fits, ok := fitting(field, v); ok {
			row.Set(name, fits)
		}
	case field.Place == schema.InData:
		if m, ok := v.(map[string]any); ok && add {
			v = mergedMap(row.Field(name), m)
		}
		row.SetField(name, v)
	}
}

// merge puts from into the map: +key goes deeper, any other key overwrites.
func merge(into, from map[string]any) {
	for name, v := range from {
		bare, add := strings.CutPrefix(name, "+")
		if m, ok := v.(map[string]any); ok && add {
			into[bare] = mergedMap(into[bare], m)
			continue
		}
		into[bare] = v
	}
}

// mergedMap leaves the present map as it is: it may be part of an earlier result, which
// the log keeps as it was given.
func mergedMap(present any, m map[string]any) map[string]any {
	old, _ := present.(map[string]any)
	out := map[string]any{}
	maps.Copy(out, old)
	merge(out, m)
	return out
}

// fitting makes a value of JSON one that the column of a field holds, or answers false: an
// agent or a handler from outside that sends something else must not spoil the process.
func fitting(f *schema.Field, v any) (any, bool) {
	if v == nil {
		return nil, !f.NotNull
	}
	switch {
	case f.Type == "boolean":
		b, ok := v.(bool)
		return b, ok
	case f.Type == "int" || f.Type == "date" || f.RefType() != "":
		return number(f, v)
	}
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, false
		}
		text = string(b)
	}
	if f.MaxLength != nil && utf8.RuneCountInString(text) > *f.MaxLength {
		text = string([]rune(text)[:*f.MaxLength])
	}
	return strings.ReplaceAll(text, "\x00", ""), true
}

// number reads a whole number; a reference may be written as the API shows it.
func number(f *schema.Field, v any) (any, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case int:
		return int64(x), true
	case float64:
		return int64(x), true
	case json.Number:
		n, err := x.Int64()
		return n, err == nil
	case string:
		if f.RefType() != "" {
			if stored, ok := schema.ParseID(x); ok {
				x = stored
			}
		}
		n, err := strconv.ParseInt(x, 10, 64)
		return n, err == nil
	}
	return nil, false
}
