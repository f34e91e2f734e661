package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		if err := s.Unmigrate(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// Every declared column can be written and read back: the migrations and the
// declarations agree.
func TestEveryTypeFitsItsTable(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		for _, typ := range resource.All.Tables() {
			if typ.Field("id").Type != "int" {
				continue // kept for clients that list it; it never has rows
			}
			row := store.NewRow(typ, 1, nil)
			for _, f := range typ.Columns() {
				if f.Name == "id" || f.Name == "data" || row.Get(f.Name) != nil {
					continue
				}
				switch {
				case f.Type == "boolean":
					row.Set(f.Name, true)
				case f.Type == "string" || f.Type == "enum" || f.Type == "map[json]":
					row.Set(f.Name, "x")
				default:
					row.Set(f.Name, int64(7))
				}
			}
			err := s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) })
			if err != nil {
				t.Errorf("cannot insert a %s: %v", typ.Name, err)
				continue
			}
			got, err := s.Get(ctx, typ, row.ID())
			if err != nil {
				t.Errorf("cannot read a %s: %v", typ.Name, err)
				continue
			}
			for _, f := range typ.Columns() {
				if got.Get(f.Name) != row.Get(f.Name) {
					t.Errorf("%s.%s was written as %#v and read as %#v", typ.Name, f.Name, row.Get(f.Name), got.Get(f.Name))
				}
			}
		}
	})
}

func TestALaunchMovesTheResourceAndRecordsTheProcessTogether(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("account"), 1, map[string]any{"kind": "user"})
		broken := errors.New("broken")
		err := s.Write(ctx, "test", func(tx *store.Tx) error {
			if _, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row}); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, row.Type(), row.ID()); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("the row is there although the launch was rolled back: %v", err)
		}
		var launched *store.Launched
		row = store.NewRow(row.Type(), 1, nil)
		err = s.Write(ctx, "test", func(tx *store.Tx) (err error) {
			launched, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row})
			return err
		})
		if err != nil || launched.Reason != process.Scheduled || row.State() != "registering" {
			t.Fatalf("launch: %v, %+v, state %s", err, launched, row.State())
		}
	})
}

func TestOnlyOneRunHasAProcess(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("account"), 1, nil)
		var launched *store.Launched
		must(t, s.Write(ctx, "test", func(tx *store.Tx) error {
			var err error
			launched, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row})
			return err
		}))
		id := launched.ID
		claim := func(lease int64) (p *store.Process, err error) {
			err = s.Write(ctx, "claim", func(tx *store.Tx) error { p, err = tx.Claim(ctx, id, "here", lease); return err })
			return p, err
		}
		first, err := claim(-1) // a lease that has run out already
		must(t, err)
		second, err := claim(60_000)
		must(t, err)
		if !second.Terminated || second.RunEpoch != first.RunEpoch+1 {
			t.Fatalf("the second run does not know that the first died: %+v", second)
		}
		if _, err := claim(60_000); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a third run claimed it as well: %v", err)
		}
		typ := resource.All.Type("host")
		writes := map[string]func(tx *store.Tx, p *store.Process) error{
			"finish": func(tx *store.Tx, p *store.Process) error { return tx.Finish(ctx, p, process.Done) },
			"pause": func(tx *store.Tx, p *store.Process) error {
				_, _, err := tx.Pause(ctx, p, store.Pause{})
				return err
			},
			"renew": func(tx *store.Tx, p *store.Process) error { return tx.Renew(ctx, p, 60_000, "") },
			"write something": func(tx *store.Tx, p *store.Process) error {
				if err := tx.Insert(ctx, store.NewRow(typ, 1, nil)); err != nil {
					return err
				}
				return tx.Fence(ctx, p)
			},
		}
		refused := func(p *store.Process, who string) {
			t.Helper()
			for what, write := range writes {
				if err := s.Write(ctx, what, func(tx *store.Tx) error { return write(tx, p) }); !errors.Is(err, store.ErrFenced) {
					t.Errorf("%s could %s: %v", who, what, err)
				}
			}
		}
		refused(first, "the run that lost its lease")
		must(t, s.Write(ctx, "finish", func(tx *store.Tx) error { return writes["finish"](tx, second) }))
		refused(second, "a run whose process has ended")
		if rows, err := s.Find(ctx, typ, nil); err != nil || len(rows) > 0 {
			t.Errorf("what was refused is there: %d rows, %v", len(rows), err)
		}
	})
}

