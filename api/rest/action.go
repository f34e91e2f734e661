package rest

import (
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// act answers POST /v1/TYPE/ID?action=NAME.
func (r *request) act(t *auth.Type, id int64, name string) error {
	s := r.api.shapes[t]
	if strings.EqualFold(name, whyAction) && s.explains {
		return r.explain(t, id)
	}
	if strings.EqualFold(name, auditAction) && t.Name == "host" && r.operates() {
		return r.audit(t, id)
	}
	if what := accessTo(s, name); what != "" {
		return r.giveAccess(t, id, what)
	}
	i := slices.IndexFunc(s.actions, func(a actionSlot) bool { return a.name == name || a.lower == name })
	if i < 0 {
		return fault.Invalid("InvalidAction", "action", "%s has no action %s", t.Name, name)
	}
	slot := &s.actions[i]
	row, err := r.writable(t, id)
	if err != nil {
		return err
	}
	if err := offers(slot, s, row); err != nil {
		return err
	}
	if extra := looks(s.typ.Name); extra.offers != nil && !extra.offers(r, row, slot.name) {
		return fault.Invalid("ActionNotAvailable", "action", "%s is not possible: %s", slot.name, extra.whyNot(r, row, slot.name))
	}
	action, _ := resource.All.Action(t.Type, slot.name)
	data, err := r.actionInput(action)
	if err != nil {
		return err
	}
	if f := performs(t.Base().Name + "." + slot.name); f != nil {
		err := f(r, t, row)
		if err == nil {
			r.changed(t, row.Key(), slot.name, 200)
		}
		return err
	}
	if resource.All.Verb(t.Type, slot.name) == nil {
		return fault.NotFound()
	}
	row, err = r.launchOn(t, id, func(*schema.Row) (string, map[string]any) { return slot.name, data })
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), slot.name, 202)
	return r.sendRow(202, row)
}

func offers(a *actionSlot, s *shape, row *schema.Row) error {
	text, state := "", ""
	if s.data >= 0 {
		text, _ = row.At(s.data).(string)
	}
	if s.state >= 0 {
		state = row.State()
	}
	if a.offered(state, s.cut(text, new([]string))[storedCapabilities]) {
		return nil
	}
	return fault.Invalid("ActionNotAvailable", "action", "%s is not possible while the state is %s", a.name, state)
}

// actionInput reads what an action is given: checked if its input has a type, as
// it is otherwise.
func (r *request) actionInput(a resource.Action) (map[string]any, error) {
	if a.Input != "" {
		if t := r.view.Type(a.Input); t != nil {
			return r.values(t, 0, nil)
		}
		return map[string]any{}, nil
	}
	in, err := r.readInput()
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, name := range in.names {
		out[name] = native(in.values[name])
	}
	return out, nil
}
