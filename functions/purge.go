package functions

import (
	"context"
	"errors"
	"fmt"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
)

// purge launches the purge of what was removed long enough ago, a page of each type
// at a time.
var purge = Function{Name: "purge.resources", Run: func(ctx context.Context, d *Scheduler) error {
	for _, typ := range resource.All.Tables() {
		def := resource.All.Verb(typ, "purge")
		if def == nil || !typ.HasColumn("removed") {
			continue
		}
		rows, err := d.Store.Purgeable(ctx, typ, 500)
		if err != nil {
			return fmt.Errorf("cannot list removed rows of %s: %w", typ.Name, err)
		}
		for _, row := range rows {
			var launched *store.Launched
			err := d.Store.Write(ctx, "purge", func(tx *store.Tx) (err error) {
				launched, err = tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: d.Server, Priority: d.priority(def)})
				return err
			})
			if errors.Is(err, store.ErrCannotStart) || errors.Is(err, store.ErrConflict) {
				continue // somebody moved it; next time
			}
			if err != nil {
				return err
			}
			d.Ring(launched.Bells)
		}
	}
	return nil
}}

// cleanup forgets the rows of processes that ended long ago, and their logs.
var cleanup = Function{Name: "cleanup.process.instances", Run: func(ctx context.Context, d *Scheduler) error {
	return d.Store.ForgetEnded(ctx, 1000*d.Settings.Int("process.instance.retention.seconds"), 1000)
}}

// logs makes the tables for the logs of the coming days, and forgets logs that are old.
var logs = Function{Name: "cleanup.process.executions", Run: func(ctx context.Context, d *Scheduler) error {
	if err := d.Store.PrepareLogs(ctx, 7); err != nil {
		return err
	}
	return d.Store.ForgetLogs(ctx, 1000*d.Settings.Int("process.execution.log.retention.seconds"), 1000)
}}
