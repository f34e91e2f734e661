package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// What a process waits for, in a word.
const (
	WaitsForAgent    = "agent"
	WaitsForHandler  = "handler"  // one from outside, or another condition that its logic looks for again
	WaitsForResource = "resource" // another process has it
	WaitsForRetry    = "retry"    // the last attempt went wrong
)

// Where a process stands that waits for nothing.
const (
	Running  = "running"  // a run has it
	Runnable = "runnable" // it is due, and no run has it
)

// mostCounted bounds what one look over the pending processes reads. Beyond it the
// counts stay where they are.
const mostCounted = 200_000

// Standing counts pending processes of one name that stand alike.
type Standing struct {
	Process, Where string // Where is Running, Runnable or what they wait for
	Count, Overdue int    // Overdue are those that are older than their deadline
}

// Standings counts the processes that have not ended. Now is of the clock of the
// database. It reads what is pending through its index and nothing that has ended.
func (s *Store) Standings(ctx context.Context, now int64) ([]Standing, error) {
	rows, err := s.query(ctx, standingsText, now, now, now, int64(mostCounted))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Standing
	for rows.Next() {
		var x Standing
		if err := rows.Scan(&x.Process, &x.Where, &x.Count, &x.Overdue); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

var standingsText = `select name, place, count(*), sum(late) from (
	select coalesce(process_name, '') as name, case when lease_until >= ? then '` + Running + `' when due_at <= ? then '` + Runnable + `'
		when holding and wait_agent_id is not null then '` + WaitsForAgent + `' when holding then '` + WaitsForHandler + `'
		when exit_reason = 'RESOURCE_BUSY' then '` + WaitsForResource + `' else '` + WaitsForRetry + `' end as place,
	case when start_time < cast(? as bigint) - ` + processDeadlines() + ` then 1 else 0 end as late
	from process_instance where end_time is null limit ?) standing group by name, place`

// processDeadlines is the deadline of a row's process in milliseconds, in SQL.
func processDeadlines() string {
	by := map[string]time.Duration{}
	for _, k := range resource.All.Kinds() {
		for _, d := range k.Processes {
			by[d.Name] = d.Deadline()
		}
	}
	return deadlines("process_name", by)
}

// deadlines is a choice between deadlines in milliseconds, in SQL. The one that most
// have is the rest, so that the text is short.
func deadlines(column string, by map[string]time.Duration) string {
	times := map[time.Duration]int{}
	names := make([]string, 0, len(by))
	for name, d := range by {
		times[d]++
		names = append(names, name)
	}
	slices.Sort(names)
	var usual time.Duration
	for d, n := range times {
		if n > times[usual] || n == times[usual] && d > usual {
			usual = d
		}
	}
	var b strings.Builder
	for _, name := range names {
		if by[name] != usual {
			fmt.Fprintf(&b, " when '%s' then %d", strings.ReplaceAll(name, "'", "''"), by[name].Milliseconds())
		}
	}
	if b.Len() == 0 {
		return fmt.Sprint(usual.Milliseconds())
	}
	return fmt.Sprintf("case %s%s else %d end", column, b.String(), usual.Milliseconds())
}

// Late is a process that is older than its deadline, or a resource that has been in
// a transitioning state for longer.
type Late struct {
	Process    string // of the row; for a resource the one whose state it is in
	ProcessID  int64  // of the row; for a resource the one that holds it, 0 for none
	Type       string
	ResourceID string
	Agent      int64 // whose reply the process waits for, 0 for none
	State      string
	Since      int64
	Unattended bool // no process moves the resource
}

// LateProcesses lists pending processes that are older than their deadline, some of
// them where there are more than limit.
func (s *Store) LateProcesses(ctx context.Context, now int64, limit int) ([]Late, error) {
	rows, err := s.query(ctx, lateText, now, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Late
	for rows.Next() {
		var l Late
		if err := rows.Scan(&l.Process, &l.ProcessID, &l.Type, &l.ResourceID, &l.Agent, &l.Since); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

var lateText = `select coalesce(process_name, ''), id, coalesce(resource_type, ''), coalesce(resource_id, ''), coalesce(wait_agent_id, 0), start_time
	from process_instance where end_time is null and start_time < cast(? as bigint) - ` + processDeadlines() + ` limit ?`

// OldestRunnable tells since when the process has been due that is due longest and
// that no run has; 0 if there is none.
func (s *Store) OldestRunnable(ctx context.Context, now int64) (since int64, err error) {
	var oldest sql.NullInt64
	r, err := s.query(ctx, oldestText, now, now)
	return oldest.Int64, single(r, err, &oldest)
}

// oldestText asks each priority for its oldest, in the order of the index. One whose
// run died is due since its lease ran out.
const oldestText = `with recursive urgency(priority) as (
		select (select priority from process_instance where end_time is null order by priority desc limit 1)
		union all select (select p.priority from process_instance p where p.end_time is null and p.priority < urgency.priority order by p.priority desc limit 1)
		from urgency where urgency.priority is not null)
	select min((select case when p.lease_until > p.due_at then p.lease_until else p.due_at end from process_instance p
		where p.end_time is null and p.priority = urgency.priority and p.due_at <= ? and (p.lease_until is null or p.lease_until < ?)
		order by p.due_at limit 1)) from urgency`

// Watched lists the types whose resources have transitioning states.
func Watched() []*schema.Type {
	var out []*schema.Type
	for _, t := range resource.All.Tables() {
		if t.HasColumn("stateSince") && len(steps(t)) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// steps maps the transitioning states of a type to the deadlines of their processes.
func steps(t *schema.Type) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, d := range resource.All.Processes(t) {
		if d.StateField() != "state" {
			continue // part of a process that moves the state
		}
		for _, s := range d.Through {
			out[s] = max(out[s], d.Deadline())
		}
	}
	return out
}

// Step returns the name of the process whose transitioning state s is.
func Step(t *schema.Type, s string) string {
	for _, d := range resource.All.Processes(t) {
		if d.StateField() != "state" {
			continue
		}
		for _, to := range d.Through {
			if to == s {
				return d.Name
			}
		}
	}
	return ""
}

// HighestIDs returns the newest id of each type, 0 for a type without rows.
func (s *Store) HighestIDs(ctx context.Context, types []*schema.Type) (map[string]int64, error) {
	parts := make([]string, len(types))
	for i, t := range types {
		parts[i] = fmt.Sprintf("select '%s', coalesce(max(id), 0) from %s", t.Name, quote(t.Table))
	}
	rows, err := s.query(ctx, strings.Join(parts, " union all "))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make(map[string]int64, len(types))
	for rows.Next() {
		var name string
		var id int64
		if err := rows.Scan(&name, &id); err != nil {
			return nil, err
		}
		out[name] = id
	}
	return out, rows.Err()
}

// Stay counts resources of one type in one transitioning state.
type Stay struct {
	State                      string
	Count, Overdue, Unattended int
}

// Stays counts the resources of a type, with ids above from up to to, that are in
// transitioning states.
func (s *Store) Stays(ctx context.Context, typ *schema.Type, now, from, to int64) ([]Stay, error) {
	rows, err := s.query(ctx, "select state, count(*), sum(late), sum(alone) from ("+stayText(typ)+
		") stay group by state", now, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Stay
	for rows.Next() {
		var x Stay
		if err := rows.Scan(&x.State, &x.Count, &x.Overdue, &x.Unattended); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Stay) int { return cmp.Compare(a.State, b.State) })
	return out, rows.Err()
}

// LateResources lists resources of Stays that are overdue, some of them where there
// are more than limit.
func (s *Store) LateResources(ctx context.Context, typ *schema.Type, now, from, to int64, limit int) ([]Late, error) {
	rows, err := s.query(ctx, "select cast(id as varchar(128)), state, since, holder, alone from ("+stayText(typ)+
		") stay where late = 1 limit ?", now, from, to, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Late
	for rows.Next() {
		l := Late{Type: typ.Name}
		var alone int
		if err := rows.Scan(&l.ResourceID, &l.State, &l.Since, &l.ProcessID, &alone); err != nil {
			return nil, err
		}
		l.Process, l.Unattended = Step(typ, l.State), alone == 1
		out = append(out, l)
	}
	return out, rows.Err()
}

// stayText selects resources in transitioning states: whether they are overdue, and
// whether no process is there that moves them, neither their own nor one that holds
// them within its run.
func stayText(typ *schema.Type) string {
	by := steps(typ)
	states := make([]string, 0, len(by))
	for state := range by {
		states = append(states, "'"+strings.ReplaceAll(state, "'", "''")+"'")
	}
	slices.Sort(states)
	return fmt.Sprintf(`select r.id, r.state, coalesce(r.state_since, r.created, 0) as since, coalesce(r.claim_process_id, 0) as holder,
		case when coalesce(r.state_since, r.created, 0) < cast(? as bigint) - %s then 1 else 0 end as late,
		case when exists (select 1 from process_instance p where p.end_time is null and p.resource_type = '%s' and p.resource_id = cast(r.id as varchar(128)))
			or exists (select 1 from process_instance p where p.id = r.claim_process_id and p.end_time is null) then 0 else 1 end as alone
		from %s r where r.id > ? and r.id <= ? and r.state in (%s)`,
		deadlines("r.state", by), typ.Name, quote(typ.Table), strings.Join(states, ", "))
}
