package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// Two checks for those who write handlers, off unless a setting turns them on. Logic
// may be cut anywhere and run any number of times; with them it is.
//
//	idempotent.abort.on.change  each change that logic makes ends its attempt the first
//	                            time it is made, with what has been written so far
//	idempotent.reexecute        each handler runs three times, and has to come to the
//	                            same: no new row, no other value, no other answer
//
// idempotent.checks turns on both.

// checks is what a run is held to; nil where nothing is checked.
type checks struct {
	cut, again bool
	made       int            // rows and processes that the logic of the attempt has made
	sites      map[string]int // how often it has come to each kind of change
}

func (e *Engine) checks() *checks {
	c := &checks{cut: e.Settings.Bool("idempotent.abort.on.change"), again: e.Settings.Bool("idempotent.reexecute")}
	if !c.cut && !c.again {
		return nil
	}
	c.sites = map[string]int{}
	return c
}

// cuts remembers at which changes attempts at a process have been cut, until it ends.
type cuts struct {
	mu   sync.Mutex
	seen map[int64]map[string]bool // by process
}

// mostCuts bounds them for logic that makes a different change each time.
const mostCuts = 500

// first tells whether a process comes to a change for the first time, and remembers it.
func (c *cuts) first(id int64, site string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[int64]map[string]bool{}
	}
	if c.seen[id] == nil {
		c.seen[id] = map[string]bool{}
	}
	if c.seen[id][site] || len(c.seen[id]) >= mostCuts {
		return false
	}
	c.seen[id][site] = true
	return true
}

func (c *cuts) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, id)
}

// cutError ends an attempt at a change. The next one begins at once.
type cutError struct{ site string }

func (e *cutError) Error() string { return "cut at " + e.site }

// cut ends the attempt if its process comes to a change for the first time.
func (f *frame) cut(what ...string) error {
	c := f.r.checks
	if !c.cut {
		return nil
	}
	site := f.path + "->(" + f.handler.Name + ")->" + strings.Join(what, " ")
	c.sites[site]++
	site = fmt.Sprint(site, " ", c.sites[site])
	if !f.r.e.cuts.first(f.r.p.ID, site) {
		return nil
	}
	return &cutError{site}
}

// logic runs a handler: once, or under the checks as often as it has to come to the same.
func (f *frame) logic(ctx context.Context, h *process.Handler, stage process.Stage) (*process.Answer, error) {
	c := f.r.checks
	if c == nil {
		return h.Run(ctx, f)
	}
	answer, err := h.Run(ctx, checked{f})
	for try := 0; err == nil && c.again && try < 2; try++ {
		err = f.repeat(ctx, h, stage, answer)
	}
	if err == nil && answer != nil && len(answer.Data) > 0 {
		err = f.cut("answer")
	}
	return answer, err
}

// checked is the run as logic sees it under the checks: each change is a place to be
// cut at, where the database has what came before.
type checked struct{ *frame }

func (c checked) Create(ctx context.Context, typ string, values map[string]any) (*schema.Row, error) {
	row, err := c.frame.Create(ctx, typ, values)
	if err != nil {
		return nil, err
	}
	c.r.checks.made++
	return row, c.cut("create", typ)
}

func (c checked) Save(ctx context.Context, row *schema.Row) error {
	names := row.Changed()
	if err := c.frame.Save(ctx, row); err != nil || len(names) == 0 {
		return err
	}
	return c.cut("save", row.Type().Name, row.Key(), strings.Join(names, ","))
}

func (c checked) Merge(ctx context.Context, row *schema.Row, result map[string]any) error {
	if err := c.frame.Merge(ctx, row, result); err != nil {
		return err
	}
	return c.cut("merge", row.Type().Name, row.Key())
}

func (c checked) Execute(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	if err := c.frame.Execute(ctx, name, row, data); err != nil {
		return err
	}
	return c.cut("execute", name, row.Key())
}

// Schedule is cut before: what is scheduled and what the logic says of it then, such
// as why a start is given up, are written together.
func (c checked) Schedule(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	if err := c.cut("schedule", name, row.Key()); err != nil {
		return err
	}
	c.r.checks.made++
	return c.frame.Schedule(ctx, name, row, data)
}

