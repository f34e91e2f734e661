package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

var errRegret = errors.New("thought better of it")

// A resource knows since when it is in its state: other writes do not touch that,
// and leaving the state tells how long it was, once that is durable.
func TestAResourceKnowsSinceWhenItIsInItsState(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		told := map[string]time.Duration{}
		s.Left = func(typ, state string, after time.Duration) { told[typ+" "+state] += after }
		const hour = int64(time.Hour / time.Millisecond)
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		row := store.NewRow(resource.All.Type("volume"), now-hour, nil)
		write := func(set string, value any, fail error) {
			t.Helper()
			err := s.Write(ctx, "test", func(tx *store.Tx) error {
				row.Set(set, value)
				if row.ID() == 0 {
					return tx.Insert(ctx, row)
				}
				if err := tx.Update(ctx, row); err != nil {
					return err
				}
				return fail
			})
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
			if row, err = s.Get(ctx, row.Type(), row.ID()); err != nil {
				t.Fatal(err)
			}
		}
		write("state", "registering", nil)
		write("name", "data", nil)
		if since := row.Int("stateSince"); since != now-hour {
			t.Errorf("it is registering since %d, not %d", since, now-hour)
		}
		write("state", "inactive", errRegret)
		if len(told) != 0 || row.State() != "registering" {
			t.Errorf("what was taken back is told: %v", told)
		}
		write("state", "inactive", nil)
		if since := row.Int("stateSince"); since < now || since > now+hour {
			t.Errorf("it is inactive since %d, now it is %d", since, now)
		}
		if after := told["volume registering"]; len(told) != 1 || after < time.Hour || after > 2*time.Hour {
			t.Errorf("told was %v", told)
		}
	})
}
