package functions

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// A gateway dies and its agents are soon back: nothing is written about them. One that
// goes alone is noted at once, and those who stay away are, too, later.
func TestADeadGatewayWritesNothingAboutItsAgents(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, s, typ := context.Background(), testkit.Store(t, address), resource.All.Type("agent")
		settings, err := config.Load(nil, nil, t.TempDir(), config.Standard())
		if err != nil {
			t.Fatal(err)
		}
		const agents = 30
		err = s.Write(ctx, "test", func(tx *store.Tx) error {
			for i := range agents {
				name := fmt.Sprintf("event://%d", i)
				if err := tx.Insert(ctx, store.NewRow(typ, 1, map[string]any{"uri": name, "state": "active"})); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		away := map[int64]bool{}
		clock := New(Deps{Store: s, Settings: settings, Log: slog.New(slog.DiscardHandler), Ring: func([]store.Bell) {},
			Connected: func(_ context.Context, ids []int64) (map[int64]bool, error) {
				there := map[int64]bool{}
				for _, id := range ids {
					there[id] = !away[id]
				}
				return there, nil
			}})
		look := func(times int) (noted int) {
			t.Helper()
			for range times {
				if err := liveness.Run(ctx, clock); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := s.Find(ctx, typ, process.Match{"state": "active"})
			if err != nil || len(rows) != agents {
				t.Fatalf("%d agents are active: %v", len(rows), err)
			}
			for _, r := range rows {
				if r.Int("disconnectedSince") != 0 {
					noted++
				}
			}
			return noted
		}
		lost := func(ids ...int64) {
			t.Helper()
			if err := clock.keepLost(ctx, ids); err != nil {
				t.Fatal(err)
			}
		}
		allGo := func() {
			for id := range int64(agents) {
				away[id+1] = true
			}
		}
		mostReturn := func() {
			for id := range int64(agents) - 2 {
				delete(away, id+1)
			}
		}
		away[1] = true
		lost(1, 2, 99) // 2 is back, 99 is nobody's
		if n := look(0); n != 1 {
			t.Errorf("of one agent that is lost %d are noted", n)
		}
		if n := look(1); n != 1 {
			t.Errorf("of one agent that went %d are noted", n)
		}
		delete(away, 1)
		if n := look(1); n != 0 {
			t.Errorf("%d are noted that are back", n)
		}
		allGo()
		lost(1, 2, 3, 4, 5, 6, 7)
		if n := look(2); n != 0 {
			t.Errorf("%d are noted a moment after all went", n)
		}
		mostReturn()     // the last two are late
		lost(agents - 1) // one of many is none by itself
		if n := look(2); n != 0 {
			t.Errorf("%d are noted that are late", n)
		}
		clear(away)
		if n := look(1); n != 0 {
			t.Errorf("%d are noted after all", n)
		}
		allGo()
		look(2)
		mostReturn()
		if n := look(10); n != 2 { // later still, and active as all who went with them
			t.Errorf("%d are noted that stay away", n)
		}
		clear(away)
		if n := look(1); n != 0 {
			t.Errorf("%d are noted after all", n)
		}
		allGo()
		if n := look(8); n != agents {
			t.Errorf("%d of %d that stay away are noted", n, agents)
		}
	})
}
