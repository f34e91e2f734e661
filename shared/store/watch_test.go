package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// What has ended does not make a look of the watch dearer: it reads what is pending
// through indexes, and of resources a window of ids.
func TestTheWatchReadsWhatIsPendingAlone(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		numbers := "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
		for _, text := range []string{
			`insert into process_instance (start_time, end_time, process_name, resource_type, resource_id, result, due_at)
				` + fmt.Sprintf(numbers, 60_000) + `select 1, 2, 'instance.start', 'instance', cast(i as varchar(128)), 'SUCCESS', 1 from n`,
			`insert into process_instance (start_time, process_name, resource_type, resource_id, due_at)
				` + fmt.Sprintf(numbers, 600) + `select 1, 'instance.stop', 'instance', cast(i as varchar(128)), 1 from n`,
			`insert into instance (kind, uuid, state, created) ` + fmt.Sprintf(numbers, 60_000) + `select 'container', 'u' || i, 'removed', 1 from n`,
			`analyze`,
		} {
			if err := s.Exec(ctx, text); err != nil {
				t.Fatal(err)
			}
		}
		plans, err := s.WatchPlans(ctx, resource.All.Type("instance"))
		if err != nil {
			t.Fatal(err)
		}
		for name, plan := range plans {
			for _, line := range strings.Split(plan, "\n") {
				whole := strings.Contains(line, "Seq Scan on ") || strings.Contains(line, "SCAN ") && !strings.Contains(line, "USING") &&
					!strings.Contains(line, "SCAN standing") && !strings.Contains(line, "SCAN stay") && !strings.Contains(line, "SCAN urgency") && !strings.Contains(line, "SCAN CONSTANT ROW")
				if whole {
					t.Errorf("%s reads a whole table:\n%s", name, plan)
				}
			}
		}
		if len(plans) != 4 {
			t.Errorf("there are %d plans", len(plans))
		}
	})
}

// Every process that has not ended is counted once, where it stands.
func TestEveryPendingProcessStandsSomewhere(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		def := resource.All.Process("volume.create")
		launch := func() int64 {
			var id int64
			write(t, s, func(tx *store.Tx) error {
				l, err := tx.Launch(ctx, store.Launch{Process: def, Row: store.NewRow(resource.All.Type("volume"), now, nil), Server: "here"})
				tx.After(func() { id = l.ID })
				return err
			})
			return id
		}
		claim := func(id int64) (p *store.Process) {
			write(t, s, func(tx *store.Tx) (err error) { p, err = tx.Claim(ctx, id, "here", 60_000); return err })
			return p
		}
		pause := func(w store.Pause) {
			p := claim(launch())
			write(t, s, func(tx *store.Tx) error { _, _, err := tx.Pause(ctx, p, w); return err })
		}
		launch()
		claim(launch())
		pause(store.Pause{DelayMillis: 60_000, Holding: true, WaitAgent: 7})
		pause(store.Pause{DelayMillis: 60_000, Holding: true})
		pause(store.Pause{DelayMillis: 60_000, Reason: process.ResourceBusy, Busy: true})
		pause(store.Pause{DelayMillis: 60_000, Reason: process.UnknownException})
		ended := claim(launch())
		write(t, s, func(tx *store.Tx) error { return tx.Finish(ctx, ended, process.Done) })
		old := launch()
		if err := s.Exec(ctx, "update process_instance set start_time = start_time - 3600000, due_at = due_at - 5000 where id = ?", old); err != nil {
			t.Fatal(err)
		}
		if now, err = s.Now(ctx); err != nil {
			t.Fatal(err)
		}
		standings, err := s.Standings(ctx, now+1000)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]store.Standing{}
		for _, x := range standings {
			got[x.Where] = x
		}
		for where, n := range map[string]int{store.Running: 1, store.Runnable: 2, store.WaitsForAgent: 1, store.WaitsForHandler: 1, store.WaitsForResource: 1, store.WaitsForRetry: 1} {
			if x := got[where]; x.Count != n || x.Process != def.Name {
				t.Errorf("%s: %+v", where, x)
			}
		}
		if len(got) != 6 || got[store.Runnable].Overdue != 1 {
			t.Errorf("the standings are %+v", standings)
		}
		since, err := s.OldestRunnable(ctx, now)
		if age := now - since; err != nil || age < 5000 || age > 60_000 {
			t.Errorf("the oldest is runnable for %d ms: %v", age, err)
		}
		late, err := s.LateProcesses(ctx, now, 10)
		if err != nil || len(late) != 1 || late[0].ProcessID != old || late[0].Type != "volume" {
			t.Errorf("late are %+v: %v", late, err)
		}
	})
}

