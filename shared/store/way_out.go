package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Renew is Fence for a run that only says that it is alive, and where.
func (t *Tx) Renew(ctx context.Context, p *Process, leaseMillis int64, step string) error {
	n, err := t.exec(ctx, `update process_instance set lease_until = `+t.s.now()+` + ?, step = ?
		where id = ? and run_epoch = ? and `+pending, leaseMillis, nullText(clip(step, 1024)), p.ID, p.RunEpoch)
	if err == nil && n == 0 {
		err = ErrFenced
	}
	return err
}

// Order is what an administrator decided about a process.
type Order struct {
	Process int64
	Epoch   int64 // of the process when it was looked at
	Reason  string
	Outcome string // of Force
	Account int64  // who decided
	Server  string // that took the order
}

// Hasten makes a process due now unless an attempt runs; what it has asked is asked
// again without counting. ErrConflict says that there is nothing to hasten.
func (t *Tx) Hasten(ctx context.Context, id int64) ([]Bell, error) {
	bells, err := t.bells(ctx, `update process_instance set due_at = `+t.s.now()+`, wake_seq = wake_seq + 1
		where id = ? and `+pending+` and (lease_until is null or lease_until < `+t.s.now()+`)
		returning id, wake_seq, run_epoch, priority`, id)
	if err == nil && len(bells) == 0 {
		err = fmt.Errorf("the process runs or has ended: %w", ErrConflict)
	}
	if err != nil {
		return nil, err
	}
	_, err = t.exec(ctx, `update agent_request set sends = sends - 1 where process_id = ? and status = 'pending' and sends > 0`, id)
	return bells, err
}

// Cancel launches the process that leads back from the present state of the resource
// and keeps the reason with both. The process itself notices and ends CANCELED.
func (t *Tx) Cancel(ctx context.Context, o Order, priority func(*process.Definition) int64) (*Launched, error) {
	p, row, err := t.pending(ctx, o.Process)
	if err != nil {
		return nil, err
	}
	var back *process.Definition
	state := ""
	if def := resource.All.Process(p.Str("processName")); def != nil && row != nil {
		state = row.Str(def.StateField())
		back = resource.All.WayBack(def, state)
	}
	if back == nil {
		return nil, fmt.Errorf("there is no way back from where %s is now: %w", p.Str("processName"), ErrConflict)
	}
	now, err := t.Now(ctx)
	if err != nil {
		return nil, err
	}
	launched, err := t.Launch(ctx, Launch{Process: back, Row: row, Priority: int(priority(back)), Server: o.Server, Data: map[string]any{
		"canceled": map[string]any{"processId": p.ID(), "process": p.Str("processName"), "reason": o.Reason, "accountId": o.Account, "time": now},
	}})
	if err != nil {
		return nil, err
	}
	return launched, t.logOrder(ctx, o, p, note{Name: "cancel", Process: back.Name, Reason: process.Canceled, Now: now,
		Text: orders("canceled", o), From: state, To: row.Str(back.StateField()), Kind: "transitioning"})
}

// Forced is what came of a Force.
type Forced struct {
	Row      *schema.Row // the resource, nil if there is none any more
	Previous string      // the state it was in
	Bells    []Bell
}

// ErrNotForceable says that a process still makes its way by itself.
var ErrNotForceable = errors.New("it neither keeps failing nor takes too long")

// Force ends a process without its logic: the resource goes to the state that the
// outcome names, a run that is still alive loses its right to write, and what the
// process held and asked is let go. ErrConflict says that the process is not as it
// was when it was looked at: it ended or a run took it.
func (t *Tx) Force(ctx context.Context, o Order) (*Forced, error) {
	n, err := t.exec(ctx, `update process_instance set run_epoch = run_epoch + 1 where id = ? and `+pending+` and run_epoch = ?`, o.Process, o.Epoch)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("the process has ended or was taken up meanwhile: %w", ErrConflict)
	}
	p, row, err := t.pending(ctx, o.Process)
	if err != nil {
		return nil, err
	}
	now, err := t.Now(ctx)
	if err != nil {
		return nil, err
	}
	w := stand(p, row, now)
	if !w.Forceable() {
		return nil, ErrNotForceable
	}
	to, ok := resource.All.Forced(w.Process, w.State, o.Outcome)
	if !ok {
		return nil, fmt.Errorf("a %s that is %s rested nowhere before: %w", w.Type, w.State, ErrCannotStart)
	}
	if err := t.settle(ctx, o, w, row, to); err != nil {
		return nil, err
	}
	if err := t.bury(ctx, o, p, now); err != nil {
		return nil, err
	}
	if err := t.logOrder(ctx, o, p, note{Name: "force", Process: w.As, Reason: process.Forced, Now: now,
		Text: orders("forced to "+o.Outcome, o), From: w.State, To: to, Kind: "done"}); err != nil {
		return nil, err
	}
	forced := &Forced{Row: row, Previous: w.State}
	if err := t.WakeNext(ctx, w.Type, p.Str("resourceId"), p.ID(), &forced.Bells); err != nil {
		return nil, err
	}
	return forced, t.Settle(ctx)
}

