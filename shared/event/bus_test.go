package event_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/event"
)

func bus(t *testing.T, address string, db int) *event.Bus {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address, DB: db})
	b := event.New(client, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = b.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done; _ = client.Close() })
	return b
}

func TestAMessageReachesWhoListensAndNobodyElse(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	ctx := context.Background()
	a, b, other := bus(t, server.Addr(), 0), bus(t, server.Addr(), 0), bus(t, server.Addr(), 1)
	got := make(chan string, 10)
	cancel := a.Subscribe(ctx, "news", func(p string) { got <- p })
	if n, err := b.Publish(ctx, "news", "one"); err != nil || n != 1 {
		t.Fatalf("%d heard it: %v", n, err)
	}
	if n, _ := other.Publish(ctx, "news", "from another installation"); n != 0 {
		t.Fatalf("another installation was heard by %d", n)
	}
	if heard, err := b.Heard(ctx, "news", "silence"); err != nil || heard["news"] != 1 || heard["silence"] != 0 {
		t.Fatalf("heard: %v %v", heard, err)
	}
	select {
	case p := <-got:
		if p != "one" {
			t.Fatalf("heard %q", p)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
	}
	cancel()
	for end := time.Now().Add(10 * time.Second); ; {
		if n, err := b.Publish(ctx, "news", "two"); err == nil && n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a cancelled subscription goes on")
		}
	}
}

func TestSubscriptionsSurviveAnEmptiedAndARestartedRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	ctx := context.Background()
	a, b := bus(t, server.Addr(), 0), bus(t, server.Addr(), 0)
	got := make(chan string, 1000)
	a.Subscribe(ctx, "news", func(p string) { got <- p })
	server.FlushAll()
	if n, err := b.Publish(ctx, "news", "after the flush"); err != nil || n != 1 {
		t.Fatalf("%d heard it: %v", n, err)
	}
	<-got
	server.Close()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		if n, err := b.Publish(ctx, "news", "after the restart"); err == nil && n == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the subscription is lost")
		}
	}
}

// What only one process listens to reaches it from there without Redis, as long as one of
// its listeners is left, and from elsewhere through it.
func TestWhatIsOnesOwnStaysInTheProcess(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	ctx := context.Background()
	a, b := bus(t, server.Addr(), 0), bus(t, server.Addr(), 0)
	got := make(chan string, 10)
	leave := a.SubscribeOwn(ctx, "mine", func(p string) { got <- "first " + p })
	stay := a.SubscribeOwn(ctx, "mine", func(p string) { got <- "second " + p })
	defer stay()
	heard := func(want ...string) {
		t.Helper()
		all := map[string]bool{}
		for range want {
			select {
			case p := <-got:
				all[p] = true
			case <-time.After(10 * time.Second):
				t.Fatalf("heard only %v", all)
			}
		}
		for _, w := range want {
			if !all[w] {
				t.Errorf("heard %v, not %s", all, w)
			}
		}
	}
	if n, err := b.Publish(ctx, "mine", "from elsewhere"); err != nil || n != 1 {
		t.Fatalf("%d heard it: %v", n, err)
	}
	heard("first from elsewhere", "second from elsewhere")
	server.Close()
	if n, err := a.Publish(ctx, "mine", "from here"); err != nil || n != 1 {
		t.Errorf("%d heard it: %v", n, err)
	}
	heard("first from here", "second from here")
	leave()
	if n, err := a.Publish(ctx, "mine", "again"); err != nil || n != 1 {
		t.Errorf("%d heard it: %v", n, err)
	}
	heard("second again")
}