// A resource on its way is overdue after its step's deadline, and unattended when
// neither a process of its own nor one that holds it is there.
func TestAResourceThatNoProcessMovesIsSeen(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		typ := resource.All.Type("volume")
		def := resource.All.Process("volume.create")
		launched := func() (*schema.Row, int64) {
			row := store.NewRow(typ, now, nil)
			var id int64
			write(t, s, func(tx *store.Tx) error {
				l, err := tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: "here"})
				tx.After(func() { id = l.ID })
				return err
			})
			return row, id
		}
		_, holder := launched()
		_, vanished := launched()
		nested := store.NewRow(typ, now, map[string]any{"state": "activating", "claimProcessId": holder})
		atRest := store.NewRow(typ, now, map[string]any{"state": "active"})
		write(t, s, func(tx *store.Tx) error {
			if err := tx.Insert(ctx, nested); err != nil {
				return err
			}
			return tx.Insert(ctx, atRest)
		})
		if err := s.Exec(ctx, "delete from process_instance where id = ?", vanished); err != nil {
			t.Fatal(err)
		}
		look := func(when int64) map[string]store.Stay {
			t.Helper()
			stays, err := s.Stays(ctx, typ, when, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]store.Stay{}
			for _, x := range stays {
				out[x.State] = x
			}
			return out
		}
		in := look(now)
		if in["registering"] != (store.Stay{State: "registering", Count: 2, Unattended: 1}) || in["activating"] != (store.Stay{State: "activating", Count: 1}) || len(in) != 2 {
			t.Errorf("now they are %+v", in)
		}
		deadline := def.Deadline().Milliseconds()
		if in = look(now + deadline - 1000); in["registering"].Overdue != 0 {
			t.Errorf("before the deadline they are %+v", in)
		}
		if in = look(now + deadline + 60_000); in["registering"].Overdue != 2 || in["activating"].Overdue != 1 {
			t.Errorf("after the deadline they are %+v", in)
		}
		late, err := s.LateResources(ctx, typ, now+deadline+60_000, 0, 1000, 10)
		if err != nil || len(late) != 3 {
			t.Fatalf("late are %+v: %v", late, err)
		}
		alone := 0
		for _, l := range late {
			if l.Unattended {
				alone++
			}
			if want := map[string]string{"registering": "volume.create", "activating": "volume.activate"}[l.State]; l.Process != want || l.Since != now {
				t.Errorf("it is said of %s: %+v", l.State, l)
			}
		}
		if alone != 1 {
			t.Errorf("%d of them are alone", alone)
		}
	})
}

// Every transitioning state of every type that is watched has a step with a deadline.
func TestEveryTransitioningStateHasAStepWithADeadline(t *testing.T) {
	t.Parallel()
	watched := 0
	for _, typ := range store.Watched() {
		for _, d := range resource.All.Processes(typ) {
			for _, s := range d.Through {
				if d.StateField() != "state" {
					continue
				}
				watched++
				step := resource.All.Process(store.Step(typ, s))
				if step == nil || !step.IsTransitioning(s) || step.Deadline() <= 0 {
					t.Errorf("%s in state %s has no step", typ.Name, s)
				}
			}
		}
	}
	if watched < 200 {
		t.Errorf("only %d states are watched", watched)
	}
}

func write(t *testing.T, s *store.Store, f func(*store.Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), "test", f); err != nil {
		t.Fatal(err)
	}
}
