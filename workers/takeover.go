package workers

import (
	"context"
	"math/rand/v2"
	"time"
)

// heirs is how often a worker looks for work whose worker died, give or take a fifth.
// Work of the dead goes on after a lease and this, whoever else died.
const heirs = time.Second

// takeOver goes on with what other workers no longer show life for. Each worker looks
// for itself: the scheduler, the queue and Redis may have died together with the one
// that is gone. That two find the same is harmless, since one claims it.
func (w *Worker) takeOver(ctx context.Context) error {
	size := max(int(w.Settings.Int("process.replay.batch.size")), 1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(heirs - heirs/5 + rand.N(heirs*2/5)):
		}
		left, err := w.Store.Orphans(ctx, size)
		if err != nil && ctx.Err() == nil {
			w.Log.DebugContext(ctx, "cannot look for work whose worker died", "err", err)
		}
		w.Queue.Ring(left)
	}
}
