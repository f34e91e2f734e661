package engine

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

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
		row.Set(name, plain(v))
	case field.Place == schema.InData:
		if m, ok := v.(map[string]any); ok && add {
			old, _ := row.Field(name).(map[string]any)
			if old == nil {
				old = map[string]any{}
			}
			merge(old, m)
			v = old
		}
		row.SetField(name, v)
	}
}

// merge puts from into the map: +key goes deeper, any other key overwrites.
func merge(into, from map[string]any) {
	for name, v := range from {
		bare, add := strings.CutPrefix(name, "+")
		if m, ok := v.(map[string]any); ok && add {
			old, _ := into[bare].(map[string]any)
			if old == nil {
				old = map[string]any{}
			}
			merge(old, m)
			into[bare] = old
			continue
		}
		into[bare] = v
	}
}

// plain makes a value of JSON one that a column holds.
func plain(v any) any {
	switch x := v.(type) {
	case float64:
		return int64(x)
	case json.Number:
		n, _ := x.Int64()
		return n
	case map[string]any, []any:
		b, _ := json.Marshal(x)
		return string(b)
	}
	return v
}
