package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Why says of a process instance where it stands and what it waits for, or nil if
// it has ended. With full false it leaves out what takes more than a look at the
// row and its resource: who holds what it wants, its place in the queue, and how
// attempts failed.
func (s *Store) Why(ctx context.Context, p *schema.Row, full bool) (*process.Why, error) {
	if p.Get("endTime") != nil {
		return nil, nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	return s.why(ctx, p, now, full)
}

// WhyOf says it of every process of a resource that has not ended, in the order in
// which they will run.
func (s *Store) WhyOf(ctx context.Context, row *schema.Row) ([]*process.Why, error) {
	pending, err := s.Find(ctx, resource.All.Type("processInstance"),
		process.Match{"resourceType": row.Type().Name, "resourceId": row.Key(), "endTime": nil})
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(pending, func(a, b *schema.Row) int {
		return cmp.Or(-compare(running(a, now), running(b, now)), -compare(a.Bool("holding"), b.Bool("holding")),
			-cmp.Compare(a.Int("priority"), b.Int("priority")))
	})
	out := make([]*process.Why, len(pending))
	for i, p := range pending {
		if out[i], err = s.why(ctx, p, now, true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// running tells whether an attempt has the lease.
func running(p *schema.Row, now int64) bool {
	return p.Get("leaseUntil") != nil && p.Int("leaseUntil") >= now
}

func (s *Store) why(ctx context.Context, p *schema.Row, now int64, full bool) (*process.Why, error) {
	row, err := s.subject(ctx, p)
	if err != nil {
		return nil, err
	}
	w := stand(p, row, now)
	if err := s.asked(ctx, w); err != nil {
		return nil, err
	}
	if err := s.agentOf(ctx, w, p.Int("waitAgentId")); err != nil || !full {
		return w, err
	}
	if err := s.lockOf(ctx, w, row); err != nil {
		return nil, err
	}
	if w.Kind == process.ForWorker {
		if w.Position, err = s.position(ctx, p); err != nil {
			return nil, err
		}
	}
	w.Errors, err = s.errorsOf(ctx, w.ID)
	return w, err
}

// subject reads the resource of a process, nil if there is none any more.
func (s *Store) subject(ctx context.Context, p *schema.Row) (*schema.Row, error) {
	k, id := subjectID(p)
	if k == nil {
		return nil, nil
	}
	row, err := s.Get(ctx, k.Type, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return row, err
}

func subjectID(p *schema.Row) (*resource.Kind, int64) {
	id, err := strconv.ParseInt(p.Str("resourceId"), 10, 64)
	k := resource.All.Kind(p.Str("resourceType"))
	if err != nil || k == nil || k.Type.Table == "" {
		return nil, 0
	}
	return k, id
}

// stand reads off the two rows what they say.
func stand(p, row *schema.Row, now int64) *process.Why {
	def := resource.All.Process(p.Str("processName"))
	w := &process.Why{
		ID: p.ID(), Process: p.Str("processName"), As: p.Str("processName"), Type: p.Str("resourceType"),
		Kind: kindOf(p, def, now), Attempts: p.Int("attempts"), Busy: p.Int("busyCount"),
		Step: p.Str("step"), Server: p.Str("runningProcessServerId"), Wanted: p.Str("waitResource"),
		Last: process.Redact(strings.TrimPrefix(p.Str("lastError"), "waiting for ")),
		Now:  now, Next: p.Int("dueAt"), Since: p.Int("startTime"), Epoch: p.Int("runEpoch"),
	}
	w.ResourceID, _ = strconv.ParseInt(p.Str("resourceId"), 10, 64)
	if at := strings.LastIndex(w.Step, "->("); at >= 0 {
		w.Handler = strings.TrimSuffix(w.Step[at+3:], ")")
	}
	if def == nil {
		return w
	}
	w.Deadline = w.Since + def.Deadline().Milliseconds() // by which the watchdog goes
	w.Field = def.StateField()
	if row == nil {
		return w
	}
	w.State = row.Str(w.Field)
	if now := process.Fitting(def, w.State, resource.All.Process); now != nil {
		w.As = now.Name
	}
	if w.Field == "state" {
		w.Since = max(w.Since, row.Int("stateSince"))
	}
	return w
}

func kindOf(p *schema.Row, def *process.Definition, now int64) process.Kind {
	reason := process.Reason(p.Str("exitReason"))
	switch {
	case running(p, now):
		return process.ForNothing
	case def == nil:
		return process.ForServer
	case p.Int("dueAt") <= now:
		return process.ForWorker
	case p.Int("waitAgentId") != 0:
		return process.ForAgent
	case reason == process.ResourceBusy || reason == "":
		return process.ForResource
	}
	return process.ForRetry
}

// asked finds the command or event whose reply is awaited.
func (s *Store) asked(ctx context.Context, w *process.Why) error {
	var agent int64
	err := s.look(ctx, `select name, agent_id from agent_request where process_id = ? and status = 'pending' order by agent_id limit 1`,
		[]any{w.ID}, &w.Asked, &agent)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && w.Kind == process.ForResource && w.Wanted == "" && agent == 0 {
		w.Kind = process.ForHandler
	}
	return err
}

func (s *Store) agentOf(ctx context.Context, w *process.Why, id int64) error {
	if id == 0 {
		return nil
	}
	agent, err := s.Get(ctx, resource.All.Type("agent"), id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		w.Agent = &process.WhyAgent{ID: id, UUID: agent.UUID(), Name: agent.Str("name"), State: agent.State(), DisconnectedSince: agent.Int("disconnectedSince")}
	}
	return err
}

// lockOf finds who holds what the process wanted last, or its own resource. What
// counts is who holds it now.
func (s *Store) lockOf(ctx context.Context, w *process.Why, own *schema.Row) error {
	if w.Kind != process.ForResource && w.Kind != process.ForWorker {
		return nil
	}
	rows := []*schema.Row{own}
	if typ, id, ok := strings.Cut(w.Wanted, " "); ok {
		n, _ := strconv.ParseInt(id, 10, 64)
		if k := resource.All.Kind(typ); k != nil && (own == nil || typ != own.Type().Name || n != own.ID()) {
			wanted, err := s.Get(ctx, k.Type, n)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			rows = []*schema.Row{wanted, own}
		}
	}
	for _, row := range rows {
		if row == nil || row.Int("claimProcessId") == 0 || row.Int("claimProcessId") == w.ID {
			continue
		}
		l := &process.WhyLock{Type: row.Type().Name, ID: row.ID(), Holder: row.Int("claimProcessId")}
		err := s.look(ctx, `select process_name, coalesce(held_since, start_time) from process_instance where id = ? and end_time is null and holding`,
			[]any{l.Holder}, &l.Name, &l.Since)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		w.Kind, w.Lock = process.ForResource, l
		return nil
	}
	return nil
}

// mostAhead bounds how far a place in the queue is counted.
const mostAhead = 10_000

// position counts the processes that a worker would take before this one.
func (s *Store) position(ctx context.Context, p *schema.Row) (int, error) {
	var n int
	err := s.look(ctx, `select count(*) from (select 1 from process_instance
		where end_time is null and due_at <= `+s.now()+` and (lease_until is null or lease_until < `+s.now()+`)
		and (priority > ? or priority = ? and (due_at < ? or due_at = ? and id < ?)) limit ?) as ahead`,
		[]any{p.Int("priority"), p.Int("priority"), p.Int("dueAt"), p.Int("dueAt"), p.ID(), int64(mostAhead)}, &n)
	return n + 1, err
}

// loggedAttempt is what is read of the log of an attempt.
type loggedAttempt struct {
	Executions []struct {
		Stop      *int64      `json:"stopTime"`
		Exception *loggedFall `json:"exception"`
		Handlers  []struct {
			Name     string          `json:"name"`
			Error    *loggedFall     `json:"exception"`
			Children []loggedAttempt `json:"children"`
		} `json:"processHandlerExecutions"`
		Process  string `json:"processName"`
		Resource string `json:"resourceId"`
	} `json:"executions"`
}

type loggedFall struct {
	Message string      `json:"message"`
	Class   string      `json:"clz"`
	Cause   *loggedFall `json:"cause"`
}

// lastErrors is how many failed attempts are told.
const lastErrors = 3

func (s *Store) errorsOf(ctx context.Context, id int64) ([]process.WhyError, error) {
	rows, err := s.query(ctx, `select log, coalesce(created, 0) from process_execution
		where process_instance_id = ? order by id desc limit ?`, id, int64(lastErrors))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []process.WhyError
	for rows.Next() {
		var text sql.NullString
		var at int64
		if err := rows.Scan(&text, &at); err != nil {
			return nil, err
		}
		var log loggedAttempt
		if json.Unmarshal([]byte(text.String), &log) == nil {
			if e, ok := log.failure(at); ok {
				out = append(out, e)
			}
		}
	}
	return out, rows.Err()
}

// failure returns how an attempt failed, if it did.
func (l loggedAttempt) failure(at int64) (process.WhyError, bool) {
	for i := len(l.Executions) - 1; i >= 0; i-- {
		x := l.Executions[i]
		if x.Exception == nil {
			continue
		}
		if x.Stop != nil {
			at = *x.Stop
		}
		return process.WhyError{At: at, Step: l.step(), Message: process.Redact(x.Exception.Message), Public: process.Redact(x.Exception.public())}, true
	}
	return process.WhyError{}, false
}

// public returns what of an error its user may read: an agent or a handler meant it
// for somebody, and what is for operators stands behind it.
func (f *loggedFall) public() string {
	if f.Class != "process.Failure" {
		return ""
	}
	if f.Cause != nil {
		return strings.TrimSuffix(f.Message, " : "+f.Cause.Message)
	}
	return f.Message
}

// step is the path down to the innermost handler that failed.
func (l loggedAttempt) step() string {
	if len(l.Executions) == 0 {
		return ""
	}
	x := l.Executions[len(l.Executions)-1]
	path := x.Process + ":" + x.Resource
	for i := len(x.Handlers) - 1; i >= 0; i-- {
		h := x.Handlers[i]
		if h.Error == nil {
			continue
		}
		path += "->(" + h.Name + ")"
		if n := len(h.Children); n > 0 {
			if inner := h.Children[n-1]; inner.failed() {
				path += "->" + inner.step()
			}
		}
		break
	}
	return path
}

func (l loggedAttempt) failed() bool {
	n := len(l.Executions)
	return n > 0 && l.Executions[n-1].Exception != nil
}

// look reads one row for showing, or ErrNotFound.
func (s *Store) look(ctx context.Context, query string, args []any, into ...any) error {
	rows, err := s.query(ctx, query, args...)
	return single(rows, err, into...)
}
