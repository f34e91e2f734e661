package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Process is one process instance: the durable request to run a definition on one
// resource, and the schedule of its attempts.
type Process struct {
	ID           int64
	Name         string // as launched; it never changes
	ResourceType string
	ResourceID   int64
	Data         map[string]any
	Priority     int64
	Attempts     int64
	BusyCount    int64
	RunEpoch     int64
	WakeSeq      int64
	WaitAgent    int64 // the agent it waits for, 0 for none
	Terminated   bool  // the attempt before this one died without a word
	Canceled     bool  // another process has taken its resource over
	Parent       int64
	LastError    string
	Started      int64 // when it was asked for
	Now          int64 // the time of the database when this was read
}

// pending is the condition of statements that name one process. It says what 'end_time
// is null' says, and keeps the server from walking through an index of all that are
// pending instead of going by the id.
const pending = "coalesce(end_time, 0) = 0"

const processColumns = `id, process_name, resource_type, resource_id, data, priority, attempts, busy_count,
	run_epoch, wake_seq, coalesce(wait_agent_id, 0), terminated, canceled, coalesce(parent_process_id, 0), coalesce(last_error, ''), coalesce(start_time, 0), `

func (s *Store) scanProcess(r rows, err error) (*Process, error) {
	p := &Process{}
	var data sql.NullString
	var resource string
	err = single(r, err, &p.ID, &p.Name, &p.ResourceType, &resource, &data, &p.Priority, &p.Attempts, &p.BusyCount,
		&p.RunEpoch, &p.WakeSeq, &p.WaitAgent, &p.Terminated, &p.Canceled, &p.Parent, &p.LastError, &p.Started, &p.Now)
	if err != nil {
		return nil, err
	}
	s.clock.learn(p.Now)
	p.ResourceID, _ = strconv.ParseInt(resource, 10, 64)
	data.String = s.openDocument(data.String)
	p.Data = map[string]any{}
	if data.String != "" && json.Unmarshal([]byte(data.String), &p.Data) != nil || p.Data == nil {
		p.Data = map[string]any{}
	}
	return p, nil
}

// Launch asks for a process on a resource.
type Launch struct {
	Process  *process.Definition
	Row      *schema.Row
	Data     map[string]any
	Priority int
	Server   string // id of the server that asks
	Parent   int64  // id of the process whose logic asks, 0 for none
	Lease    int64  // milliseconds; if any, the process of a new row is claimed by Server as it is born
	// From is the definition whose done state counts as the resource's state: a
	// chained process starts from what its predecessor would have ended in.
	From *process.Definition
}

// Launched is what came of a Launch. For a new row the id and the bells are known
// once the transaction is durable.
type Launched struct {
	ID     int64
	Reason process.Reason
	Bells  []Bell // to be rung after the commit
	Born   *Born  // in place of a bell, where the process was claimed at once
}

// Born is a process that somebody has who knows its resource without asking.
type Born struct {
	Process *Process
	Row     *schema.Row
}

// Bell says that a worker should look at a process now.
type Bell = process.Bell

// ErrCannotStart says that a process has no business in the resource's state.
var ErrCannotStart = errors.New("the state does not allow it")

// Launch moves the resource to the transitioning state and records the process,
// in the caller's transaction: both are there or neither is. A new row (without
// an id) is inserted in that state. If the state does not allow the process,
// nothing is written and the error wraps ErrCannotStart; if somebody else changes
// the resource at the same time, it is ErrConflict.
func (t *Tx) Launch(ctx context.Context, l Launch) (*Launched, error) {
	from := l.Row.State()
	out, err := t.launch(ctx, l)
	if to := l.Row.State(); err == nil && to != from && l.Parent == 0 && t.s.Moved != nil {
		t.After(func() { t.s.Moved(l.Row.Type().Name, l.Row.ID(), l.Row.Int("accountId"), from, to) })
	}
	return out, err
}