// A wake that comes while an attempt is under way is seen when the attempt ends: the
// process is due at once, however long it wanted to wait.
func TestAWakeDuringAnAttemptIsNotLost(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		for what, wake := range map[string]func(row *schema.Row){
			"": func(*schema.Row) {},
			"a launch": func(row *schema.Row) {
				must(t, s.Write(ctx, "test", func(tx *store.Tx) error {
					_, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.remove"), Row: row})
					return err
				}))
			},
			"a reply": func(*schema.Row) {
				bells, err := s.StoreReply(ctx, "asked", 7, false, []byte("{}"))
				if must(t, err); len(bells) != 1 {
					t.Errorf("a reply wakes %d processes", len(bells))
				}
			},
		} {
			row := store.NewRow(resource.All.Type("account"), 1, nil)
			var l *store.Launched
			must(t, s.Write(ctx, "test", func(tx *store.Tx) (err error) {
				l, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row})
				return err
			}))
			var p *store.Process
			must(t, s.Write(ctx, "claim", func(tx *store.Tx) (err error) {
				if p, err = tx.Claim(ctx, l.ID, "here", 60_000); err == nil && what == "a reply" {
					err = tx.SaveRequest(ctx, store.Request{ID: "asked", ProcessID: l.ID, StepKey: "step", AgentID: 7, Name: "ping"})
				}
				return err
			}))
			wake(row)
			var due bool
			must(t, s.Write(ctx, "pause", func(tx *store.Tx) (err error) {
				_, due, err = tx.Pause(ctx, p, store.Pause{DelayMillis: 60_000})
				return err
			}))
			err := s.Write(ctx, "claim", func(tx *store.Tx) error { _, err := tx.Claim(ctx, l.ID, "there", 60_000); return err })
			if woken := what != ""; due != woken || woken && err != nil || !woken && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("woken by %q it is due: %v; who looks is answered %v", what, due, err)
			}
		}
	})
}

// Of those that wait for one resource the next is the one with the highest priority, of
// equals the oldest; of all that are due the same are looked at first.
func TestTheMostUrgentIsNext(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("agent"), 1, map[string]any{"state": "active"})
		must(t, s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }))
		named := map[int64]string{}
		for _, l := range []struct {
			name     string
			priority int
		}{{"old", 0}, {"urgent", 100}, {"as urgent", 100}, {"young", 0}} {
			must(t, s.Write(ctx, "test", func(tx *store.Tx) error {
				launched, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("agent.reconnect"), Row: row, Priority: l.priority})
				if err == nil {
					named[launched.ID] = l.name
				}
				return err
			}))
		}
		due, err := s.Due(ctx, 2)
		must(t, err)
		for _, b := range due {
			if b.Priority != 100 {
				t.Errorf("%s is looked at first", named[b.ID])
			}
		}
		for _, want := range []string{"urgent", "as urgent", "old", "young"} {
			var bells []store.Bell
			must(t, s.Write(ctx, "test", func(tx *store.Tx) error { return tx.WakeNext(ctx, "agent", row.Key(), 0, &bells) }))
			if len(bells) != 1 || named[bells[0].ID] != want {
				t.Fatalf("next is %v, not %s", bells, want)
			}
			var p *store.Process
			must(t, s.Write(ctx, "test", func(tx *store.Tx) (err error) { p, err = tx.Claim(ctx, bells[0].ID, "here", 60_000); return err }))
			must(t, s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Finish(ctx, p, process.Canceled) }))
		}
	})
}

