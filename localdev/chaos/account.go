package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/resource"
)

// account compares what was asked, what SQL says and what the hosts have done.
type account struct {
	*rig
	load           *load
	drove, settled time.Duration

	rows        map[string]row            // by uuid
	names       map[string]int            // rows by name
	launched    map[string]map[string]int // "type id" to process to how often the API launched it
	beginnings  map[string]int            // "type id" to processes that may have begun an instance
	done, error int
	violations  []violation
}

// row is a resource as SQL has it.
type row struct {
	typ            string
	id             int64
	state, message string
	host           string // of an instance that has a place
	places         int
}

// violation is a promise that was broken.
type violation struct {
	kind, what string
	of         *thing // nil where it is nobody's
}

// The kinds of violations, in the order of the account.
var promises = []string{"lost", "stuck", "doubled", "illegal moves", "stale writes", "crashes"}

// give prints the account, and the story of the first violation.
func (a *account) give(ctx context.Context) error {
	for _, f := range []func(context.Context) error{a.read, a.stuck, a.things, a.compare, a.moves} {
		if err := f(ctx); err != nil {
			return fmt.Errorf("cannot make the account: %w", err)
		}
	}
	a.crashes()
	a.printLoad(ctx)
	if err := a.printRecovery(ctx); err != nil {
		return err
	}
	count := map[string]int{}
	for _, v := range a.violations {
		count[v.kind]++
	}
	for _, p := range promises {
		verdict := "ok"
		if count[p] > 0 {
			verdict = "VIOLATED"
		}
		line(p, fmt.Sprint(count[p]), verdict)
	}
	if len(a.violations) == 0 {
		return nil
	}
	a.tell(ctx, a.violations[0])
	return ErrViolated
}

func line(what, value, meaning string) { fmt.Printf("  %-24s %12s   %s\n", what, value, meaning) }

func (a *account) violate(kind string, of *thing, format string, args ...any) {
	a.violations = append(a.violations, violation{kind, fmt.Sprintf(format, args...), of})
}