func (t *Tx) launch(ctx context.Context, l Launch) (*Launched, error) {
	def, reason := process.Decide(l.Process, l.From, l.Row.Str(l.Process.StateField()), resource.All.Process)
	if reason == process.Canceled {
		return nil, fmt.Errorf("cannot run %s on %s %d: it is %s: %w", l.Process.Name, l.Row.Type().Name, l.Row.ID(),
			l.Row.Str(l.Process.StateField()), ErrCannotStart)
	}
	fresh, err := l.Row.ID() == 0, error(nil)
	if reason == process.Scheduled {
		Transition(l.Row, def, l.From)
	}
	// What is to be saved, and not where the row in memory stood: a transaction that is
	// tried again has moved it already.
	moves := slices.Contains(l.Row.Changed(), l.Process.StateField())
	if fresh && l.Lease > 0 && reason == process.Scheduled {
		return t.bear(ctx, l)
	}
	if fresh {
		t.expect(l.Row)
		err = t.InsertWith(ctx, l.Row)
	} else {
		err = t.Update(ctx, l.Row)
	}
	if err != nil {
		return nil, err
	}
	out := &Launched{Reason: reason}
	if err := t.insertProcess(ctx, l, out, fresh); err != nil || reason != process.Scheduled || fresh {
		return out, err
	}
	if l.From == nil {
		if err := t.takeBack(ctx, l.Row, l.Process, out.ID); err != nil {
			return nil, err
		}
	}
	others, err := t.wakeOthers(ctx, l.Row, def.StateField(), moves, out.ID)
	if err != nil {
		return nil, err
	}
	out.Bells = append(out.Bells, others...)
	return out, nil
}

// Transition moves the row in memory to the transitioning state of def and
// forgets the error of an earlier process. A row that is under way stays, and goes on
// saying why.
func Transition(row *schema.Row, def, from *process.Definition) {
	field := def.StateField()
	s := row.Str(field)
	if process.Enter(def, from, s) == s {
		return
	}
	row.Set(field, process.Enter(def, from, s))
	if field == "state" {
		row.ClearField("transitioning")
		row.ClearField("transitioningMessage")
		row.ClearField("transitioningProgress")
	}
}

// insertProcess records the launch; for a new row with the commit, if that saves a
// trip.
func (t *Tx) insertProcess(ctx context.Context, l Launch, out *Launched, fresh bool) error {
	data, err := json.Marshal(l.Data)
	if err != nil || l.Data == nil {
		data = []byte("{}")
	}
	end, result := "null", "null"
	phase := process.PhaseRequested
	if out.Reason.Ends() {
		end, result, phase = t.s.now(), "'"+out.Reason.Result()+"'", process.PhaseDone
	}
	// The id of a row that travels with this statement is known to the server alone.
	resource, key := "?", any(l.Row.Key())
	if l.Row.ID() == 0 {
		resource, key = "cast(currval(pg_get_serial_sequence(?, 'id')) as varchar)", quote(l.Row.Type().Table)
	}
	launched := func() {
		if out.Reason == process.Scheduled {
			out.Bells = []Bell{{ID: out.ID, Priority: int64(l.Priority), New: true}}
		}
	}
	return t.insertLater(ctx, fresh, launched, []any{&out.ID}, `insert into process_instance (start_time, end_time, result, due_at, data, priority, process_name,
		resource_type, resource_id, exit_reason, phase, start_process_server_id, parent_process_id)
		values (`+t.s.now()+`, `+end+`, `+result+`, `+t.s.now()+`, ?, ?, ?, ?, `+resource+`, ?, ?, ?, ?) returning id`,
		t.s.sealDocument(string(data)), int64(l.Priority), l.Process.Name, l.Row.Type().Name, key, string(out.Reason), phase, l.Server, nullable(l.Parent))
}

func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

func (t *Tx) bells(ctx context.Context, query string, args ...any) ([]Bell, error) {
	rows, err := t.query(ctx, query, args...)
	return readBells(rows, err)
}

