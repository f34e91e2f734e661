package engine_test

import (
	"testing"

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
