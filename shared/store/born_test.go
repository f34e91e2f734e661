package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// What a server has claimed with the launch looks like what it would have claimed
// right after it, and is given to another once the lease has run out.
func TestABornProcessIsOneThatWasClaimed(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		launch := func(lease int64) (*store.Launched, *schema.Row) {
			t.Helper()
			row := store.NewRow(resource.All.Type("account"), 1, map[string]any{"kind": "user"})
			var l *store.Launched
			err := s.Write(ctx, "test", func(tx *store.Tx) (err error) {
				l, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row, Data: map[string]any{"n": 1}, Server: "one", Lease: lease})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return l, row
		}
		claim := func(id, lease int64) (p *store.Process, err error) {
			err = s.Write(ctx, "test", func(tx *store.Tx) (err error) { p, err = tx.Claim(ctx, id, "one", lease); return err })
			return p, err
		}
		late, _ := launch(0)
		claimed, err := claim(late.ID, 60_000)
		if err != nil {
			t.Fatal(err)
		}
		early, row := launch(60_000)
		if early.Born == nil || len(early.Bells) > 0 {
			t.Fatalf("a launch with a lease gave %+v", early)
		}
		a, b := *claimed, *early.Born.Process
		for _, p := range []*store.Process{&a, &b} {
			p.ID, p.ResourceID, p.Started, p.Now = 0, 0, 0, 0
		}
		if a.Data["n"] != b.Data["n"] {
			t.Errorf("the data is %v, and when it was claimed %v", b.Data, a.Data)
		}
		a.Data, b.Data = nil, nil
		if !equal(a, b) {
			t.Errorf("it was born as %+v; claimed it would be %+v", b, a)
		}
		same(t, s, late.ID, early.ID)
		stored, err := s.Get(ctx, row.Type(), row.ID())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(stored.Values(), early.Born.Row.Values()) || stored.Int("claimProcessId") != early.ID || stored.Int("claimEpoch") != 1 {
			t.Errorf("its resource is\n%v, stored as\n%v", early.Born.Row.Values(), stored.Values())
		}
		if _, err := claim(early.ID, 1); err != store.ErrNotFound {
			t.Errorf("another claimed it while its lease ran: %v", err)
		}
		short, _ := launch(1)
		p, err := claim(short.ID, 60_000)
		for deadline := time.Now().Add(10 * time.Second); err == store.ErrNotFound && time.Now().Before(deadline); {
			p, err = claim(short.ID, 60_000)
		}
		if err != nil || p.RunEpoch != 2 || !p.Terminated || p.Attempts != 2 {
			t.Errorf("after its lease it is claimed as %+v, %v", p, err)
		}
	})
}

func equal(a, b store.Process) bool {
	return a.Name == b.Name && a.ResourceType == b.ResourceType && a.Priority == b.Priority && a.Attempts == b.Attempts && a.BusyCount == b.BusyCount &&
		a.RunEpoch == b.RunEpoch && a.WakeSeq == b.WakeSeq && a.WaitAgent == b.WaitAgent && a.Terminated == b.Terminated && a.Canceled == b.Canceled &&
		a.Parent == b.Parent && a.LastError == b.LastError
}

// same compares all columns of two processes that have nothing to do with time or
// their names.
func same(t *testing.T, s *store.Store, one, other int64) {
	t.Helper()
	typ := resource.All.Type("processInstance")
	a, err := s.Get(context.Background(), typ, one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Get(context.Background(), typ, other)
	if err != nil {
		t.Fatal(err)
	}
	apart := []string{"id", "uuid", "resourceId", "startTime", "dueAt", "leaseUntil", "heldSince"}
	for _, f := range typ.Columns() {
		if !slices.Contains(apart, f.Name) && a.Get(f.Name) != b.Get(f.Name) {
			t.Errorf("%s is %v of the one that was claimed, and %v of the one that was born", f.Name, a.Get(f.Name), b.Get(f.Name))
		}
	}
}

// Who asks for what is under way already does not make it forget why it is.
func TestWhatIsUnderWayGoesOnSayingWhy(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("instance"), 1, map[string]any{"state": "removing"})
		row.SetField("transitioningMessage", "Failed to find a placement")
		err := s.Write(ctx, "test", func(tx *store.Tx) error {
			if err := tx.Insert(ctx, row); err != nil {
				return err
			}
			_, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("instance.stop"), Row: row})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := s.Get(ctx, row.Type(), row.ID())
		if err != nil || stored.Field("transitioningMessage") == nil {
			t.Errorf("asked to stop while it was removed, it says %v, %v", stored.Fields(), err)
		}
	})
}
