package limit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/limit"
)

func TestABucketEmptiesAndFills(t *testing.T) {
	t.Parallel()
	b, now := limit.NewBuckets(), time.Unix(1000, 0)
	for i := range 5 {
		if wait := b.Take("a", 2, 5, now); wait != 0 {
			t.Fatalf("request %d waits %s", i, wait)
		}
	}
	if wait := b.Take("a", 2, 5, now); wait != 500*time.Millisecond {
		t.Errorf("the sixth waits %s", wait)
	}
	if wait := b.Take("b", 2, 5, now); wait != 0 {
		t.Errorf("another waits %s", wait)
	}
	if wait := b.Take("a", 2, 5, now.Add(500*time.Millisecond)); wait != 0 {
		t.Errorf("after its time it waits %s", wait)
	}
	if wait := b.Take("a", 0, 5, now); wait != 0 {
		t.Errorf("without a limit it waits %s", wait)
	}
	for i := range 100_000 { // no crowd makes it forget to refuse, or remember all
		b.Take(fmt.Sprint(i), 2, 5, now)
	}
	if n := b.Len(); n > 20_000 {
		t.Errorf("it remembers %d", n)
	}
}

func TestAnAttackerLocksNobodyOut(t *testing.T) {
	t.Parallel()
	ctx, now := context.Background(), time.Unix(1000, 0)
	bounds := limit.Bounds{Pair: 3, Address: 10, Key: 50, Window: time.Minute}
	f := limit.NewFailures()
	victim := limit.Attempt{Address: "10.0.0.1", Key: "victim", Secret: "right"}
	f.Passed(victim, bounds, now)
	for i := range 3 {
		f.Failed(ctx, limit.Attempt{Address: "10.0.0.1", Key: "victim", Secret: fmt.Sprint(i)}, bounds, now)
	}
	if wait := f.Wait(limit.Attempt{Address: "10.0.0.1", Key: "victim", Secret: "guess"}, bounds, now.Add(time.Second)); wait != 59*time.Second {
		t.Errorf("the attacker waits %s", wait)
	}
	if wait := f.Wait(victim, bounds, now); wait != 0 {
		t.Errorf("the victim at the same address waits %s", wait)
	}
	if wait := f.Wait(limit.Attempt{Address: "10.0.0.2", Key: "victim", Secret: "right"}, bounds, now); wait != 0 {
		t.Errorf("the victim from elsewhere waits %s", wait)
	}
	for i := range 10 {
		f.Failed(ctx, limit.Attempt{Address: "10.0.0.3", Key: fmt.Sprint(i), Secret: "x"}, bounds, now)
	}
	if f.Wait(limit.Attempt{Address: "10.0.0.3", Key: "new", Secret: "x"}, bounds, now) == 0 {
		t.Error("one address may try any number of keys")
	}
	for i := range 50 {
		f.Failed(ctx, limit.Attempt{Address: fmt.Sprint("10.1.0.", i), Key: "famous", Secret: "x"}, bounds, now)
	}
	if f.Wait(limit.Attempt{Address: "10.2.0.1", Key: "famous", Secret: "x"}, bounds, now) == 0 {
		t.Error("any number of addresses may try one key")
	}
	if f.Wait(limit.Attempt{Address: "10.2.0.1", Key: "famous", Secret: "x"}, bounds, now.Add(time.Minute)) != 0 {
		t.Error("the window does not end")
	}
}

func TestServersCountTogether(t *testing.T) {
	t.Parallel()
	ctx, now := context.Background(), time.Unix(1000, 0)
	bounds := limit.Bounds{Pair: 4, Window: time.Minute}
	all := map[string]int64{}
	shared := func(_ context.Context, name string, _ time.Duration) (int64, error) {
		all[name]++
		return all[name], nil
	}
	one, two := limit.NewFailures(), limit.NewFailures()
	one.Shared, two.Shared = shared, shared
	a := limit.Attempt{Address: "x", Key: "k", Secret: "s"}
	for range 3 {
		one.Failed(ctx, a, bounds, now)
	}
	if two.Wait(a, bounds, now) != 0 {
		t.Fatal("it waits too soon")
	}
	two.Failed(ctx, a, bounds, now)
	if two.Wait(a, bounds, now) == 0 {
		t.Error("the second server does not know of the first")
	}
}

// Who strikes seldom stays; who does it again and again is out for a while, and may then
// begin anew.
func TestStrikesPutOutForAWhile(t *testing.T) {
	t.Parallel()
	s, now := limit.NewStrikes(), time.Now()
	strike := func(id int64) bool { return s.Strike(id, 3, time.Minute, 10*time.Minute, now) }
	for range 10 {
		if strike(1) {
			t.Fatal("who strikes twice a minute is out")
		}
		now = now.Add(40 * time.Second)
	}
	if strike(2) || strike(2) || !strike(2) || s.Out(2, now) != 10*time.Minute || s.Out(1, now) != 0 {
		t.Fatal("three strikes do not put out")
	}
	if strike(2) || strike(2) || strike(2) {
		t.Error("who is out is put out again")
	}
	if now = now.Add(10*time.Minute + time.Second); s.Out(2, now) != 0 || strike(2) {
		t.Error("who was out stays out")
	}
	for id := range int64(3 * limit.Most) {
		s.Strike(id, 1, time.Minute, time.Hour, now)
		now = now.Add(time.Second)
	}
	if s.Len() > limit.Most+3600 {
		t.Errorf("%d are remembered", s.Len())
	}
}
