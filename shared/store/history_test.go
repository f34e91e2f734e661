package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// numbers begins a statement that reads the numbers from 1 up as n(i).
func numbers(to int) string {
	return fmt.Sprintf("with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) ", to)
}

// surgery does to a database what no part of Cattle does.
func surgery(t *testing.T, s *store.Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.Exec(context.Background(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// claimed launches a process and claims it.
func claimed(t *testing.T, s *store.Store) (p *store.Process) {
	t.Helper()
	ctx := context.Background()
	write(t, s, func(tx *store.Tx) error {
		l, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("volume.create"), Row: store.NewRow(resource.All.Type("volume"), 1, nil), Server: "here"})
		if err == nil {
			err = tx.Settle(ctx) // the id comes with it
		}
		if err != nil {
			return err
		}
		p, err = tx.Claim(ctx, l.ID, "here", 60_000)
		return err
	})
	return p
}

func logs(t *testing.T, s *store.Store, match process.Match) []*schema.Row {
	t.Helper()
	rows, err := s.Find(context.Background(), resource.All.Type("processExecution"), match)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func attempt() store.Attempt { return store.Attempt{UUID: uuid.NewString(), Text: "{}"} }

// Ten hours of attempts, ten in each, leave the first, one of each hour and the last
// ten. Another process's logs stay, and so do those of one that was hardly tried.
func TestOfManyAttemptsAFewLogsAreKept(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		p, other := claimed(t, s), claimed(t, s)
		for _, id := range []int64{p.ID, other.ID} {
			surgery(t, s, `insert into process_execution (process_instance_id, uuid, log, created) `+numbers(100)+
				fmt.Sprintf(`select %d, '%d-' || i, '{}', 1800000000000 + (i - 1) * 360000 from n`, id, id))
		}
		p.RunEpoch = 101
		write(t, s, func(tx *store.Tx) error { return tx.Log(ctx, p, attempt()) })
		write(t, s, func(tx *store.Tx) error { return tx.Log(ctx, other, attempt()) })
		if n := len(logs(t, s, process.Match{"processInstanceId": other.ID})); n != 101 {
			t.Errorf("of a process that was claimed once %d logs are left", n)
		}
		var got, want []string
		for _, l := range logs(t, s, process.Match{"processInstanceId": p.ID}) {
			got = append(got, strings.TrimPrefix(l.Str("uuid"), fmt.Sprint(p.ID, "-")))
		}
		for i := 1; i <= 100; i++ {
			if (i-1)%10 == 0 || i > 91 {
				want = append(want, fmt.Sprint(i))
			}
		}
		if len(got) != len(want)+1 || !slices.Equal(got[:len(want)], want) {
			t.Errorf("left are %v, not %v and the new one", got, want)
		}
	})
}

// The logs of a day are dropped when the day is over for long enough; what came on a
// day without a table of its own goes as well, and no log is ever refused.
func TestLogsAreForgottenByTheDay(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		p := claimed(t, s)
		now, err := s.Now(ctx)
		must(t, err)
		const day = int64(86_400_000)
		if s.Postgres() {
			at := time.UnixMilli(now - 5*day).UTC()
			surgery(t, s, fmt.Sprintf(`create table process_execution_%s partition of process_execution for values from (%d) to (%d)`,
				at.Format("20060102"), at.UnixMilli()/day*day, at.UnixMilli()/day*day+day))
		}
		must(t, s.PrepareLogs(ctx, 3))
		for i, ago := range []int64{40, 5, 2, 0, -2, -100} { // the clock of a server may be moved
			surgery(t, s, fmt.Sprintf(`insert into process_execution (process_instance_id, uuid, log, created) values (%d, 'log %d', '{}', %d)`, p.ID, i, now-ago*day))
		}
		write(t, s, func(tx *store.Tx) error { return tx.Log(ctx, p, attempt()) })
		must(t, s.ForgetLogs(ctx, 0, 1))
		if n := len(logs(t, s, nil)); n != 7 {
			t.Fatalf("with an age of 0 there are %d logs, not all", n)
		}
		for range 2 { // a second leader does the same
			must(t, s.ForgetLogs(ctx, 3*day, 1))
			must(t, s.PrepareLogs(ctx, 120))
		}
		var left []string
		for _, l := range logs(t, s, nil) {
			left = append(left, l.Str("uuid"))
		}
		if len(left) != 5 || slices.Contains(left, "log 0") || slices.Contains(left, "log 1") {
			t.Errorf("left are %v", left)
		}
		if s.Postgres() {
			days, err := s.LogDays(ctx)
			must(t, err)
			if len(days) != 120 { // today and 120 more, without the one that has a log already
				t.Errorf("there are tables for %d days", len(days))
			}
		}
	})
}

// Two servers make the tables of days at once while a run holds its transaction open
// with a log in it: nobody waits for anybody, and nothing is made twice.
func TestTablesOfDaysAreMadeBesideTheWork(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s := testkit.Store(t, address)
		if !s.Postgres() {
			must(t, s.PrepareLogs(ctx, 30)) // has none to make
			return
		}
		p := claimed(t, s)
		open, err := s.Begin(ctx, "open")
		must(t, err)
		defer open.Rollback()
		must(t, open.Log(ctx, p, attempt()))
		_, err = open.Now(ctx) // the log is written now
		must(t, err)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := s.PrepareLogs(ctx, 30); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		must(t, open.Commit(ctx))
		if days, err := s.LogDays(ctx); err != nil || len(days) != 31 {
			t.Errorf("there are %d tables of days: %v", len(days), err)
		}
	})
}

