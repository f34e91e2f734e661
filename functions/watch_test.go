package functions

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/testkit"
)

// A resource beyond its deadline is in the metrics of the one who leads, and named
// in the log once in an hour.
func TestWhatIsOverdueIsCountedAndNamedOnce(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		var log bytes.Buffer
		metrics := telemetry.New()
		clock := New(Deps{Store: s, Depths: func() (map[string]int, error) { return map[string]int{"normal": 3}, nil },
			Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: metrics})
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		row := store.NewRow(resource.All.Type("volume"), now-20*time.Minute.Milliseconds(), nil)
		if err := s.Write(ctx, "test", func(tx *store.Tx) error {
			_, err := tx.Launch(ctx, store.Launch{Process: resource.All.Process("volume.create"), Row: row, Server: "here"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := watch.Run(ctx, clock); err != nil {
				t.Fatal(err)
			}
		}
		_, text, err := metrics.Text()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			`cattle_resources_overdue{process="volume.create",type="volume"} 1`,
			`cattle_resources_transitioning{state="registering",type="volume"} 1`,
			`cattle_processes_pending{process="volume.create"} 1`,
			`cattle_processes_runnable 1`,
			`cattle_queue_depth{queue="normal"} 3`,
		} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s is not among the metrics", line)
			}
		}
		if n := strings.Count(log.String(), "resource is overdue"); n != 1 {
			t.Errorf("it was named %d times:\n%s", n, &log)
		}
		metrics.See(nil)
		if _, text, _ = metrics.Text(); strings.Contains(string(text), "cattle_resources_overdue{") {
			t.Error("who leads no more shows what it has seen")
		}
	})
}

// A table longer than a window is seen whole in several looks, and what is shown in
// between is the last whole round.
func TestALongTableIsSeenInWindows(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		typ := resource.All.Type("volume")
		for range 7 {
			row := store.NewRow(typ, 1, map[string]any{"state": "activating"})
			if err := s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
				t.Fatal(err)
			}
		}
		clock := New(Deps{Store: s, Log: slog.New(slog.DiscardHandler)})
		clock.watcher.window = 3
		tab := &table{counted: map[string]store.Stay{}}
		for i, want := range []int{3, 6, 7, 7} {
			if err := clock.look(ctx, typ, tab, 1000, 7); err != nil {
				t.Fatal(err)
			}
			if n := tab.seen()["activating"].Count; n != want {
				t.Fatalf("look %d has seen %d", i, n)
			}
		}
		if unattended := tab.seen()["activating"].Unattended; unattended != 7 {
			t.Errorf("%d are unattended", unattended)
		}
	})
}

func TestTheLogIsBoundedHoweverMuchIsOverdue(t *testing.T) {
	t.Parallel()
	w, now, named := newWatcher(), time.Now(), 0
	for i := range 3 * mostRemembered {
		if w.fresh(string(process.Done)+string(rune(i)), now) {
			named++
		}
	}
	if named != mostRemembered || len(w.named) != mostRemembered {
		t.Errorf("%d were named, %d are remembered", named, len(w.named))
	}
	if !w.fresh("one more", now.Add(again)) || len(w.named) != 1 {
		t.Errorf("an hour later %d are remembered", len(w.named))
	}
}
