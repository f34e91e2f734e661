package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// made is what a client sees of a container.
type made struct {
	ID    string `json:"id"`
	UUID  string `json:"uuid"`
	State string `json:"state"`
}

// create posts a container and may look at it until it runs.
func (r *rig) create(ctx context.Context, body map[string]any, every time.Duration) (made, error) {
	var c made
	if err := r.ask(ctx, "POST", "/v1/containers", body, &c); err != nil || every == 0 {
		return c, err
	}
	for end := time.Now().Add(30 * time.Second); c.State != "running"; {
		if time.Now().After(end) {
			return c, fmt.Errorf("container %s is %s after half a minute", c.ID, c.State)
		}
		if err := pause(ctx, every); err != nil {
			return c, err
		}
		if err := r.get(ctx, "/v1/containers/"+c.ID, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// latency starts one container after another.
func (b *bencher) latency(ctx context.Context) error {
	const warm, n = 20, 300
	r, err := served(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	if _, err := r.simHosts(ctx, 1); err != nil {
		return err
	}
	var took []time.Duration
	for i := range warm + n {
		begin := time.Now()
		if _, err := r.create(ctx, map[string]any{"imageUuid": "sim:bench"}, 500*time.Microsecond); err != nil {
			return err
		}
		if i >= warm {
			took = append(took, time.Since(begin))
		}
	}
	slices.Sort(took)
	p50, p99 := quantile(took, 0.5), quantile(took, 0.99)
	judged("median", ms(p50), "< 20 ms", p50 < 20*time.Millisecond, "from before the POST until a GET shows 'running'")
	line("90th percentile", ms(quantile(took, 0.9)), fmt.Sprintf("of %d containers in a row, after %d to warm up", n, warm))
	judged("99th percentile", ms(p99), "< 100 ms", p99 < 100*time.Millisecond, "")
	line("slowest", ms(took[n-1]), "")
	return nil
}

func (b *bencher) embedded(ctx context.Context) error {
	r, err := served(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	return b.throughput(ctx, r)
}

func (b *bencher) postgres(ctx context.Context) error {
	env, drop, err := databases(ctx)
	if err != nil {
		return err
	}
	defer drop()
	r, err := served(ctx, env...)
	if err != nil {
		return err
	}
	defer r.close()
	return b.throughput(ctx, r, "postgres", "redis-server")
}

// throughput posts containers from parallel clients and waits until all run.
func (b *bencher) throughput(ctx context.Context, r *rig, databases ...string) error {
	begin := time.Now()
	agents, err := r.simHosts(ctx, b.hosts)
	if err != nil {
		return err
	}
	line("hosts joined", fmt.Sprintf("%.1f s", time.Since(begin).Seconds()), fmt.Sprintf("from the first POST of %d agents until %d hosts are active", agents, b.hosts))
	if _, err := r.create(ctx, map[string]any{"imageUuid": "sim:bench"}, time.Millisecond); err != nil {
		return err // the image is known now
	}
	pid := r.children[0].Process.Pid
	before := used(pid)
	begin = time.Now()
	if err := b.post(ctx, r); err != nil {
		return err
	}
	posted := time.Since(begin)
	if err := r.allRun(ctx); err != nil {
		return err
	}
	took, after := time.Since(begin), used(pid)
	n := float64(b.containers)
	line("posted", fmt.Sprintf("%.0f /s", n/posted.Seconds()), fmt.Sprintf("%d POSTs by %d clients, answered with 201", b.containers, b.parallel))
	line("started", fmt.Sprintf("%.0f /s", n/took.Seconds()), fmt.Sprintf("from the first POST until all run, %.1f s", took.Seconds()))
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
				if _, err := r.create(ctx, map[string]any{"imageUuid": "sim:bench"}, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// allRun waits until no container is in another state. Those that will not run
// keep it from returning before ctx ends.
func (r *rig) allRun(ctx context.Context) error {
	for {
		var others found
		if err := r.get(ctx, "/v1/containers?state_ne=running&removed_null=true&limit=1", &others); err != nil {
			return err
		}
		if len(others.Data) == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("container %s is still %s", others.Data[0].ID, others.Data[0].State)
		}
	}
}
