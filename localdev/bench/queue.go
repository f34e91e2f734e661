package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"
)

// queue enqueues jobs that do nothing and answers them, both at once and in this
// process: what the queue alone gives.
func (b *bencher) queue(ctx context.Context) error {
	const n = 20_000
	d, err := newDatabases(ctx)
	if err != nil {
		return err
	}
	defer d.drop()
	var done atomic.Int64
	all := make(chan struct{})
	server := asynq.NewServerFromRedisClient(d.cache, queueConfig())
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if done.Add(1) == n {
			close(all)
		}
		return nil
	})); err != nil {
		return err
	}
	defer server.Shutdown()
	jobs := asynq.NewClientFromRedisClient(d.cache)
	begin := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for range b.parallel {
		g.Go(func() error {
			for range n / b.parallel {
				if _, err := jobs.EnqueueContext(gctx, asynq.NewTask("nothing", nil)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for range n % b.parallel {
		if _, err := jobs.EnqueueContext(ctx, asynq.NewTask("nothing", nil)); err != nil {
			return err
		}
	}
	select {
	case <-all:
	case <-ctx.Done():
		return ctx.Err()
	}
	rate("jobs", n, time.Since(begin), fmt.Sprintf("put in by %d clients and answered by 50 slots, in one process", b.parallel))
	return nil
}
