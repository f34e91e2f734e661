package lock_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/lock"
)

func locks(t *testing.T, server *miniredis.Miniredis) *lock.Locks {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return lock.New(client)
}

func TestOneAtATimeUntilItIsGivenBackOrRunsOut(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	a, b := locks(t, server), locks(t, server)
	ctx := context.Background()
	free, ok := a.Try(ctx, "x", time.Minute)
	if !ok {
		t.Fatal("a free lock was refused")
	}
	if _, ok := b.Try(ctx, "x", time.Minute); ok {
		t.Fatal("two have it")
	}
	server.FastForward(2 * time.Minute)
	mine, ok := b.Try(ctx, "x", time.Minute)
	if !ok {
		t.Fatal("a lock that ran out is not free")
	}
	free() // too late: it is another's by now
	if _, ok := a.Try(ctx, "x", time.Minute); ok {
		t.Fatal("somebody gave back a lock that was not theirs")
	}
	mine()
	if _, ok := a.Try(ctx, "x", time.Minute); !ok {
		t.Fatal("a lock that was given back is not free")
	}
}

func TestWithoutRedisTheWorkGoesOn(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	l := locks(t, server)
	server.Close()
	if _, ok := l.Try(context.Background(), "x", time.Minute); !ok {
		t.Fatal("a lock was refused because Redis is away")
	}
}

// A server that stops while it asks does not take what another has.
func TestWhoStopsGetsNoLock(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, ok := locks(t, miniredis.RunT(t)).Try(ctx, "x", time.Minute); ok {
		t.Fatal("a lock was had without asking for it")
	}
}

func TestALockThatIsKeptDoesNotRunOut(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	a, b := locks(t, server), locks(t, server)
	const ttl = 90 * time.Millisecond
	kept, free, ok := a.Keep(context.Background(), "x", ttl)
	if !ok {
		t.Fatal("a free lock was refused")
	}
	for range 5 { // three of these are a whole life
		server.FastForward(ttl / 3)
		renewed := func() bool { return server.TTL("cattle:lock:x") == ttl }
		for end := time.Now().Add(20 * time.Second); !renewed(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal("it is not renewed")
			}
		}
		if _, _, ok := b.Keep(context.Background(), "x", ttl); ok {
			t.Fatal("two have it")
		}
	}
	free()
	if kept.Err() == nil {
		t.Error("what was given back is still kept")
	}

	kept, free, ok = b.Keep(context.Background(), "x", ttl)
	if !ok {
		t.Fatal("a lock that was given back is not free")
	}
	if err := server.Set("cattle:lock:x", "another's"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-kept.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("whoever lost a lock is not told")
	}
	free()
	if got, _ := server.Get("cattle:lock:x"); got != "another's" {
		t.Error("somebody gave back a lock that was not theirs")
	}
}

func TestThereIsAlwaysSoonALeader(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	var leads atomic.Int64
	changed := make(chan int64, 100)
	run := func(l *lock.Locks) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		var done sync.WaitGroup
		done.Go(func() {
			l.Lead(ctx, "clock", 90*time.Millisecond, func(ctx context.Context) {
				changed <- leads.Add(1)
				<-ctx.Done()
				leads.Add(-1)
			})
		})
		return func() { cancel(); done.Wait() }
	}
	first := run(locks(t, server))
	await(t, changed, 1)
	second := run(locks(t, server))
	first()
	await(t, changed, 1)
	second()
	if n := leads.Load(); n != 0 {
		t.Fatalf("%d still lead", n)
	}
}

func await(t *testing.T, c chan int64, want int64) {
	t.Helper()
	select {
	case n := <-c:
		if n != want {
			t.Fatalf("%d lead", n)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody leads")
	}
}
