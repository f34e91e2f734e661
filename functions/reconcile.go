package functions

import (
	"context"
	"time"
)

// reconcile rings for every process that should be running and is not: its bell
// was lost, its worker died, its pause is over. It is what makes the queue
// dispensable. A page at a time, and none while the queue is full anyway.
var reconcile = Function{Name: "process.replay", Run: func(ctx context.Context, d *Scheduler) error {
	size := int(d.Settings.Int("process.replay.batch.size"))
	if size <= 0 {
		size = 500
	}
	if most := d.Settings.Int("process.reconcile.max.enqueue.per.second"); most > 0 {
		between := max(d.Settings.Seconds("task.process.replay.schedule"), time.Second)
		size = min(size, int(float64(most)*between.Seconds()))
	}
	if depths, err := d.Depths(); err == nil && total(depths) > 4*size {
		return nil
	}
	due, err := d.Store.Due(ctx, size)
	if err != nil {
		return err
	}
	d.Ring(due)
	return nil
}}

// Changes are told here as they are committed, nobody waits for a message alone, and locks
// end by themselves. The tasks by which the clients of older servers have mended what such
// servers lose do what is left of it, when they are asked to: they ring for what is due.
var (
	publishChanges = Function{Name: "resource.change.publish", ByHand: true, Unrecorded: true, Run: reconcile.Run}
	monitorChanges = Function{Name: "resource.change.monitor", ByHand: true, Unrecorded: true, Run: reconcile.Run}
	cleanLocks     = Function{Name: "zookeeper.cleanup", ByHand: true, Run: reconcile.Run}
)

func total(depths map[string]int) int {
	n := 0
	for _, d := range depths {
		n += d
	}
	return n
}
