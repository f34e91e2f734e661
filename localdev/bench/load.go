package bench

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

func (b *bencher) embedded(ctx context.Context) error {
	r, err := served(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	return b.throughput(ctx, r)
}

func (b *bencher) postgres(ctx context.Context) error {
	d, err := newDatabases(ctx)
	if err != nil {
		return err
	}
	defer d.drop()
	r, err := served(ctx, d.env()...)
	if err != nil {
		return err
	}
	defer r.close()
	return b.throughput(ctx, r, "postgres", "redis-server")
}

// rate prints how many of something a second there were.
func rate(what string, n int, took time.Duration, meaning string) {
	line(what, fmt.Sprintf("%.0f /s", float64(n)/took.Seconds()), meaning)
}

// throughput posts containers from parallel clients and waits until all run.
func (b *bencher) throughput(ctx context.Context, r *rig, databases ...string) error {
	begin := time.Now()
	agents, err := r.simHosts(ctx, b.hosts)
	if err != nil {
		return err
	}
	line("hosts joined", fmt.Sprintf("%.1f s", time.Since(begin).Seconds()), fmt.Sprintf("from the first POST of %d agents until %d hosts are active", agents, b.hosts))
	if _, err := r.create(ctx, pretend, time.Millisecond); err != nil { // stages the image
		return err
	}
	server := r.children[0].Process.Pid
	before := used(server)
	begin = time.Now()
	if err := b.post(ctx, r); err != nil {
		return err
	}
	posted := time.Since(begin)
	if err := r.allRun(ctx); err != nil {
		return err
	}
	took, after := time.Since(begin), used(server)
	rate("posted", b.containers, posted, fmt.Sprintf("%d POSTs by %d clients, answered with 201", b.containers, b.parallel))
	rate("started", b.containers, took, fmt.Sprintf("from the first POST until all run, %.1f s", took.Seconds()))
	line("server processor", fmt.Sprintf("%.2f ms", after.per(before, "server", b.containers)), "for each start, of the one server process")
	for _, name := range databases {
		line(name+" processor", fmt.Sprintf("%.2f ms", after.per(before, name, b.containers)), "for each start, of all such processes that run here")
	}
	return nil
}

func (b *bencher) post(ctx context.Context, r *rig) error {
	var n atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range b.parallel {
		g.Go(func() error {
			for n.Add(1) <= int64(b.containers) {
				if _, err := r.create(ctx, pretend, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// allRun waits until no container is in another state. One whose start was given
// up is removed, and still listed for a while.
func (r *rig) allRun(ctx context.Context) error {
	for {
		var others found
		if err := r.get(ctx, "/v1/containers?state_ne=running&limit=1", &others); err != nil {
			return err
		}
		if len(others.Data) == 0 {
			return nil
		}
		c := others.Data[0]
		if strings.HasPrefix(c.State, "remov") {
			return fmt.Errorf("container %s did not start and is %s", c.ID, c.State)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("container %s is still %s", c.ID, c.State)
		}
	}
}
