// Package handler holds the logic of the processes, one file a type. The engine
// may run any of it again at any time, from the top: everything looks before it
// acts, finds or makes the rows it needs, and ends in nested processes that answer
// at once when they are done already.
package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// All lists the logic of every process.
func All() []process.Handler {
	return slices.Concat(
		common(),
		accountHandlers(),
		agentHandlers(),
		agentInstanceHandlers(),
		credentialHandlers(),
		externalHandlerHandlers(),
		genericObjectHandlers(),
		imageHandlers(),
		instanceHandlers(),
		ipAddressHandlers(),
		leaveHandlers(),
		linkHandlers(),
		networkHandlers(),
		networkServiceHandlers(),
		nicHandlers(),
		portHandlers(),
		serviceItemHandlers(),
		storagePoolHandlers(),
		subnetHandlers(),
		vnetHandlers(),
		volumeHandlers(),
	)
}

// logic is the body of a handler.
type logic = func(ctx context.Context, run process.Run) (*process.Answer, error)

func on(name string, run logic, processes ...string) process.Handler {
	return process.Handler{Name: name, Stage: process.Main, Priority: process.Default, Processes: processes, Run: run}
}

func before(name string, priority int, run logic, processes ...string) process.Handler {
	return process.Handler{Name: name, Stage: process.Pre, Priority: priority, Processes: processes, Run: run}
}

func after(name string, priority int, run logic, processes ...string) process.Handler {
	return process.Handler{Name: name, Stage: process.Post, Priority: priority, Processes: processes, Run: run}
}

// done ends a list with nothing to merge.
func done() (*process.Answer, error) { return &process.Answer{}, nil }

// with ends a list and merges data into the resource.
func with(data map[string]any) (*process.Answer, error) { return &process.Answer{Data: data}, nil }

// common is the logic that every type has.
func common() []process.Handler {
	return []process.Handler{
		after("ActivateByDefault", process.Default, activateByDefault, "*.create"),
		after("SetRemovedFields", process.Default, setRemoved, "*.remove"),
		after("ClearRemovedFields", process.Default, clearRemoved, "*.restore"),
	}
}

func activateByDefault(_ context.Context, run process.Run) (*process.Answer, error) {
	if run.Setting("activate.by.default."+run.Process().Type) != "true" {
		return nil, nil
	}
	return &process.Answer{Delegate: true}, nil
}

func setRemoved(ctx context.Context, run process.Run) (*process.Answer, error) {
	row := run.Resource()
	if row.Get("removed") != nil && row.Get("removeTime") != nil || !row.Type().HasColumn("removed") {
		return nil, nil
	}
	now := run.Now()
	if row.Get("removed") == nil {
		row.Set("removed", now)
	}
	if row.Get("removeTime") == nil {
		row.Set("removeTime", now+1000*seconds(run, "object."+row.Type().Name+".remove.time.delay.seconds", "object.remove.time.delay.seconds"))
	}
	return nil, run.Save(ctx, row)
}

func clearRemoved(ctx context.Context, run process.Run) (*process.Answer, error) {
	row := run.Resource()
	row.Set("removed", nil)
	row.Set("removeTime", nil)
	return nil, run.Save(ctx, row)
}

// seconds reads the first of the settings that is set.
func seconds(run process.Run, names ...string) int64 {
	for _, name := range names {
		var n int64
		if _, err := fmt.Sscan(run.Setting(name), &n); err == nil {
			return n
		}
	}
	return 0
}

// number reads a setting that is a whole number.
func number(run process.Run, name string) int64 { return seconds(run, name) }

// each runs a process on rows, one after the other.
func each(ctx context.Context, run process.Run, name string, rows []*schema.Row, data map[string]any) error {
	for _, row := range rows {
		if err := run.Execute(ctx, name, row, data); err != nil {
			return err
		}
	}
	return nil
}

// createThenActivate brings a row to active wherever it stands.
func createThenActivate(ctx context.Context, run process.Run, row *schema.Row, data map[string]any) error {
	typ := lower(row)
	if err := run.Execute(ctx, typ+".create", row, data); err != nil && !process.IsCanceled(err) {
		return err
	}
	return run.Execute(ctx, typ+".activate", row, data)
}

