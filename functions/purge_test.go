package functions

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// What was removed is purged once the clock of the database says so, with the priority that
// a setting gives to that; nothing else is.
func TestWhatWasRemovedIsPurgedWhenItIsTime(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		const hour = int64(3_600_000)
		for name, values := range map[string]map[string]any{
			"due":                {"state": "removed", "removed": now - hour, "removeTime": now - 1},
			"not yet":            {"state": "removed", "removed": now - hour, "removeTime": now + hour},
			"without a time":     {"state": "removed", "removed": now - hour},
			"not yet removed":    {"state": "removing", "removed": now - hour, "removeTime": now - 1},
			"restored":           {"state": "inactive", "removeTime": now - 1},
			"purged before":      {"state": "purged", "removed": now - hour, "removeTime": now - 1},
			"removed, no moment": {"state": "removed", "removeTime": now - 1},
		} {
			values["name"] = name
			row := store.NewRow(resource.All.Type("volume"), now, values)
			if err := s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
				t.Fatal(err)
			}
		}
		c := clock(t, s, miniredis.RunT(t).Addr(), map[string]string{"process.volume.purge.priority": "7"})
		if err := purge.Run(ctx, c.Scheduler); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows(t, s, "volume") {
			if (row.State() == "purging") != (row.Str("name") == "due") {
				t.Errorf("the volume that is %s is %s", row.Str("name"), row.State())
			}
		}
		launched := rows(t, s, "processInstance")
		if len(launched) != 1 || launched[0].Int("priority") != 7 || launched[0].Str("processName") != "volume.purge" {
			t.Errorf("launched were %v", launched)
		}
	})
}
