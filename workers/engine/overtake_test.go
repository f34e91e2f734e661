package engine_test

import (
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// A stop that waits behind the stop of a restart comes to a resource that the restart
// has taken on to its start. It takes the resource from there, and the start is over:
// it must not come back to it once it is stopped.
func TestAStopBehindARestartIsNotUndone(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.restart")
		w.once(k, c)
		w.want(c, "stopping")
		w.act(c, "instance.stop")
		w.once(k, c)
		w.want(c, "stopped")
		w.work(k)
		w.want(c, "stopped")
		if got, want := w.processes(c), "instance.create DONE, instance.restart CHAIN, instance.stop CHAIN, instance.stop DONE, instance.start CANCELED"; got != want {
			t.Errorf("the processes ended so: %s", got)
		}
	})
}

// A stop is asked for by somebody who has read the instance while it was stopping, and
// written once the restart has taken it on to its start. It moves nothing, and so takes
// the instance from nobody: what it has read is no longer so.
func TestALaunchThatMovesNothingCancelsNobody(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.restart")
		w.once(k, c)
		w.want(c, "stopping")
		read := w.again(c)
		w.once(k, c)
		w.want(c, "starting")
		if err := w.store.Write(w.ctx, "api", func(tx *store.Tx) error {
			_, err := tx.Launch(w.ctx, store.Launch{Process: resource.All.Process("instance.stop"), Row: read})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		start, err := w.store.Process(w.ctx, w.find("processInstance", process.Match{"processName": "instance.start"})[0].ID())
		if err != nil {
			t.Fatal(err)
		}
		if start.Canceled {
			t.Errorf("the start that has the instance is canceled: %s", w.processes(c))
		}
	})
}

// What is removed while it runs is stopped first. A stop that others asked for may do
// that in its place: the removal goes on all the same.
func TestAStopBesideARemovalLosesNoRemoval(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.stop")
		if err := w.store.Write(w.ctx, "api", func(tx *store.Tx) error {
			_, err := tx.Launch(w.ctx, store.Launch{Process: resource.All.Process("instance.stop"), Row: w.again(c), Data: map[string]any{"remove": true}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		w.work(k)
		w.want(c, "removed")
		if got, want := w.processes(c), "instance.create DONE, instance.stop DONE, instance.stop CHAIN, instance.remove DONE"; got != want {
			t.Errorf("the processes ended so: %s", got)
		}
	})
}
