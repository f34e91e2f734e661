package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// A row that was read before the transaction is saved by the second try as well.
func TestATransactionThatIsTriedAgainSavesItsRows(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, s := t.Context(), testkit.Store(t, address)
		typ := resource.All.Type("account")
		row := store.NewRow(typ, 1, map[string]any{"kind": "user", "state": "inactive"})
		if err := s.Write(ctx, "make", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
			t.Fatal(err)
		}
		refusals := 0
		s.Seam = func(at store.Seam, label string) error {
			if label == "launch" && at == store.Committing && refusals < 2 {
				refusals++
				return &pgconn.PgError{Code: "40001"}
			}
			return nil
		}
		err := s.Write(ctx, "launch", func(tx *store.Tx) error {
			_, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.activate"), Row: row})
			return err
		})
		if err != nil || refusals != 2 {
			t.Fatalf("after %d refusals: %v", refusals, err)
		}
		there, err := s.Find(ctx, typ, map[string]any{"id": row.ID()})
		if err != nil || len(there) != 1 || there[0].State() != "activating" || row.State() != "activating" {
			t.Errorf("the account is %v, in memory %s: %v", there[0].State(), row.State(), err)
		}
		due, err := s.Due(ctx, 10)
		if err != nil || len(due) != 1 {
			t.Errorf("there are %d processes: %v", len(due), err)
		}
	})
}

// What a launch overtakes is canceled also where the database refused the first try:
// the row in memory is where the launch has moved it by then.
func TestALaunchThatIsTriedAgainCancelsWhatItOvertakes(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, s := t.Context(), testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("account"), 1, map[string]any{"kind": "user", "state": "inactive"})
		launch := func(label, name string) (l *store.Launched) {
			t.Helper()
			err := s.Write(ctx, label, func(tx *store.Tx) (err error) {
				l, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process(name), Row: row})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		if err := s.Write(ctx, "make", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
			t.Fatal(err)
		}
		overtaken := launch("first", "account.activate")
		refused := false
		s.Seam = func(at store.Seam, label string) error {
			if label == "second" && at == store.Committing && !refused {
				refused = true
				return &pgconn.PgError{Code: "40001"}
			}
			return nil
		}
		launch("second", "account.deactivate")
		p, err := s.Process(ctx, overtaken.ID)
		if err != nil || !refused || !p.Canceled {
			t.Errorf("the process that was overtaken is %+v, %v", p, err)
		}
	})
}
