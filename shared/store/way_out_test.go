package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// Whoever gives the order, a process that makes its way by itself is left alone, and
// nothing of the order stays.
func TestForceLeavesAloneWhatMakesItsWay(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		row := store.NewRow(resource.All.Type("account"), 1, map[string]any{"kind": "user"})
		var launched *store.Launched
		err := s.Write(ctx, "test", func(tx *store.Tx) (err error) {
			launched, err = tx.Launch(ctx, store.Launch{Process: resource.All.Process("account.create"), Row: row})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Write(ctx, "test", func(tx *store.Tx) error {
			_, err := tx.Force(ctx, store.Order{Process: launched.ID, Reason: "r", Outcome: process.OutcomeDone})
			return err
		})
		if !errors.Is(err, store.ErrNotForceable) {
			t.Errorf("a process that has just been launched is forced: %v", err)
		}
		p, err := s.Get(ctx, resource.All.Type("processInstance"), launched.ID)
		if err != nil || p.Get("endTime") != nil || p.Int("runEpoch") != 0 {
			t.Errorf("the process has changed: %v %v", p.Map(), err)
		}
	})
}