// What waits for a commit is done after it, once, and never where there is none.
func TestWhatWaitsForTheCommitWaits(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, done := t.Context(), 0
		s := testkit.Store(t, address)
		refused := errors.New("refused")
		s.Seam = func(at store.Seam, label string) error {
			if at == store.Committing {
				if done != 0 {
					t.Error("it is done before the commit")
				}
				if label == "refused" {
					return refused
				}
			}
			return nil
		}
		write := func(label string) error {
			return s.Write(ctx, label, func(tx *store.Tx) error {
				tx.After(func() { done++ })
				return tx.Insert(ctx, store.NewRow(resource.All.Type("host"), 1, nil))
			})
		}
		if err := write("refused"); !errors.Is(err, refused) || done != 0 {
			t.Errorf("of a commit that was refused %d times: %v", done, err)
		}
		if err := write("made"); err != nil || done != 1 {
			t.Errorf("of a commit %d times: %v", done, err)
		}
	})
}

func TestAWriteOfAnOldCopyIsRefused(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		typ := resource.All.Type("host")
		row := store.NewRow(typ, 1, nil)
		must(t, s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }))
		old, err := s.Get(ctx, typ, row.ID())
		must(t, err)
		row.Set("name", "first")
		must(t, s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Update(ctx, row) }))
		old.Set("name", "second")
		err = s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Update(ctx, old) })
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("a write over a newer one: %v", err)
		}
	})
}

func TestPagesByMarkerMissNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		typ := resource.All.Type("host")
		must(t, s.Write(ctx, "test", func(tx *store.Tx) error {
			for i := range 25 {
				values := map[string]any{}
				if i%3 != 0 {
					values["name"] = string(rune('a' + i%5))
				}
				if err := tx.Insert(ctx, store.NewRow(typ, 1, values)); err != nil {
					return err
				}
			}
			return nil
		}))
		for _, q := range []store.Query{{}, {Descending: true}, {Sort: typ.Field("name")}, {Sort: typ.Field("name"), Descending: true}, {Sort: typ.Field("created")}} {
			q.Type, q.Limit = typ, 4
			seen := map[int64]bool{}
			for {
				page, err := s.List(ctx, q)
				must(t, err)
				for _, r := range page.Rows {
					if seen[r.ID()] {
						t.Fatalf("row %d is on two pages", r.ID())
					}
					seen[r.ID()] = true
				}
				if page.Next == "" {
					break
				}
				q.Marker = page.Next
			}
			if len(seen) != 25 {
				t.Fatalf("%d of 25 rows were listed", len(seen))
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEndedProcessesAreForgottenWithTheirLogs(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		for i := range 7 {
			row := store.NewRow(resource.All.Type("account"), 1, nil)
			must(t, s.Write(ctx, "test", func(tx *store.Tx) error {
				l, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row})
				if err != nil || i%2 == 1 {
					return err
				}
				if _, err := tx.Now(ctx); err != nil { // the id comes with what is waited for
					return err
				}
				p, err := tx.Claim(ctx, l.ID, "here", 1000)
				if err != nil {
					return err
				}
				if err := tx.Log(ctx, p, store.Attempt{UUID: row.UUID(), Text: "{}"}); err != nil {
					return err
				}
				return tx.Finish(ctx, p, process.Done)
			}))
		}
		must(t, s.ForgetEnded(ctx, 3_600_000, 2)) // none is an hour old
		count := func(typ string) int {
			rows, err := s.Find(ctx, resource.All.Type(typ), nil)
			must(t, err)
			return len(rows)
		}
		if n := count("processInstance"); n != 7 {
			t.Fatalf("%d of 7 are left", n)
		}
		for end := time.Now().Add(10 * time.Second); count("processInstance") != 3; { // once they are a millisecond old
			must(t, s.ForgetEnded(ctx, 1, 2))
			if time.Now().After(end) {
				t.Fatalf("%d processes are left, not the 3 that are pending", count("processInstance"))
			}
		}
		if n := count("processExecution"); n != 0 {
			t.Fatalf("%d logs are left of nothing", n)
		}
	})
}
