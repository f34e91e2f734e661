package functions

import (
	"context"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// What is due and has no worker is rung for, a page at a time, also if its worker died: not
// what a worker has or what waits, and nothing while the queue is full.
func TestWhatIsDueIsRungFor(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		ids := map[string]int64{}
		for _, name := range []string{"lost", "left", "held", "waits", "over"} {
			err := s.Write(ctx, "test", func(tx *store.Tx) error {
				l, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("network.create"), Row: store.NewRow(resource.All.Type("network"), 1, nil)})
				if err != nil {
					return err
				}
				if err = tx.Settle(ctx); err != nil || name == "lost" {
					ids[name] = l.ID
					return err
				}
				ids[name] = l.ID
				lease := int64(60_000)
				if name == "left" {
					lease = -1
				}
				p, err := tx.Claim(ctx, l.ID, "here", lease)
				if err == nil && name == "waits" {
					_, _, err = tx.Pause(ctx, p, store.Pause{DelayMillis: 60_000})
				}
				if err == nil && name == "over" {
					err = tx.Finish(ctx, p, process.Done)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		c := clock(t, s, miniredis.RunT(t).Addr(), map[string]string{"process.replay.batch.size": "10"})
		var rung []int64
		depth := 0
		c.Ring = func(bells []process.Bell) {
			for _, b := range bells {
				rung = append(rung, b.ID)
			}
		}
		c.Depths = func() (map[string]int, error) { return map[string]int{"normal": depth}, nil }
		look := func(want ...int64) {
			t.Helper()
			rung = nil
			if err := reconcile.Run(ctx, c.Scheduler); err != nil || !slices.Equal(rung, want) {
				t.Errorf("rung for were %v of %v, not %v: %v", rung, ids, want, err)
			}
		}
		look(ids["lost"], ids["left"])
		depth = 41
		look()
	})
}
