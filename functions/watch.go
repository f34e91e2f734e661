package functions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
)

// watch looks over the whole installation for what its metrics show, and names in
// the log what has been under way for longer than its deadline. It changes nothing.
// It reads what is pending, and of each type a window of ids: the cost of a look is
// bounded, and a table that is longer than a window is seen whole in several.
var watch = Function{Name: "process.watch", Unrecorded: true, Run: func(ctx context.Context, s *Scheduler) error {
	now, err := s.Store.Now(ctx)
	if err != nil {
		return err
	}
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	sight := &telemetry.Sight{At: time.UnixMilli(now), Pending: map[string]int{}, Waiting: map[string]int{},
		Transitioning: map[[2]string]int{}, Overdue: map[[2]string]int{}, Unattended: map[string]int{}, OverdueProcesses: map[string]int{}}
	if err := s.watchProcesses(ctx, now, sight); err != nil {
		return fmt.Errorf("cannot look over the processes: %w", err)
	}
	if err := s.watchResources(ctx, now, sight); err != nil {
		return fmt.Errorf("cannot look over the resources: %w", err)
	}
	if s.Depths != nil {
		if sight.Queue, err = s.Depths(); err != nil {
			sight.Queue = nil // Redis is away; the rows are what counts
		}
	}
	s.mu.Lock()
	sight.HostsGone, sight.FailoverHeld = s.hosts.gone, s.hosts.held
	s.mu.Unlock()
	s.Metrics.See(sight)
	return nil
}}

// window is how many ids of a type are looked at in one run.
const window = 10_000

// mostNamed bounds how many overdue items of a kind a run names, and how many the
// watcher remembers to have named.
const (
	mostNamed      = 200
	mostRemembered = 2000
	again          = time.Hour // before the same item is named once more
)

// watcher is what the watch remembers from one run to the next.
type watcher struct {
	window int64 // ids of a type that one run looks at
	mu     sync.Mutex
	tables map[string]*table    // by type
	named  map[string]time.Time // when an item was last named in the log
}

// table is how far the watch has come with a type.
type table struct {
	next    int64                 // the first id that was not looked at in this round is above it
	counted map[string]store.Stay // by state, in the windows of this round
	whole   map[string]store.Stay // what the last whole round has counted
}

func newWatcher() *watcher {
	return &watcher{window: window, tables: map[string]*table{}, named: map[string]time.Time{}}
}

func (s *Scheduler) watchProcesses(ctx context.Context, now int64, sight *telemetry.Sight) error {
	standings, err := s.Store.Standings(ctx, now)
	if err != nil {
		return err
	}
	late := 0
	for _, x := range standings {
		sight.Pending[x.Process] += x.Count
		switch x.Where {
		case store.Running:
			sight.Running += x.Count
		case store.Runnable:
			sight.Runnable += x.Count
		default:
			sight.Waiting[x.Where] += x.Count
		}
		if x.Overdue > 0 {
			sight.OverdueProcesses[x.Process] += x.Overdue
			late += x.Overdue
		}
	}
	since, err := s.Store.OldestRunnable(ctx, now)
	if err != nil {
		return err
	}
	if since > 0 {
		sight.OldestRunnable = time.Duration(max(now-since, 0)) * time.Millisecond
	}
	if late == 0 {
		return nil
	}
	items, err := s.Store.LateProcesses(ctx, now, mostNamed)
	for _, l := range items {
		if s.watcher.fresh(fmt.Sprint("process ", l.ProcessID), time.UnixMilli(now)) {
			s.Log.WarnContext(ctx, "process is overdue", "process", l.Process, "id", l.ProcessID, "type", l.Type, "resource", l.ResourceID,
				"agent", l.Agent, "since", time.UnixMilli(l.Since))
		}
	}
	return err
}

func (s *Scheduler) watchResources(ctx context.Context, now int64, sight *telemetry.Sight) error {
	types := store.Watched()
	highest, err := s.Store.HighestIDs(ctx, types)
	if err != nil {
		return err
	}
	for _, typ := range types {
		t := s.watcher.tables[typ.Name]
		if t == nil {
			t = &table{counted: map[string]store.Stay{}}
			s.watcher.tables[typ.Name] = t
		}
		if err := s.look(ctx, typ, t, now, highest[typ.Name]); err != nil {
			return err
		}
		for _, x := range t.seen() {
			sight.Transitioning[[2]string{typ.Name, x.State}] = x.Count
			if x.Overdue > 0 {
				sight.Overdue[[2]string{typ.Name, store.Step(typ, x.State)}] += x.Overdue
			}
			if x.Unattended > 0 {
				sight.Unattended[typ.Name] += x.Unattended
			}
		}
	}
	return nil
}

// look looks at the next window of a type, and ends the round with the last one.
func (s *Scheduler) look(ctx context.Context, typ *schema.Type, t *table, now, highest int64) error {
	from, to := t.next, t.next+s.watcher.window
	if highest > from {
		stays, err := s.Store.Stays(ctx, typ, now, from, to)
		if err != nil {
			return err
		}
		late := 0
		for _, x := range stays {
			sum := t.counted[x.State]
			t.counted[x.State] = store.Stay{State: x.State, Count: sum.Count + x.Count, Overdue: sum.Overdue + x.Overdue, Unattended: sum.Unattended + x.Unattended}
			late += x.Overdue
		}
		if late > 0 {
			if err := s.nameLate(ctx, typ, now, from, to); err != nil {
				return err
			}
		}
	}
	t.next = to
	if to >= highest {
		t.whole, t.counted, t.next = t.counted, map[string]store.Stay{}, 0
	}
	return nil
}

// seen is what is known of a type: the last whole round, or what the first one has
// counted so far.
func (t *table) seen() map[string]store.Stay {
	if t.whole == nil {
		return t.counted
	}
	return t.whole
}

func (s *Scheduler) nameLate(ctx context.Context, typ *schema.Type, now, from, to int64) error {
	items, err := s.Store.LateResources(ctx, typ, now, from, to, mostNamed)
	for _, l := range items {
		if s.watcher.fresh(l.Type+" "+l.ResourceID, time.UnixMilli(now)) {
			s.Log.WarnContext(ctx, "resource is overdue", "type", l.Type, "resource", l.ResourceID, "state", l.State, "process", l.Process,
				"id", l.ProcessID, "since", time.UnixMilli(l.Since), "unattended", l.Unattended)
		}
	}
	return err
}

// fresh tells whether an item may be named now, and remembers that it was.
func (w *watcher) fresh(item string, now time.Time) bool {
	if last, ok := w.named[item]; ok && now.Sub(last) < again {
		return false
	}
	if len(w.named) >= mostRemembered {
		for k, last := range w.named {
			if now.Sub(last) >= again {
				delete(w.named, k)
			}
		}
	}
	if len(w.named) >= mostRemembered {
		return false // the metrics have the numbers
	}
	w.named[item] = now
	return true
}