// Call is cut between the effect and what the logic makes of the reply.
func (c checked) Call(ctx context.Context, call process.Call) (json.RawMessage, error) {
	raw, err := c.frame.Call(ctx, call)
	if err != nil {
		return nil, err
	}
	return raw, c.cut("call", call.Name, call.Resource.Key())
}

// repeat runs a handler once more on what it has written, and compares.
func (f *frame) repeat(ctx context.Context, h *process.Handler, stage process.Stage, answer *process.Answer) error {
	r := f.r
	if err := r.flush(ctx); err != nil {
		return err
	}
	clear(r.found) // what was found has to be found anew
	before, made := f.picture(), r.checks.made
	other, err := h.Run(ctx, checked{f})
	if err != nil {
		return err
	}
	what := ""
	switch a, b := result(stage, answer), result(stage, other); {
	case r.checks.made != made:
		what = "made a row or scheduled a process once more"
	case !reflect.DeepEqual(a, b):
		what = "answered otherwise: " + differing("answer", a, b)
	default:
		what = f.changedSince(before)
	}
	if what == "" {
		return nil
	}
	err = fmt.Errorf("handler %s of %s is not idempotent: run again it %s", h.Name, f.def.Name, what)
	r.e.Log.ErrorContext(ctx, "handler is not idempotent", "process", f.def.Name, "id", r.p.ID, "handler", h.Name, "err", err)
	return err
}

// bookkeeping are the columns that claims and writes change by themselves.
var bookkeeping = []string{"revision", "claimEpoch", "claimProcessId", "stateSince"}

// picture holds by name the values of the rows that the run knows and of the process
// data, as JSON would hold them.
func (f *frame) picture() map[string]any {
	out := map[string]any{"process data": plainly(f.data)}
	for k, row := range f.r.rows {
		values := map[string]any{}
		for i, col := range row.Type().Columns() {
			switch {
			case slices.Contains(bookkeeping, col.Name):
			case col.Name == "data":
				values["data"] = plainly(row.Data())
			default:
				values[col.Name] = row.At(i)
			}
		}
		out[fmt.Sprint(k.typ, " ", k.id)] = values
	}
	return out
}

// changedSince names a value that is not as it was, "" for none. A row that nobody
// knew then was read since, and must not be changed.
func (f *frame) changedSince(before map[string]any) string {
	now := f.picture()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if where := differing(name, before[name], now[name]); where != "" {
			return "changed " + where
		}
	}
	for _, row := range f.r.dirty {
		name := row.Type().Name + " " + row.Key()
		changed := slices.DeleteFunc(row.Changed(), func(c string) bool { return slices.Contains(bookkeeping, c) })
		if _, known := before[name]; !known && len(changed) > 0 {
			return "changed " + name + " " + changed[0]
		}
	}
	return ""
}

// differing names the innermost place where two values of JSON differ. It says
// nothing of the values: they may be secret.
func differing(name string, a, b any) string {
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	if !isMap || !both {
		if reflect.DeepEqual(a, b) {
			return ""
		}
		return name
	}
	all := maps.Clone(x)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, y)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if where := differing(name+" "+k, x[k], y[k]); where != "" {
			return where
		}
	}
	return ""
}

// result is what an answer comes to in a list.
func result(stage process.Stage, a *process.Answer) map[string]any {
	if a == nil {
		a = &process.Answer{Continue: &yes}
	}
	goOn := a.Continue == nil && stage != process.Main || a.Continue != nil && *a.Continue
	return map[string]any{"data": plainly(a.Data), "goes on": goOn, "delegate": a.Delegate, "chain": a.Chain}
}

var yes = true

// plainly returns a map as JSON holds it, sharing nothing with it.
func plainly(m map[string]any) any {
	var out map[string]any
	b, err := json.Marshal(m)
	if err != nil || json.Unmarshal(b, &out) != nil || len(out) == 0 {
		return map[string]any{}
	}
	return out
}