// pending reads a process that has not ended, and its resource.
func (t *Tx) pending(ctx context.Context, id int64) (p, row *schema.Row, err error) {
	if p, err = t.Get(ctx, resource.All.Type("processInstance"), id); err != nil {
		return nil, nil, err
	}
	if p.Get("endTime") != nil {
		return nil, nil, fmt.Errorf("the process has ended: %w", ErrConflict)
	}
	k, rid := subjectID(p)
	if k == nil {
		return p, nil, nil
	}
	row, err = t.Get(ctx, k.Type, rid)
	if errors.Is(err, ErrNotFound) {
		return p, nil, nil
	}
	return p, row, err
}

// settle puts the resource where the outcome says, and shows the reason if that is
// an error. A resource that another process has moved on is left as it is.
func (t *Tx) settle(ctx context.Context, o Order, w *process.Why, row *schema.Row, to string) error {
	if row == nil || process.Fitting(resource.All.Process(w.Process), w.State, resource.All.Process) == nil {
		return nil
	}
	row.Set(w.Field, to)
	if row.Int("claimProcessId") == o.Process {
		row.Set("claimProcessId", nil)
	}
	if w.Field == "state" {
		row.ClearField("transitioningProgress")
		row.ClearField("transitioning")
		row.ClearField("transitioningMessage")
		if o.Outcome == process.OutcomeError {
			row.SetField("transitioning", "error")
			row.SetField("transitioningMessage", o.Reason)
		}
	}
	return t.Update(ctx, row)
}

// bury ends the row of a process that was forced, and forgets what it asked.
func (t *Tx) bury(ctx context.Context, o Order, p *schema.Row, now int64) error {
	data := p.Data()
	data["forced"] = map[string]any{"outcome": o.Outcome, "reason": o.Reason, "accountId": o.Account, "time": now}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	result := "SUCCESS"
	if o.Outcome == process.OutcomeError {
		result = "FAILURE"
	}
	_, err = t.exec(ctx, `update process_instance set end_time = ?, lease_until = null, holding = false, running_process_server_id = null,
		wait_agent_id = null, exit_reason = ?, result = ?, phase = 'DONE', data = ?, last_error = ? where id = ?`,
		now, string(process.Forced), result, t.s.sealDocument(string(text)), clip(orders("forced to "+o.Outcome, o), 1024), p.ID())
	if err != nil {
		return err
	}
	return t.DropRequests(ctx, p.ID())
}

// note is an entry about an order in the log of a process.
type note struct {
	Name, Process, Text string
	Reason              process.Reason
	Now                 int64
	From, To, Kind      string
}

// orders says in words who decided what and why.
func orders(what string, o Order) string {
	text := fmt.Sprintf("%s by account %d", what, o.Account)
	if o.Reason != "" {
		return text + ": " + o.Reason
	}
	return text
}

// logOrder keeps an order beside the logs of the attempts, in their form.
func (t *Tx) logOrder(ctx context.Context, o Order, p *schema.Row, n note) error {
	transitions := []any{}
	if n.From != n.To {
		transitions = append(transitions, map[string]any{"oldState": n.From, "newState": n.To, "newProcessState": n.Kind, "time": n.Now})
	}
	id := uuid.NewString()
	text, err := json.Marshal(map[string]any{"uuid": id, "executions": []any{map[string]any{
		"id": uuid.NewString(), "name": n.Name, "processName": n.Process, "processId": p.ID(), "resourceType": p.Str("resourceType"),
		"resourceId": p.Str("resourceId"), "processingServerId": o.Server, "startTime": n.Now, "stopTime": n.Now,
		"exitReason": string(n.Reason), "transitions": transitions, "processHandlerExecutions": []any{}, "children": []any{},
		"exception": map[string]any{"message": n.Text, "clz": n.Name, "cause": nil, "stackTrace": nil},
	}}})
	if err != nil {
		return err
	}
	return t.Log(ctx, &Process{ID: p.ID()}, Attempt{UUID: id, Text: string(text)})
}
