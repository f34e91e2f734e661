package rest

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// creation is a row about to be made. The rules of its type may change Values and
// add writes to its transaction.
type creation struct {
	Type   *auth.Type
	Values map[string]any
	Before []func(*write) error // in the transaction, before the row is inserted
}

// write is one transaction of the API: rows, their processes, and the bells to
// ring for them once it is durable.
type write struct {
	*store.Tx
	ctx   context.Context
	api   *API
	now   int64
	bells []store.Bell

	launched []*store.Launched // their bells are known once it is durable
	place    func(*store.Born) // a worker that waits for what is born, nil if none does
	born     *store.Launched   // for that one
	durable  bool
}

// lease is how long a claim of this server counts without a sign of life, and 0 if no
// worker waits for it.
func (w *write) lease() int64 {
	if w.place == nil && w.api.Place != nil && w.born == nil {
		w.place = w.api.Place()
	}
	if w.place == nil || w.born != nil {
		return 0
	}
	return w.api.Settings.Int("process.lease.seconds") * 1000
}

// hand gives what was born to its worker once it is durable.
func (w *write) hand() {
	switch {
	case w.place == nil:
	case w.durable && w.born != nil:
		w.place(w.born.Born)
	default:
		w.place(nil)
	}
}

// errTaken says that somebody else has made a row that this request would have
// made on the way; looking again finds it.
var errTaken = errors.New("somebody else made it")

// write runs f in a transaction and rings what it launched.
func (r *request) write(label string, f func(*write) error) error {
	w := &write{ctx: r.ctx, api: r.api}
	defer w.hand()
	now, err := r.api.Store.Clock(r.ctx)
	if err != nil {
		return err
	}
	err = r.api.Store.Write(r.ctx, label, func(t *store.Tx) error {
		w.Tx, w.now, w.bells, w.launched, w.born = t, now, nil, nil, nil
		return f(w)
	})
	w.durable = err == nil
	for _, l := range w.launched {
		w.bells = append(w.bells, l.Bells...)
	}
	if err == nil && len(w.bells) > 0 && r.api.Ring != nil {
		r.api.Ring(w.bells)
	}
	return err
}

// launch starts a process on a row in this transaction. A new row of a type without
// that process is only inserted.
func (w *write) launch(row *schema.Row, verb string, data map[string]any) error {
	d := resource.All.Verb(row.Type(), verb)
	if d == nil {
		if row.ID() == 0 {
			return w.Insert(w.ctx, row)
		}
		return w.Update(w.ctx, row)
	}
	wanted := store.Launch{Process: d, Row: row, Data: data, Priority: w.api.priority(d), Server: w.api.ServerID}
	if row.ID() == 0 {
		wanted.Lease = w.lease()
	}
	l, err := w.Launch(w.ctx, wanted)
	if err != nil {
		return err
	}
	if l.Born != nil {
		w.born = l
	}
	w.launched = append(w.launched, l)
	return nil
}

func (a *API) priority(d *process.Definition) int {
	return int(a.Settings.Int("process." + d.Name + ".priority"))
}

// create answers a POST to a collection. preset are values that the path gives.
func (r *request) create(t *auth.Type, preset map[string]any) error {
	if t.Table == "" || engines(t.Name) {
		return fault.NotAllowed() // published, as it always was, but nothing to make
	}
	key := r.repeatKey(t)
	if done, err := r.repeat(t, key); done || err != nil {
		return err
	}
	values, err := r.values(t, 0, preset)
	if err != nil {
		return err
	}
	if key == "" {
		key = r.ownKey(t, values)
		if r.again {
			if done, err := r.repeat(t, key); done || err != nil {
				return err
			}
		}
	}
	if key != "" {
		values["uuid"] = key
	}
	r.own(t, values)
	var row *schema.Row
	for try := 0; ; try++ {
		row, err = r.insert(&creation{Type: t, Values: maps.Clone(values)})
		if errors.Is(err, store.ErrUnsure) && key != "" && try < 10 {
			r.again = true
			if done, err := r.repeat(t, key); done || err != nil {
				return err
			}
			continue
		}
		if try >= 3 || !errors.Is(err, errTaken) && !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if errors.Is(err, store.ErrNotUnique) {
		if done, err := r.repeat(t, key); done || err != nil {
			return err
		}
		if err := r.taken(t, values, 0); err != nil {
			return err
		}
		return fault.Conflict("a %s with that uuid, or another value that only one may have, exists", t.Name)
	}
	if err != nil {
		return err
	}
	r.changed(t, row.Key(), "", 201)
	return r.sendRow(201, r.once(row))
}

// own fills in the account a new row belongs to. A sent one counts only for callers
// who see all accounts.
func (r *request) own(t *auth.Type, values map[string]any) {
	f := t.Type.Field("accountId")
	if f == nil {
		return
	}
	sent, ok := values["accountId"]
	switch {
	case ok && r.caller.AllAccounts && sent != nil:
	case f.StoreNull:
		delete(values, "accountId")
	default:
		values["accountId"] = r.caller.AccountID
	}
}

// insert writes a new row and launches its create process in one transaction.
func (r *request) insert(c *creation) (*schema.Row, error) {
	if f := completes(c.Type.Base().Name); f != nil {
		if err := f(r, c); err != nil {
			return nil, err
		}
	}
	var row *schema.Row
	err := r.write("create", func(w *write) error {
		for _, f := range c.Before {
			if err := f(w); err != nil {
				return err
			}
		}
		row = newRow(c.Type.Type, w.now, maps.Clone(c.Values))
		for name, v := range c.Values { // an explicit null is kept
			if f := c.Type.Type.Field(name); v == nil && f != nil && f.Place == schema.InData {
				row.SetField(name, nil)
			}
		}
		return w.launch(row, "create", c.Values)
	})
	return row, err
}

// newRow makes a row whose columns that are never null have what the database
// would put there, so that the answer shows it.
func newRow(t *schema.Type, now int64, values map[string]any) *schema.Row {
	row := store.NewRow(t, now, values)
	for _, f := range row.Type().Columns() {
		if f.NotNull && f.Name != "id" && row.Get(f.Name) == nil {
			row.Set(f.Name, emptyOf(f))
		}
	}
	return row
}

// changed announces a write and forgets what it makes out of date.
func (r *request) changed(t *auth.Type, id, action string, code int) {
	switch t.Base().Name {
	case "account", "credential", "setting", "activeSetting":
		r.api.Auth.Forget()
	}
	if r.api.Changed != nil && !slices.Contains(r.api.list("api.event.change.exclude.types", "publish"), t.Name) {
		r.api.Changed(Change{Type: t.Name, ID: id, Method: r.method, Action: action, Code: code, AccountID: r.caller.AccountID})
	}
}
