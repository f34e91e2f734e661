package queue

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/testkit"
)

// empty is a Redis of the test's own.
func empty(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(testkit.RedisDB(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The reconciler holds back while much waits, so the depth must be known from the
// first bell on, whichever queue it went to.
func TestTheDepthIsKnownWhicheverQueuesThereAre(t *testing.T) {
	t.Parallel()
	client := empty(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	q := New(client, slog.New(slog.DiscardHandler))
	go func() { _ = q.Run(ctx) }()
	depths := func(normally, urgently int) {
		t.Helper()
		end := time.Now().Add(10 * time.Second)
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			d, err := q.Depths()
			if err != nil {
				t.Fatal(err)
			}
			if d[normal] == normally && d[urgent] == urgently && len(d) == 2 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the depths are %v", d)
			}
		}
	}
	depths(0, 0)
	q.Ring([]process.Bell{{ID: 1}, {ID: 2}})
	depths(2, 0)
	q.Ring([]process.Bell{{ID: 3, Priority: 100}})
	depths(2, 1)
}

// A worker that takes a bell and dies, or stands still, before it looks at the process
// keeps nobody from ringing again: another worker looks.
func TestABellThatADeadWorkerTookIsRungAgain(t *testing.T) {
	t.Parallel()
	client := empty(t)
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	defer func() { stop(); serving.Wait() }()
	ringer, dead, other := New(client, slog.New(slog.DiscardHandler)), New(client, slog.New(slog.DiscardHandler)), New(client, slog.New(slog.DiscardHandler))
	serving.Go(func() { _ = ringer.Run(ctx) })
	serve := func(q *Queue, look func(ctx context.Context, b process.Bell) error) {
		serving.Go(func() { _ = q.Serve(ctx, 2, look) })
	}
	took, looked := make(chan int64, 10), make(chan int64, 10)
	serve(dead, func(ctx context.Context, b process.Bell) error { took <- b.ID; <-ctx.Done(); return nil })
	bell := []process.Bell{{ID: 7, WakeSeq: 1, RunEpoch: 1}}
	ringer.Ring(bell)
	select {
	case <-took:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody took the bell")
	}
	serve(other, func(_ context.Context, b process.Bell) error { looked <- b.ID; return nil })
	tick := time.NewTicker(50 * time.Millisecond) // the reconciler, in a hurry
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		select {
		case <-tick.C:
			ringer.Ring(bell)
		case <-looked:
			return
		case <-took: // the dead one has a second slot, and takes that as well
		case <-limit:
			t.Fatal("the other worker heard nothing")
		}
	}
}

// A worker that is busy hears what is urgent first, and once of a process that was rung
// for again and again; what it cannot hear soon goes to the queue, where others hear it.
func TestABusyWorkerHearsItsOwnBellsInOrder(t *testing.T) {
	t.Parallel()
	client := empty(t)
	ctx, stop := context.WithCancel(context.Background())
	q := New(client, slog.New(slog.DiscardHandler))
	looked, goOn := make(chan int64), make(chan bool)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	serving.Go(func() {
		_ = q.Serve(ctx, 1, func(_ context.Context, b process.Bell) error {
			looked <- b.ID
			<-goOn
			return nil
		})
	})
	for tick := time.NewTicker(time.Millisecond); !q.serving.Load(); <-tick.C { // until it serves
	}
	q.Ring([]process.Bell{{ID: 1}})
	if id := <-looked; id != 1 {
		t.Fatalf("it looked at %d", id)
	}
	q.Ring([]process.Bell{{ID: 2}, {ID: 3}, {ID: 2, WakeSeq: 1}, {ID: 9, Priority: 1}, {ID: 3}})
	for _, want := range []int64{9, 2, 3} {
		goOn <- true
		if id := <-looked; id != want {
			t.Fatalf("it looked at %d, not at %d", id, want)
		}
	}
	for id := range int64(mostOwn + 5) {
		q.Ring([]process.Bell{{ID: 100 + id}})
	}
	if own, sent := len(q.own.normal), len(q.bells); own != mostOwn || sent != 5 {
		t.Errorf("%d wait here and %d go to the queue", own, sent)
	}
	close(goOn)
	go func() {
		for range looked { // until all have ended
		}
	}()
}
