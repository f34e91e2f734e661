package store

import (
	"context"
	"encoding/json"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
)

// bear inserts a new row and its process, which a run of this server has from the
// beginning: what else would be the claim of that run is part of the same rows. If the
// run never begins, its lease runs out like any other.
func (t *Tx) bear(ctx context.Context, l Launch) (*Launched, error) {
	out := &Launched{Reason: process.Scheduled}
	id, early, err := t.NextID(ctx, l.Row.Type())
	if err == nil && early {
		out.ID, _, err = t.NextID(ctx, resource.All.Type("processInstance").Base())
	}
	if err != nil {
		return nil, err
	}
	l.Row.Set("claimEpoch", int64(1))
	if early {
		l.Row.Set("id", id)
		l.Row.Set("claimProcessId", out.ID)
		err = t.InsertAs(ctx, l.Row)
	} else {
		err = t.Insert(ctx, l.Row)
	}
	if err != nil {
		return nil, err
	}
	if err := t.insertClaimed(ctx, l, out, early); err != nil || early {
		return out, err
	}
	l.Row.Set("claimProcessId", out.ID)
	if err := t.Update(ctx, l.Row); err != nil {
		return nil, err
	}
	out.Born.Row = l.Row.Clone()
	return out, nil
}

// insertClaimed writes the process as Claim would leave it, with the commit if its id
// is known.
func (t *Tx) insertClaimed(ctx context.Context, l Launch, out *Launched, early bool) error {
	data, err := json.Marshal(l.Data)
	if err != nil || l.Data == nil {
		data = []byte("{}")
	}
	p := &Process{Name: l.Process.Name, ResourceType: l.Row.Type().Name, ResourceID: l.Row.ID(), Data: map[string]any{},
		Priority: int64(l.Priority), Attempts: 1, RunEpoch: 1, Parent: l.Parent}
	if json.Unmarshal(data, &p.Data) != nil || p.Data == nil { // as one reads it who claims it
		p.Data = map[string]any{}
	}
	out.Born = &Born{Process: p, Row: l.Row.Clone()}
	id, value := "", ""
	args := []any{l.Lease, l.Server, t.s.sealDocument(string(data)), int64(l.Priority), p.Name, p.ResourceType, l.Row.Key(), l.Server, nullable(l.Parent)}
	if early {
		id, value = ", id", ", ?"
		args = append(args, out.ID)
	}
	now := t.s.now()
	return t.insertLater(ctx, early, func() { p.ID, p.Now = out.ID, p.Started }, []any{&out.ID, &p.Started},
		`insert into process_instance (start_time, due_at, held_since, lease_until, holding, phase, run_epoch, attempts,
		running_process_server_id, data, priority, process_name, resource_type, resource_id, start_process_server_id, parent_process_id`+id+`)
		values (`+now+`, `+now+`, `+now+`, `+now+` + ?, true, 'STARTED', 1, 1, ?, ?, ?, ?, ?, ?, ?, ?`+value+`) returning id, start_time`, args...)
}
