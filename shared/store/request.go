package store

import (
	"context"
	"errors"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Request is a command whose reply a process waits for without holding a slot.
// A command that is answered at once never becomes one.
type Request struct {
	ID        string // id of the event; it stays the same over all sends
	ProcessID int64
	StepKey   string // names the call inside the process: it asks once for each
	AgentID   int64  // 0 for a handler from outside
	Name      string
	ReplyTo   string
	Sends     int64
	Patient   bool   // progress is shown
	Status    string // pending, replied, failed
	Reply     []byte // the whole reply event
}

// States of a Request.
const (
	RequestPending = "pending"
	RequestReplied = "replied"
)

// SaveRequest records or renews a request that the process gives up its slot for,
// or records one with its reply.
func (t *Tx) SaveRequest(ctx context.Context, r Request) error {
	if r.Status == "" {
		r.Status = RequestPending
	}
	return t.later(ctx, `insert into agent_request (id, process_id, step_key, agent_id, name, reply_to, sends, patient, status, reply)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (process_id, step_key) do update set sends = excluded.sends, reply_to = excluded.reply_to`,
		r.ID, r.ProcessID, r.StepKey, r.AgentID, r.Name, r.ReplyTo, r.Sends, r.Patient, r.Status, nullText(t.s.sealDocument(string(r.Reply))))
}

// Requests reads what a process has asked and not yet used, by step.
func (t *Tx) Requests(ctx context.Context, processID int64) (map[string]*Request, error) {
	rows, err := t.query(ctx, `select id, process_id, step_key, agent_id, name, reply_to, sends, status, coalesce(reply, '')
		from agent_request where process_id = ?`, processID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]*Request{}
	for rows.Next() {
		r := &Request{}
		var reply string
		if err := rows.Scan(&r.ID, &r.ProcessID, &r.StepKey, &r.AgentID, &r.Name, &r.ReplyTo, &r.Sends, &r.Status, &reply); err != nil {
			return nil, err
		}
		r.Reply = []byte(t.s.openDocument(reply))
		out[r.StepKey] = r
	}
	return out, rows.Err()
}

// DropRequest forgets a request whose reply has been used.
func (t *Tx) DropRequest(ctx context.Context, id string) error {
	return t.later(ctx, `delete from agent_request where id = ?`, id)
}

// DropReplies forgets what handlers from outside have answered: a new attempt asks
// them anew.
func (t *Tx) DropReplies(ctx context.Context, processID int64) error {
	return t.later(ctx, `delete from agent_request where process_id = ? and agent_id = 0 and status = 'replied'`, processID)
}

// DropRequests forgets all requests of a process that has ended.
func (t *Tx) DropRequests(ctx context.Context, processID int64) error {
	return t.later(ctx, `delete from agent_request where process_id = ?`, processID)
}

// ErrNotAsked says that another agent was asked.
var ErrNotAsked = errors.New("another agent was asked")

// StoreReply keeps the reply to a request that was sent to this agent, or for an
// administrator to any, and wakes the process that waits for it. A reply that
// nobody waits for, or that comes again, changes nothing. The reply of an agent to what
// another was asked is ErrNotAsked.
func (s *Store) StoreReply(ctx context.Context, id string, agent int64, administrator bool, reply []byte) ([]Bell, error) {
	var bells []Bell
	err := s.Write(ctx, "reply", func(t *Tx) error {
		bells = nil
		var pid int64
		err := t.one(ctx, `update agent_request set status = 'replied', reply = ? where id = ? and (agent_id = ? and agent_id <> 0 or ?) and status = 'pending'
			returning process_id`, []any{s.sealDocument(string(reply)), id, agent, administrator}, &pid)
		if errors.Is(err, ErrNotFound) {
			return t.notAsked(ctx, id, agent, administrator)
		}
		if err != nil {
			return err
		}
		bells, err = t.bells(ctx, `update process_instance set wake_seq = wake_seq + 1, due_at = `+s.now()+`
			where id = ? and `+pending+` returning id, wake_seq, run_epoch, priority`, pid)
		return err
	})
	return bells, err
}

// notAsked tells an answer that comes again, or too late, from one in another's name.
func (t *Tx) notAsked(ctx context.Context, id string, agent int64, administrator bool) error {
	var asked int64
	err := t.one(ctx, `select agent_id from agent_request where id = ?`, []any{id}, &asked)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && (asked == agent || administrator):
		return nil
	case err != nil:
		return err
	}
	return ErrNotAsked
}

// StoreProgress pushes the moment at which a waiting process is run again, because its agent
// reports progress. Where that was asked for it shows it on the resource of the process, which
// it returns. A handler from outside cannot do that.
func (s *Store) StoreProgress(ctx context.Context, id string, agent int64, administrator bool, millis int64, message string, percent *int) (*schema.Row, error) {
	var row *schema.Row
	err := s.Write(ctx, "progress", func(t *Tx) (err error) {
		const waits = `end_time is null and lease_until is null and not canceled`
		row = nil
		p, shown := &Process{}, false
		err = t.one(ctx, `select process_id, patient from agent_request where id = ? and agent_id <> 0 and (agent_id = ? or ?) and status = 'pending'`,
			[]any{id, agent, administrator}, &p.ID, &shown)
		if err == nil {
			p, err = s.scanProcess(t.query(ctx, `select `+processColumns+s.now()+` from process_instance where id = ? and `+waits, p.ID))
		}
		if err == nil && shown {
			row, err = t.show(ctx, p, message, percent)
		}
		if err != nil {
			return err
		}
		return t.must(ctx, ErrConflict, `update process_instance set due_at = `+s.now()+` + ? where id = ? and run_epoch = ? and `+waits, millis, p.ID, p.RunEpoch)
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return nil, nil // it goes on, or something else has begun: who comes next says more
	}
	return row, err
}

// show tells the user of the resource of a process what an agent says.
func (t *Tx) show(ctx context.Context, p *Process, message string, percent *int) (*schema.Row, error) {
	typ := resource.All.Type(p.ResourceType)
	if typ == nil {
		return nil, ErrNotFound
	}
	row, err := t.Get(ctx, typ, p.ResourceID)
	if err != nil {
		return nil, err
	}
	process.Reached(p.Data).Show(row, message, percent)
	return row, t.Update(ctx, row)
}