// However much has ended, what is asked all the time reads little: it goes by an index
// and stops.
func TestWhatHasEndedMakesNothingDearer(t *testing.T) {
	t.Parallel()
	const ended, busiest = 300_000, 20_000 // of them, of one resource
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		surgery(t, s, `insert into process_instance (start_time, end_time, process_name, resource_type, resource_id, result, due_at) `+numbers(ended)+
			fmt.Sprintf(`select i, i + 1, 'instance.start', 'instance', cast(case when i %% %d = 0 then 7 else i end as varchar(128)), 'SUCCESS', i from n`, ended/busiest),
			`insert into process_execution (process_instance_id, uuid, log, created) `+numbers(ended/3)+`select i, 'u' || i, '{}', 1800000000000 + i from n`,
			`insert into process_instance (start_time, process_name, resource_type, resource_id, due_at) `+numbers(3000)+
				`select 400000 + i, 'instance.start', 'instance', cast(i as varchar(128)), case when i % 2 = 0 then 1 else 9000000000000 end from n`,
			`analyze`)
		p := claimed(t, s)
		instances := resource.All.Type("processInstance")
		ofOne := []store.Condition{{Column: instances.Field("resourceType"), Modifier: "eq", Value: "instance"},
			{Column: instances.Field("resourceId"), Modifier: "eq", Value: "7"}}
		logged := resource.All.Type("processExecution")
		plans, err := s.HistoryPlans(ctx, p.ID, map[string]store.Query{
			"first page":           {Type: instances, Limit: 100, Current: true},
			"last page":            {Type: instances, Limit: 100, Descending: true},
			"a page in the middle": {Type: instances, Limit: 100, Marker: store.Behind(ended / 2)},
			"of a resource":        {Type: instances, Limit: 100, Conditions: ofOne, Sort: instances.Field("startTime")},
			"its latest":           {Type: instances, Limit: 100, Conditions: ofOne, Sort: instances.Field("startTime"), Descending: true},
			"pending":              {Type: instances, Limit: 100, Conditions: []store.Condition{{Column: instances.Field("endTime"), Modifier: "null"}}},
			"first logs":           {Type: logged, Limit: 100},
			"last logs":            {Type: logged, Limit: 100, Descending: true},
			"logs of a process": {Type: logged, Limit: 100, Conditions: []store.Condition{
				{Column: logged.Field("processInstanceId"), Modifier: "eq", Value: int64(77)}}},
		})
		must(t, err)
		if len(plans) != 18 {
			t.Errorf("there are %d plans", len(plans))
		}
		for name, plan := range plans {
			if !s.Postgres() {
				if strings.Contains(plan.Text, "TEMP B-TREE") && !slices.Contains([]string{"next", "trim", "pending"}, name) {
					t.Errorf("%s sorts:\n%s", name, plan.Text)
				}
				paged := strings.Contains(name, "page") || strings.HasSuffix(name, "logs") // these walk the table, as far as the page
				if strings.Contains(plan.Text, "SCAN r") && !strings.Contains(plan.Text, "USING INDEX") && !paged || strings.Contains(plan.Text, "SCAN process_") && !strings.Contains(plan.Text, "USING") {
					t.Errorf("%s reads a whole table:\n%s", name, plan.Text)
				}
				continue
			}
			if plan.Rows > 12_000 { // what is pending or on the page, once for each step of the plan
				t.Errorf("%s reads %d rows:\n%s", name, plan.Rows, plan.Text)
			}
			if strings.Contains(plan.Text, "Seq Scan on process_instance") {
				t.Errorf("%s goes by no index:\n%s", name, plan.Text)
			}
		}
	})
}

// Two ask at once for what is due, while a leader that thinks that it still leads asks
// too: each gets the most urgent first, and only what is due.
func TestTheMostUrgentComesFirst(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		surgery(t, s, `insert into process_instance (id, start_time, process_name, resource_type, resource_id, priority, due_at, lease_until) values
			(1, 1, 'x', 'instance', '1', 0, 5, null), (2, 1, 'x', 'instance', '2', 100, 9, null), (3, 1, 'x', 'instance', '3', 0, 4, 7),
			(4, 1, 'x', 'instance', '4', 100, 9000000000000, null), (5, 1, 'x', 'instance', '5', 0, 3, 9000000000000), (6, 1, 'x', 'instance', '6', 100, 8, null)`)
		due, err := s.Due(ctx, 3)
		must(t, err)
		var ids []int64
		for _, b := range due {
			ids = append(ids, b.ID)
		}
		if !slices.Equal(ids, []int64{6, 2, 3}) {
			t.Errorf("due are %v", ids)
		}
		if since, err := s.OldestRunnable(ctx, 1_000_000); err != nil || since != 7 {
			t.Errorf("the oldest is due since %d: %v", since, err)
		}
		surgery(t, s, `update process_instance set end_time = 10`)
		if since, err := s.OldestRunnable(ctx, 1_000_000); err != nil || since != 0 {
			t.Errorf("with nothing pending the oldest is due since %d: %v", since, err)
		}
	})
}
