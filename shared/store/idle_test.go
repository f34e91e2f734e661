package store_test

import (
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// A server that stands still in the middle of a transaction does not keep others from
// what it has locked: the database ends its session.
func TestATransactionThatStandsStillLetsGo(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), testkit.Store(t, testkit.PostgresSchema(t))
	row := store.NewRow(resource.All.Type("account"), 1, map[string]any{"kind": "user", "state": "active", "name": "before"})
	if err := s.Write(ctx, "make", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
		t.Fatal(err)
	}
	change := func(tx *store.Tx, name string) error {
		fresh, err := tx.Get(ctx, row.Type(), row.ID())
		if err != nil {
			return err
		}
		fresh.Set("name", name)
		if err := tx.Update(ctx, fresh); err != nil {
			return err
		}
		_, err = tx.Now(ctx) // so that it is sent
		return err
	}
	frozen, err := s.Begin(ctx, "frozen")
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Rollback()
	if err := change(frozen, "frozen"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Write(ctx, "other", func(tx *store.Tx) error { return change(tx, "other") }); err != nil {
		t.Fatalf("after %s: %v", time.Since(begin), err)
	}
	if err := frozen.Commit(ctx); !store.Away(err) {
		t.Errorf("the one that stood still ends with %v", err)
	}
	if got, err := s.Get(ctx, row.Type(), row.ID()); err != nil || got.Str("name") != "other" {
		t.Errorf("it is called %s: %v", got.Str("name"), err)
	}
}