// deactivateThenRemove brings a row to removed wherever it stands.
func deactivateThenRemove(ctx context.Context, run process.Run, row *schema.Row, data map[string]any) error {
	typ := lower(row)
	if row.State() == "purged" {
		return nil
	}
	if row.State() == "active" {
		if err := run.Execute(ctx, typ+".deactivate", row, data); err != nil {
			return err
		}
	}
	return run.Execute(ctx, typ+".remove", row, data)
}

// lower is the name of a row's type as processes spell it.
func lower(row *schema.Row) string {
	name := resource.All.Processes(row.Type())[0].Name
	return name[:len(name)-len(".create")]
}

// find returns the rows with the given values that are not removed.
func find(ctx context.Context, run process.Run, typ string, match process.Match) ([]*schema.Row, error) {
	rows, err := run.Find(ctx, typ, match)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(rows), gone), nil
}

// gone tells whether a row is removed. One that is still being removed is not, although
// the moment is noted already: who began that has to end it, unless it was left behind.
func gone(r *schema.Row) bool {
	if r.State() == "removing" {
		_, behind := left(r)
		return behind
	}
	return r.Removed() || r.State() == "removed" || r.State() == "purged"
}

// unfinished tells whether a row is on its way to active: an attempt that made it may
// have ended anywhere before that.
func unfinished(r *schema.Row) bool {
	return r.State() == "requested" || r.State() == "registering" || r.State() == "activating"
}

// one returns the row with the given values, making it if there is none.
func one(ctx context.Context, run process.Run, typ string, match process.Match, more map[string]any) (*schema.Row, error) {
	rows, err := find(ctx, run, typ, match)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		return rows[0], nil
	}
	values := map[string]any{}
	for k, v := range more {
		values[k] = v
	}
	for k, v := range match {
		values[k] = v
	}
	return run.Create(ctx, typ, values)
}

// command sends a command about the process's own resource to an agent, with all
// that the agent needs to know, and merges the reply into the resource. Without an
// agent there is nothing to do.
func command(ctx context.Context, run process.Run, name string, agent int64, fence *schema.Row, patient bool) (*process.Answer, error) {
	if agent == 0 {
		return with(map[string]any{"_noAgent": true})
	}
	row := run.Resource()
	data, err := run.Graph(ctx, row)
	if err != nil {
		return nil, err
	}
	raw, err := run.Call(ctx, process.Call{AgentID: agent, Name: name, Resource: row, Fence: fence, Data: data, Patient: patient})
	if err != nil {
		return nil, err
	}
	result := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &result); err != nil || result == nil {
			result = map[string]any{}
		}
	}
	return with(allowed(name, result))
}

// private reads what a handler keeps in the process data under its own name.
func private(data map[string]any, scope string) map[string]any {
	m, _ := data[scope].(map[string]any)
	if m == nil {
		m = map[string]any{}
		data[scope] = m
	}
	return m
}

// waitScope is where the data of a process says since when it waits for what.
const waitScope = "io.cattle.platform.object.monitor.wait"

// awaiting waits for what another process brings about: it is looked for again shortly, but
// for no longer than resource.monitor.default.wait.millis at a time.
func awaiting(run process.Run, what string) error {
	waits := private(run.Data(), waitScope)
	if waits[what] == nil {
		waits[what] = float64(run.Now())
	}
	if run.Now()-integer(waits[what]) > number(run, "resource.monitor.default.wait.millis") {
		delete(waits, what)
		return &process.TimeoutError{Waited: what}
	}
	return &process.WaitingError{For: what, After: 200 * time.Millisecond}
}

// integer reads a whole number out of JSON.
func integer(v any) int64 {
	switch n := v.(type) {
	case float64:
		return int64(n)
	case int64:
		return n
	case int:
		return int64(n)
	case string:
		var i int64
		if _, err := fmt.Sscan(n, &i); err == nil {
			return i
		}
	}
	return 0
}

// integers reads a list of ids out of JSON.
func integers(v any) []int64 {
	list, _ := v.([]any)
	out := make([]int64, 0, len(list))
	for _, x := range list {
		if n := integer(x); n != 0 {
			out = append(out, n)
		}
	}
	return out
}
