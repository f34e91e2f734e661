package rest

import (
	"errors"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// remove answers DELETE /v1/TYPE/ID: it launches the remove process, or erases the
// row of a type that has none. A running instance is stopped first, and told to go
// on to its removal.
func (r *request) remove(t *auth.Type, id int64) error {
	row, err := r.launchOn(t, id, func(row *schema.Row) (string, map[string]any) {
		if row.Type().Name == "instance" && row.State() == "running" {
			return "stop", map[string]any{"remove": true}
		}
		return "remove", map[string]any{}
	})
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), "", 200)
	return r.sendRow(200, row)
}

// launchOn launches a process on a row, chosen by its present state. What somebody
// else changed meanwhile is read again.
func (r *request) launchOn(t *auth.Type, id int64, choose func(*schema.Row) (string, map[string]any)) (*schema.Row, error) {
	for try := 0; ; try++ {
		row, err := r.writable(t, id)
		if err != nil {
			return nil, err
		}
		verb, data := choose(row)
		if verb == "remove" && row.State() == "removed" {
			return row, nil
		}
		err = r.write(verb, func(w *write) error {
			if resource.All.Verb(row.Type(), verb) == nil && verb == "remove" {
				return w.Delete(r.ctx, row.Type(), row.ID())
			}
			return w.launch(row, verb, data)
		})
		if err == nil || !errors.Is(err, store.ErrConflict) || try == attempts {
			return row, err
		}
	}
}
