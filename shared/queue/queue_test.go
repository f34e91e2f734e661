package queue

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/testkit"
)

// The reconciler holds back while much waits, so the depth must be known from the
// first bell on, whichever queue it went to.
func TestTheDepthIsKnownWhicheverQueuesThereAre(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(testkit.RedisDB(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
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
