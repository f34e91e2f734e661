package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
)

// What becomes of a claim.
const (
	taken   = "taken"
	refused = "refused" // it has ended, is not due, or another run has it
	lost    = "lost"    // another run took it over
)

// refused counts a look at a process that had nothing for this run.
func (e *Engine) refused() {
	e.Metrics.Claimed(refused)
	e.Metrics.Attempted("not_found", "")
}

// lost tells whether an error says that another run has the process, and counts
// that once.
func (r *run) lost(err error) bool {
	if !errors.Is(err, store.ErrFenced) {
		return false
	}
	r.e.Metrics.Claimed(lost)
	return true
}

// countEnd counts the end of the process and tells the log.
func (r *run) countEnd(reason process.Reason) {
	took := time.Duration(r.now()-r.p.Started) * time.Millisecond
	if r.p.Started == 0 {
		took = 0
	}
	r.e.cuts.forget(r.p.ID)
	r.e.Metrics.Ended(r.p.Name, string(reason), took)
	if ctx := context.Background(); r.e.Log.Enabled(ctx, slog.LevelInfo) {
		r.e.Log.InfoContext(ctx, "process ended", "process", r.p.Name, "id", r.p.ID, "type", r.p.ResourceType,
			"resource", r.p.ResourceID, "attempt", r.p.Attempts, "reason", reason, "took", took)
	}
}

// countPause counts the end of an attempt that is not the last, and what the
// process waits for now.
func (r *run) countPause(w store.Pause) {
	reason := string(w.Reason)
	if reason == "" {
		reason = "waiting" // a wait is no outcome to clients and has no reason there
	}
	r.e.Metrics.Attempted(reason, awaited(w))
}

// awaited says in a word what a process waits for. The watch finds the same words
// in the rows.
func awaited(w store.Pause) string {
	switch {
	case w.Holding && w.WaitAgent != 0:
		return store.WaitsForAgent
	case w.Holding:
		return store.WaitsForHandler
	case w.Busy:
		return store.WaitsForResource
	}
	return store.WaitsForRetry
}
