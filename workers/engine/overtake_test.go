package engine_test

import (
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
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

// oldest runs the oldest pending process of that name once.
func (w *world) oldest(k *worker, row *schema.Row, name string) {
	w.t.Helper()
	p := w.find("processInstance", process.Match{"processName": name, "resourceId": row.Key(), "endTime": nil})[0]
	if err := k.Execute(w.ctx, p.ID()); err != nil {
		w.t.Fatal(err)
	}
}

// A stop is asked for while a restart stops the instance, and a start while the restart
// starts it again. The start joins what is under way and moves nothing; it is the last
// word all the same, and the stop that still waits for its turn may not undo it.
func TestAStartThatJoinsARestartTakesBackTheStopBeforeIt(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		name, ends, processes string
		data                  map[string]any
	}{
		{"a stop", "running", "instance.create DONE, instance.restart CHAIN, instance.stop CHAIN, instance.stop CANCELED, instance.start DONE, instance.start ALREADY_DONE", nil},
		{"a removal is never taken back", "removed", "instance.create DONE, instance.restart CHAIN, instance.stop CHAIN, instance.stop CHAIN, instance.start DONE, instance.start CANCELED, instance.remove DONE", map[string]any{"remove": true}},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			testkit.Databases(t, func(t *testing.T, address string) {
				w := newWorld(t, address)
				k := w.worker()
				c := w.container(nil)
				w.work(k)
				w.act(c, "instance.restart")
				w.once(k, c)
				w.want(c, "stopping")
				if err := w.launch(c, "instance.stop", story.data); err != nil {
					t.Fatal(err)
				}
				w.oldest(k, c, "instance.stop")
				w.want(c, "starting")
				w.act(c, "instance.start")
				w.oldest(k, c, "instance.start")
				w.want(c, "running")
				w.work(k)
				w.want(c, story.ends)
				if got := w.processes(c); got != story.processes {
					t.Errorf("the processes ended so: %s", got)
				}
			})
		})
	}
}

// Two stops are asked for, and a start when the first of them is done. The second has
// nothing left to do; what it waits for must not make it undo the start.
func TestAStopThatComesLateDoesNotUndoTheStartAfterIt(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.stop")
		w.act(c, "instance.stop")
		w.oldest(k, c, "instance.stop")
		w.want(c, "stopped")
		w.act(c, "instance.start")
		w.oldest(k, c, "instance.stop")
		w.work(k)
		w.want(c, "running")
		if got, want := w.processes(c), "instance.create DONE, instance.stop DONE, instance.stop CANCELED, instance.start DONE"; got != want {
			t.Errorf("the processes ended so: %s", got)
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