// read takes in what SQL has of all that the clients made.
func (a *account) read(ctx context.Context) error {
	a.rows, a.names = map[string]row{}, map[string]int{}
	for _, k := range kinds {
		rows, err := a.db.QueryContext(ctx, fmt.Sprintf(`select id, uuid, coalesce(name, ''), state, coalesce(data::json->'fields'->>'transitioningMessage', '') from %q where name like 'chaos-%%'`, resource.All.Type(k.typ).Table))
		if err != nil {
			return err
		}
		for rows.Next() {
			r := row{typ: k.typ}
			var uuid, name string
			if err := rows.Scan(&r.id, &uuid, &name, &r.state, &r.message); err != nil {
				return err
			}
			a.rows[uuid] = r
			a.names[k.typ+" "+name]++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return errors.Join(a.readPlaces(ctx), a.readProcesses(ctx))
}

func (a *account) readPlaces(ctx context.Context) error {
	rows, err := a.db.QueryContext(ctx, `select i.uuid, h.uuid from instance i join instance_host_map m on m.instance_id = i.id and m.removed is null join host h on h.id = m.host_id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var uuid, host string
		if err := rows.Scan(&uuid, &host); err != nil {
			return err
		}
		r := a.rows[uuid]
		r.host = host
		r.places++
		a.rows[uuid] = r
	}
	return rows.Err()
}

func (a *account) readProcesses(ctx context.Context) error {
	a.launched, a.beginnings = map[string]map[string]int{}, map[string]int{}
	rows, err := a.db.QueryContext(ctx, `select resource_type, resource_id, process_name, start_process_server_id like 'api-%' and parent_process_id is null, count(*)
		from process_instance group by 1, 2, 3, 4`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var typ, id, name string
		var ours bool
		var n int
		if err := rows.Scan(&typ, &id, &name, &ours, &n); err != nil {
			return err
		}
		key := typ + " " + id
		if name == "instance.create" || name == "instance.start" {
			a.beginnings[key] += n
		}
		if !ours {
			continue
		}
		if a.launched[key] == nil {
			a.launched[key] = map[string]int{}
		}
		verb := name[strings.IndexByte(name, '.')+1:]
		a.launched[key][asked(typ, verb)] += n
	}
	return rows.Err()
}

// stuck finds what has not come to rest.
func (a *account) stuck(ctx context.Context) error {
	left, err := a.underWay(ctx)
	for _, what := range left {
		a.violate("stuck", nil, "%s", what)
	}
	return err
}

// things compares what was asked with what is there.
func (a *account) things(context.Context) error {
	for _, t := range a.load.things {
		r, there := a.rows[t.uuid]
		if !there {
			a.violate("lost", t, "%s was made and is not there", t.name)
			continue
		}
		if n := a.names[t.kind.typ+" "+t.name]; n > 1 {
			a.violate("doubled", t, "%s is there %d times", t.name, n)
		}
		a.rest(t, r)
		launched := a.launched[fmt.Sprint(r.typ, " ", r.id)]
		for _, name := range slices.Sorted(maps.Keys(t.accepted)) {
			if n, least := launched[name], t.accepted[name]; n < least {
				a.violate("lost", t, "%d of %d %s on %s were accepted and have no process", least-n, least, name, t.name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(launched)) {
			if n, most := launched[name], t.accepted[name]+t.unsure[name]; n > most {
				a.violate("doubled", t, "%s on %s has %d processes for %d requests", name, t.name, n, most)
			}
		}
	}
	return nil
}

// rest checks where a resource came to rest.
func (a *account) rest(t *thing, r row) {
	failed := t.kind.typ == "instance" && slices.Contains([]string{"stopped", "removed", "purged"}, r.state)
	switch {
	case r.state == t.want[0]:
		a.done++
	case slices.Contains(t.want, r.state):
		a.done++ // a request without an answer decided it
	case failed && r.message != "":
		a.error++
	case slices.Contains(on(resource.All.Type(r.typ)), r.state): // stuck, and counted as that
	default:
		a.violate("lost", t, "%s should be %s, is %s and does not say why", t.name, t.want[0], r.state)
	}
}

// compare compares SQL with the ledger of the hosts.
func (a *account) compare(context.Context) error {
	of := map[string]*thing{}
	for _, t := range a.load.things {
		of[t.uuid] = t
	}
	h := a.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, uuid := range h.doubled {
		a.violate("doubled", of[uuid], "instance %s ran on two hosts at once", uuid)
	}
	for uuid, r := range a.rows {
		if r.typ != "instance" {
			continue
		}
		if r.places > 1 {
			a.violate("doubled", of[uuid], "instance %s has %d places", uuid, r.places)
		}
		if at := h.alive[uuid]; r.state == "running" && at != r.host {
			a.violate("lost", of[uuid], "instance %s should run on %q and runs on %q", uuid, r.host, at)
		}
		if n, most := h.begun[uuid], a.beginnings[fmt.Sprint("instance ", r.id)]; n > most {
			a.violate("doubled", of[uuid], "instance %s was begun %d times by %d processes", uuid, n, most)
		}
	}
	for uuid, at := range h.alive {
		if r, there := a.rows[uuid]; !there || r.state != "running" {
			a.violate("doubled", of[uuid], "instance %s runs on %s, and SQL says %q", uuid, at, r.state)
		}
	}
	return nil
}

// moves replays the trail of the states through the definitions, and looks for
// writes that may not have been.
func (a *account) moves(ctx context.Context) error {
	rows, err := a.db.QueryContext(ctx, `select place, old, new, count(*), count(process), bool_and(born) from chaos_move group by 1, 2, 3 order by 1, 2, 3`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var place, from, to string
		var n, known int
		var born bool // of rows that nobody else had seen yet: they are written as they end up
		if err := rows.Scan(&place, &from, &to, &n, &known, &born); err != nil {
			return err
		}
		if !born && !legal(place)[from+" "+to] {
			a.violate("illegal moves", nil, "%s went %d times from %s to %s", place, n, from, to)
		}
		if known < n {
			a.violate("illegal moves", nil, "%s went %d times from %s to %s without the row of a process", place, n-known, from, to)
		}
	}
	gaps, err := a.texts(ctx, `select place || ' ' || id || ' went to ' || before || ' and then from ' || old from
		(select place, id, old, lag(new) over (partition by place, id order by seq) before from chaos_move) x where before is not null and before <> old limit 100`)
	for _, what := range gaps {
		a.violate("illegal moves", nil, "%s", what)
	}
	wrong, err2 := a.texts(ctx, `select 'process ' || process || ': ' || what from chaos_wrong order by seq limit 100`)
	for _, what := range wrong {
		a.violate("stale writes", nil, "%s", what)
	}
	return errors.Join(rows.Err(), err, err2)
}

// crashes looks for servers that ended by themselves, and for panics.
func (a *account) crashes() {
	if n := a.tally.count["ended by themselves"]; n > 0 {
		a.violate("crashes", nil, "servers ended %d times by themselves", n)
	}
	for _, p := range a.parts {
		said, _ := os.ReadFile(p.log())
		for l := range strings.Lines(string(said)) {
			if strings.HasPrefix(l, "panic:") || strings.Contains(l, "panicked") || strings.Contains(l, "DATA RACE") {
				a.violate("crashes", nil, "%s said: %.400s", p.name, strings.TrimSpace(l))
			}
		}
	}
}

func (a *account) printLoad(ctx context.Context) {
	l := a.load
	fmt.Printf("\nThe account, seed %d\n", a.seed)
	line("operations accepted", fmt.Sprint(l.accepted.Load()), fmt.Sprintf("in %.0f s by %d clients: %d resources made, and what followed", a.drove.Seconds(), a.clients, l.created.Load()))
	line("repeated creates", fmt.Sprint(l.repeated.Load()), "under one key, of resources that were made")
	line("refused", fmt.Sprint(l.refused.Load()), "by the state of the resource: they left nothing")
	line("without an answer", fmt.Sprint(l.unsure.Load()), "the server died or was away")
	line("answered with 5xx", fmt.Sprint(l.failed.Load()), "SQL was away, or what became of a commit is not known")
	line("quiet again after", fmt.Sprintf("%.1f s", a.settled.Seconds()), "from the end of the faults until nothing was under way")
	line("resources done", fmt.Sprint(a.done), "are where the last accepted operation leads")
	line("ended in an error", fmt.Sprint(a.error), "and say why")
	for _, q := range []struct{ what, sql, meaning string }{
		{"processes", `select count(*)::text from process_instance`, "all of them ended"},
		{"state moves", `select count(*)::text from chaos_move`, "seen by SQL itself"},
		{"runs taken over", `select count(*)::text from chaos_takeover`, "from servers that did not show life"},
	} {
		if n, err := a.texts(ctx, q.sql); err == nil && len(n) == 1 {
			line(q.what, n[0], q.meaning)
		}
	}
	h := a.hosts
	h.mu.Lock()
	line("effects at the hosts", fmt.Sprint(h.effects), fmt.Sprintf("by %d commands; %d found it done, %d were refused as stale", h.asked.Load(), h.repeated, h.refused))
	h.mu.Unlock()
	if n := a.messages.Lost.Load(); n > 0 {
		line("messages lost", fmt.Sprint(n), fmt.Sprintf("%d came twice, %d late", a.messages.Repeated.Load(), a.messages.Delayed.Load()))
	}
	if n := a.commits.Lost.Load(); n > 0 {
		line("answers to commits lost", fmt.Sprint(n), "")
	}
	for _, what := range slices.Sorted(maps.Keys(a.tally.count)) {
		line(what, fmt.Sprint(a.tally.count[what]), "")
	}
}

// printRecovery tells how long the work of servers that died lay still.
func (a *account) printRecovery(ctx context.Context) error {
	rows, err := a.db.QueryContext(ctx, `select at, coalesce(server, '') from chaos_takeover`)
	if err != nil {
		return err
	}
	defer rows.Close()
	gaps := map[bool][]time.Duration{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for rows.Next() {
		var at int64
		var server string
		if err := rows.Scan(&at, &server); err != nil {
			return err
		}
		for _, d := range a.deaths[server] {
			if at >= d.at && (at < d.until || d.until == 0) {
				gaps[d.frozen] = append(gaps[d.frozen], time.Duration(at-d.at)*time.Millisecond)
			}
		}
	}
	a.printGaps("recovery of the killed", gaps[false])
	a.printGaps("recovery of the frozen", gaps[true])
	return rows.Err()
}

func (a *account) printGaps(what string, gaps []time.Duration) {
	if len(gaps) == 0 {
		return
	}
	slices.Sort(gaps)
	at := func(share float64) time.Duration { return gaps[min(int(share*float64(len(gaps))), len(gaps)-1)] }
	verdict := "ok"
	if at(0.99) > 10*time.Second {
		verdict = "MISSED"
	}
	line(what, fmt.Sprintf("%.1f s", at(0.99).Seconds()), fmt.Sprintf("99th percentile of %d runs, goal 10 s %s; median %.1f s, longest %.1f s; by design a lease of %.0f s and a look each second",
		len(gaps), verdict, at(0.5).Seconds(), gaps[len(gaps)-1].Seconds(), lease.Seconds()))
}

// tell prints all that is known about a violation.
func (a *account) tell(ctx context.Context, v violation) {
	fmt.Printf("\n%d violations. ", len(a.violations))
	for i, other := range a.violations {
		if i < 20 {
			fmt.Printf("\n  %s: %s", other.kind, other.what)
		}
	}
	fmt.Printf("\n\nThe story of the first, %s: %s\n", v.kind, v.what)
	t := v.of
	if t == nil {
		return
	}
	fmt.Println("Its client:")
	for _, s := range t.story {
		fmt.Println("  " + s)
	}
	key := a.rows[t.uuid]
	fmt.Println("Its processes:")
	processes, _ := a.texts(ctx, `select to_char(to_timestamp(start_time/1000.0), 'HH24:MI:SS.MS') || ' ' || process_name || ' ' || id || ' by ' || coalesce(start_process_server_id, '-') || ' after ' || coalesce(parent_process_id::text, 'a request') || ', ended ' ||
		coalesce(to_char(to_timestamp(end_time/1000.0), 'HH24:MI:SS.MS'), 'never') || ' as ' || coalesce(exit_reason, '-') || ' in epoch ' || run_epoch || ' ' || coalesce(last_error, '')
		from process_instance where resource_type = $1 and resource_id = $2 order by id`, key.typ, fmt.Sprint(key.id))
	for _, s := range processes {
		fmt.Println("  " + s)
	}
	fmt.Println("Its states:")
	states, _ := a.texts(ctx, `select to_char(to_timestamp(at/1000.0), 'HH24:MI:SS.MS') || ' ' || old || ' to ' || new || ' by process ' || coalesce(process::text, '-')
		from chaos_move where place = $1 and id = $2 order by seq`, resource.All.Type(t.kind.typ).Table, key.id)
	for _, s := range states {
		fmt.Println("  " + s)
	}
	fmt.Println("Its hosts:")
	a.hosts.mu.Lock()
	defer a.hosts.mu.Unlock()
	for _, s := range a.hosts.story[t.uuid] {
		fmt.Println("  " + s)
	}
}
