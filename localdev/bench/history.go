package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
)

// history measures what is asked all the time of a database in which nothing has ended
// yet, and again after many processes have. It asks the store itself: the times are the
// database's, not those of a request.
func (b *bencher) history(ctx context.Context) error {
	d, err := newDatabases(ctx)
	if err != nil {
		return err
	}
	defer d.drop()
	s, err := store.Open(ctx, d.postgres)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	raw, err := sql.Open("pgx", d.postgres)
	if err != nil {
		return err
	}
	defer raw.Close()
	empty, err := asked(ctx, s, raw)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fill(ctx, raw, b.ended); err != nil {
		return fmt.Errorf("cannot fill the history: %w", err)
	}
	line("filled", fmt.Sprintf("%.0f s", time.Since(began).Seconds()), fmt.Sprintf("%d ended processes and a third as many logs", b.ended))
	full, err := asked(ctx, s, raw)
	if err != nil {
		return err
	}
	for i, q := range full {
		slices.Sort(empty[i].took)
		slices.Sort(q.took)
		before, after := empty[i].took, q.took
		line(q.name, ms(quantile(after, 0.5)), fmt.Sprintf("p99 %s; while nothing had ended %s and %s", ms(quantile(after, 0.99)),
			ms(quantile(before, 0.5)), ms(quantile(before, 0.99))))
	}
	return nil
}

// fill makes processes that have ended, the oldest first, in pieces.
func fill(ctx context.Context, db *sql.DB, ended int) error {
	const piece = 500_000
	for from := 0; from < ended; from += piece {
		to := min(from+piece, ended)
		for _, text := range []string{
			`insert into process_instance (start_time, end_time, process_name, resource_type, resource_id, result, exit_reason, phase, data, due_at, attempts, run_epoch, start_process_server_id)
				select 1700000000000 + i, 1700000000900 + i, 'instance.start', 'instance', (i / 3)::text, 'SUCCESS', 'DONE', 'DONE', '{"k": 1}', 1700000000000 + i, 1, 1, 'abcdef0123456789'
				from generate_series($1::bigint, $2::bigint) i`,
			`insert into process_execution (process_instance_id, uuid, log, created)
				select i, gen_random_uuid()::text, repeat('{"executions": []} ', 20), (extract(epoch from clock_timestamp())*1000)::bigint
				from generate_series($1::bigint, $2::bigint, 3) i`,
		} {
			if _, err := db.ExecContext(ctx, text, from+1, to); err != nil {
				return err
			}
		}
	}
	_, err := db.ExecContext(ctx, "vacuum analyze process_instance, process_execution")
	return err
}

// question is one thing that is asked, and how long its answers took.
type question struct {
	name string
	took []time.Duration
}

// asked asks everything a number of times.
func asked(ctx context.Context, s *store.Store, raw *sql.DB) ([]question, error) {
	const times = 200
	volumes, instances, logs := resource.All.Type("volume"), resource.All.Type("processInstance"), resource.All.Type("processExecution")
	ofOne := []store.Condition{{Column: instances.Field("resourceType"), Modifier: "eq", Value: "instance"},
		{Column: instances.Field("resourceId"), Modifier: "eq", Value: "777"}}
	pending := []store.Condition{{Column: instances.Field("endTime"), Modifier: "null"}}
	var id int64
	var p *store.Process
	list := func(q store.Query) func() error {
		return func() error { _, err := s.List(ctx, q); return err }
	}
	index := func() error { // what a migration does that adds an index of what is pending
		_, err := raw.ExecContext(ctx, `create index bench_pending on process_instance (id) where end_time is null; drop index bench_pending`)
		return err
	}
	write := func(f func(*store.Tx) error) func() error {
		return func() error { return s.Write(ctx, "bench", f) }
	}
	questions := []struct {
		name  string
		times int
		ask   func() error
	}{
		{"launch", times, write(func(t *store.Tx) error {
			l, err := t.Launch(ctx, store.Launch{Process: resource.All.Process("volume.create"), Row: store.NewRow(volumes, 1, nil), Server: "bench"})
			t.After(func() { id = l.ID })
			return err
		})},
		{"due", times, func() error { _, err := s.Due(ctx, 500); return err }},
		{"claim and finish", times, func() error {
			if err := write(func(t *store.Tx) (err error) { p, err = t.Claim(ctx, id, "bench", 60_000); return err })(); err != nil {
				return err
			}
			return write(func(t *store.Tx) error {
				var bells []store.Bell
				err := t.Log(ctx, p, store.Attempt{UUID: word(32), Text: "{}"})
				return errors.Join(err, t.Finish(ctx, p, process.Done), t.WakeNext(ctx, "volume", fmt.Sprint(p.ResourceID), id, &bells))
			})()
		}},
		{"first page", times, list(store.Query{Type: instances, Limit: 100})},
		{"last page", times, list(store.Query{Type: instances, Limit: 100, Descending: true})},
		{"pending", times, list(store.Query{Type: instances, Limit: 100, Conditions: pending})},
		{"of a resource", times, list(store.Query{Type: instances, Limit: 100, Conditions: ofOne, Sort: instances.Field("startTime")})},
		{"first logs", times, list(store.Query{Type: logs, Limit: 100})},
		{"logs of a process", times, list(store.Query{Type: logs, Limit: 100, Conditions: []store.Condition{
			{Column: logs.Field("processInstanceId"), Modifier: "eq", Value: int64(778)}}})},
		{"tables of logs", 5, func() error { return s.PrepareLogs(ctx, 7) }},
		{"migrating", 5, func() error { return s.Migrate(ctx) }},
		{"a new index", 3, index},
	}
	out := make([]question, len(questions))
	for i, q := range questions {
		out[i].name = q.name
		for n := range q.times {
			if q.name == "claim and finish" { // one that nobody has had
				if err := questions[0].ask(); err != nil {
					return nil, fmt.Errorf("cannot launch: %w", err)
				}
			}
			began := time.Now()
			if err := q.ask(); err != nil {
				return nil, fmt.Errorf("cannot ask for %s the time %d: %w", q.name, n, err)
			}
			out[i].took = append(out[i].took, time.Since(began))
		}
	}
	forgotten, err := forgetSome(ctx, s, raw)
	return append(out, forgotten), err
}

// forgetSome makes the oldest processes the only ones that are too old, and erases them
// a page at a time.
func forgetSome(ctx context.Context, s *store.Store, raw *sql.DB) (question, error) {
	const page, pages = 1000, 20
	q := question{name: "a page forgotten"}
	for range pages {
		var end sql.NullInt64
		err := raw.QueryRowContext(ctx, `select max(end_time) from (select end_time from process_instance where end_time is not null order by id limit $1) oldest`, page).Scan(&end)
		if err != nil {
			return q, err
		}
		now, err := s.Now(ctx)
		if err != nil {
			return q, err
		}
		began := time.Now()
		if err := s.ForgetEnded(ctx, max(now-end.Int64-1, 1), page); err != nil {
			return q, err
		}
		q.took = append(q.took, time.Since(began))
	}
	return q, nil
}