func readBells(rows rows, err error) ([]Bell, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Bell
	for rows.Next() {
		var b Bell
		if err := rows.Scan(&b.ID, &b.WakeSeq, &b.RunEpoch, &b.Priority); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// Claim gives the process to one run: it raises the epoch, counts the attempt and
// starts the lease. ErrNotFound says that there is nothing to do now: the process
// has ended, is not due, or another run has it.
func (t *Tx) Claim(ctx context.Context, id int64, server string, leaseMillis int64) (*Process, error) {
	return t.s.scanProcess(t.query(ctx, t.s.claimText(), leaseMillis, server, id))
}

func (s *Store) claimText() string {
	return `update process_instance set run_epoch = run_epoch + 1,
		terminated = (lease_until is not null), lease_until = ` + s.now() + ` + ?, attempts = attempts + 1,
		running_process_server_id = ?, exit_reason = null, holding = true, phase = 'STARTED',
		held_since = case when holding then held_since else ` + s.now() + ` end
		where id = ? and ` + pending + ` and due_at <= ` + s.now() + ` and (lease_until is null or lease_until < ` + s.now() + `)` + s.claimPatience() + `
		returning ` + processColumns + s.now()
}

// claimPatience bounds how long a claim waits for a lock. It goes from a process to its
// resource; a launch, which a client waits for, from the resource to its processes. When
// they meet the claim gives way and is made again, instead of both standing still for the
// second after which Postgres would find it out.
func (s *Store) claimPatience() string {
	if !s.Postgres() {
		return ""
	}
	return ` and set_config('lock_timeout', '50ms', true) is not null`
}

// Fence makes this transaction one of the run that claimed p: nobody can claim p until
// it has ended. ErrFenced says that the run has lost its right to write.
func (t *Tx) Fence(ctx context.Context, p *Process) error {
	if t.pipe != nil {
		t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(fenceText), args: []any{p.ID, p.RunEpoch}, miss: ErrFenced})
		return nil
	}
	var one int // no other transaction writes while this one is open
	err := t.one(ctx, `select 1 from process_instance where id = ? and run_epoch = ? and `+pending, []any{p.ID, p.RunEpoch}, &one)
	if errors.Is(err, ErrNotFound) {
		return ErrFenced
	}
	return err
}

// A lock of the row costs less than a new version of it.
const fenceText = `with held as (select 1 from process_instance where id = ? and run_epoch = ? and ` + pending + ` for no key update)
	select 1/count(*) from held`

// Pause ends an attempt that is not the last.
type Pause struct {
	Reason      process.Reason
	DelayMillis int64 // until it is due again
	Holding     bool  // keep the claims on resources: the process waits for a reply
	WaitAgent   int64
	GiveBack    bool // the attempt does not count
	Busy        bool
	Error       string
	Phase       string // of the process, if the attempt came to any logic
	Step        string // where the attempt stood
	Resource    string // what another held, if that ended it
}

