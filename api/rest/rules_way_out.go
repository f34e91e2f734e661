package rest

import (
	"errors"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// The ways out of a process that does not end. They are the administrators': a user
// asks for another process on the resource instead, which cancels the first where
// that can be. Each is done in one transaction that looks again, so that of an order
// and a run that ends at the same moment exactly one counts; the other is told 409.

// retryProcess lets the next attempt begin now.
func retryProcess(r *request, _ *auth.Type, row *schema.Row) error {
	return r.order(row, "retry", func(w *write) error {
		bells, err := w.Hasten(r.ctx, row.ID())
		w.bells = append(w.bells, bells...)
		return err
	})
}

// cancelProcess launches the process that leads back.
func cancelProcess(r *request, _ *auth.Type, row *schema.Row) error {
	in, err := r.orderInput(orderReason)
	if err != nil {
		return err
	}
	return r.order(row, "cancel", func(w *write) error {
		launched, err := w.Cancel(r.ctx, store.Order{Process: row.ID(), Reason: in["reason"], Account: r.caller.AccountID, Server: r.api.ServerID},
			func(d *process.Definition) int64 { return int64(r.api.priority(d)) })
		if err == nil {
			w.bells = append(w.bells, launched.Bells...)
		}
		return err
	})
}

// forceProcess ends a process without its logic.
func forceProcess(r *request, _ *auth.Type, row *schema.Row) error {
	in, err := r.orderInput(orderReason, orderOutcome)
	for _, name := range []string{"reason", "outcome"} {
		if err == nil && in[name] == "" {
			err = fault.Invalid("MissingRequired", name, "%s is required", name)
		}
	}
	if err != nil {
		return err
	}
	w := r.why(row)
	if w == nil {
		return fault.Conflict("the process has ended")
	}
	if _, ok := resource.All.Forced(w.Process, w.State, in["outcome"]); !ok {
		return fault.Invalid("InvalidOption", "outcome", "a %s that is %s rested nowhere before", w.Type, w.State)
	}
	return r.order(row, "force", func(tx *write) error {
		forced, err := tx.Force(r.ctx, store.Order{Process: row.ID(), Epoch: w.Epoch, Reason: in["reason"], Outcome: in["outcome"],
			Account: r.caller.AccountID, Server: r.api.ServerID})
		if err == nil {
			tx.bells = append(tx.bells, forced.Bells...)
		}
		return err
	})
}

// What an order may say. It has no type of its own: the published types are those
// that clients know.
var (
	orderReason  = schema.String("reason", 1024).NeverNull()
	orderOutcome = schema.Enum("outcome", process.OutcomeDone, process.OutcomeError).NeverNull()
)

// orderInput reads what an order says; what was not said is "".
func (r *request) orderInput(fields ...*schema.Field) (map[string]string, error) {
	in, err := r.readInput()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range fields {
		sent, ok := in.values[f.Name]
		if !ok {
			continue
		}
		v, err := r.convert(f.Name, f.Type, sent)
		if err != nil {
			return nil, err
		}
		text, _ := v.(string)
		if text = strings.TrimSpace(text); v != nil && text == "" {
			continue
		}
		if err := r.check(nil, &auth.Field{Field: f}, v, 0); err != nil {
			return nil, err
		}
		out[f.Name] = text
	}
	return out, nil
}

// order carries out what was decided about a process, tells of it, and answers with
// the process as it is then.
func (r *request) order(row *schema.Row, name string, f func(*write) error) error {
	err := r.write(name, f)
	for try := 0; errors.Is(err, store.ErrConflict) && try < 2; try++ { // the resource was written at the same moment
		err = r.write(name, f)
	}
	if errors.Is(err, store.ErrNotForceable) {
		return fault.Conflict("%v", err)
	}
	if err != nil {
		return err
	}
	r.api.Log.InfoContext(r.ctx, "process got an order", "process", row.Str("processName"), "id", row.ID(), "type", row.Str("resourceType"),
		"resource", row.Str("resourceId"), "order", name, "account", r.caller.AccountID)
	if t := r.view.Type(row.Str("resourceType")); t != nil && name != "retry" {
		r.changed(t, row.Str("resourceId"), name, 200)
	}
	fresh, err := r.api.Store.Get(r.ctx, row.Type(), row.ID())
	if err != nil {
		return err
	}
	delete(r.whys, row.ID())
	return r.sendRow(200, fresh)
}