// Pause writes the end of an attempt after which the process goes on later. A
// wake that came meanwhile makes it due now. It answers with the bell to ring, and
// whether that is due already.
func (t *Tx) Pause(ctx context.Context, p *Process, w Pause) (bell Bell, due bool, err error) {
	data, err := json.Marshal(p.Data)
	if err != nil {
		return bell, false, err
	}
	back, busy := 0, 0
	if w.GiveBack {
		back = 1
	}
	if w.Busy {
		busy = 1
	}
	bells, err := t.bells(ctx, `update process_instance set lease_until = null, running_process_server_id = null,
		exit_reason = ?, holding = ?, wait_agent_id = ?, attempts = attempts - ?, busy_count = busy_count + ?, data = ?, last_error = ?,
		phase = coalesce(?, phase), step = ?, wait_resource = ?,
		due_at = case when wake_seq <> ? then `+t.s.now()+` else `+t.s.now()+` + ? end
		where id = ? and run_epoch = ? and `+pending+` returning id, wake_seq, run_epoch, priority`,
		nullText(string(w.Reason)), w.Holding, nullable(w.WaitAgent), int64(back), int64(busy), t.s.sealDocument(string(data)), nullText(clip(w.Error, 1024)),
		nullText(w.Phase), nullText(clip(w.Step, 1024)), nullText(clip(w.Resource, 255)),
		p.WakeSeq, w.DelayMillis, p.ID, p.RunEpoch)
	if err != nil {
		return bell, false, err
	}
	if len(bells) == 0 {
		return bell, false, ErrFenced
	}
	return bells[0], bells[0].WakeSeq != p.WakeSeq || w.DelayMillis <= 0, nil
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// clip makes a text one that every database takes: of at most n bytes, and whole.
func clip(s string, n int) string {
	s = strings.ReplaceAll(s, "\x00", "")
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// Finish ends the process for good.
func (t *Tx) Finish(ctx context.Context, p *Process, reason process.Reason) error {
	data, err := json.Marshal(p.Data)
	if err != nil {
		return err
	}
	return t.must(ctx, ErrFenced, `update process_instance set end_time = `+t.s.now()+`, lease_until = null, holding = false,
		running_process_server_id = null, wait_agent_id = null, exit_reason = ?, result = ?, phase = 'DONE', data = ?
		where id = ? and run_epoch = ? and `+pending+``,
		string(reason), nullText(reason.Result()), t.s.sealDocument(string(data)), p.ID, p.RunEpoch)
}

// Held tells whether the process still holds what it has claimed.
func (t *Tx) Held(ctx context.Context, id int64) (bool, error) {
	var n int
	err := t.one(ctx, `select count(*) from process_instance where id = ? and `+pending+` and holding`, []any{id}, &n)
	return n > 0, err
}

// Due lists processes that should be running and are not, most urgent first. It
// reads the index of what is pending up to the limit, and no row that is not due.
func (s *Store) Due(ctx context.Context, limit int) ([]Bell, error) {
	rows, err := s.query(ctx, s.dueText(), int64(limit))
	return readBells(rows, err)
}

func (s *Store) dueText() string {
	return `select id, wake_seq, run_epoch, priority from process_instance
		where end_time is null and due_at <= (select ` + s.now() + `) and (lease_until is null or lease_until < (select ` + s.now() + `))
		order by priority desc, due_at, id limit ?`
}

// Orphans lists processes whose worker has shown no life for a lease, most urgent first.
// It reads what is due by its index: what is at work or waits for a worker.
func (s *Store) Orphans(ctx context.Context, limit int) ([]Bell, error) {
	rows, err := s.query(ctx, s.orphansText(), int64(limit))
	return readBells(rows, err)
}

func (s *Store) orphansText() string {
	return `select id, wake_seq, run_epoch, priority from process_instance
		where end_time is null and due_at <= (select ` + s.now() + `) and lease_until < (select ` + s.now() + `)
		order by priority desc, due_at, id limit ?`
}

// WakeAgent makes the processes that wait for an agent, and those of the agent
// itself, due now, at most limit.
func (s *Store) WakeAgent(ctx context.Context, agent int64, limit int) ([]Bell, error) {
	var bells []Bell
	err := s.Write(ctx, "agent up", func(t *Tx) error {
		var err error
		bells, err = t.bells(ctx, `update process_instance set due_at = `+s.now()+`, wake_seq = wake_seq + 1 where id in (
			select id from process_instance where end_time is null and (wait_agent_id = ? or resource_type = 'agent' and resource_id = ?) limit ?) and end_time is null
			returning id, wake_seq, run_epoch, priority`, agent, fmt.Sprint(agent), int64(limit))
		return err
	})
	return bells, err
}

// Process reads one process instance, or ErrNotFound.
func (s *Store) Process(ctx context.Context, id int64) (*Process, error) {
	return s.scanProcess(s.query(ctx, `select `+processColumns+s.now()+` from process_instance where id = ?`, id))
}

// Expire ends every lease at once. It is for the one server of an embedded database,
// at its start: whoever held a lease is gone.
func (s *Store) Expire(ctx context.Context) error {
	return s.Write(ctx, "expire", func(t *Tx) error {
		_, err := t.exec(ctx, `update process_instance set lease_until = 0 where lease_until is not null and end_time is null`)
		return err
	})
}
