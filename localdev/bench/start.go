package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sync/errgroup"
)

// field is a server over databases of its own, with simulated hosts.
type field struct {
	*rig
	*databases
	*hosts
}

// bare measures the skeleton.
func (b *bencher) bare(ctx context.Context) error {
	f, err := b.skeletonField(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	b.skeleton, err = b.drive(ctx, f)
	return err
}

func (b *bencher) skeletonField(ctx context.Context) (f *field, err error) {
	f = &field{}
	if f.databases, err = newDatabases(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	port, err := freePort()
	if err != nil {
		return f, err
	}
	r, err := newRig()
	if err != nil {
		return f, err
	}
	if err = r.serve(ctx, "skeleton", nil, "bench", "skeleton", "-db", f.postgres, "-redis", f.databases.redis,
		"-api", "127.0.0.1:"+r.port, "-gateway", "127.0.0.1:"+port); err != nil {
		return f, err
	}
	f.rig = r
	f.hosts, err = joinHosts(ctx, f.rig.client, "http://127.0.0.1:"+port, b.hosts, perAgent)
	return f, err
}

// whole measures the product beside the skeleton.
func (b *bencher) whole(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	inside := "127.0.0.1:" + port
	f, err := b.productField(ctx, b.hosts, perAgent, "CATTLE_PPROF_ADDRESS="+inside)
	if err != nil {
		return err
	}
	defer f.close()
	perSecond, err := b.drive(ctx, f)
	if err != nil {
		return err
	}
	if b.skeleton == 0 {
		line("ratio", "-", "the skeleton was not measured in this run")
	} else {
		ratio := perSecond / b.skeleton
		judged("ratio", fmt.Sprintf("%.2f", ratio), ">= 0.25", ratio >= 0.25, "of the product's rate to the skeleton's in this run; aim 0.50")
	}
	return b.look(ctx, f, inside, perSecond)
}

// look takes a profile of the server while it starts as many once more, so that
// the profile is no part of the rate.
func (b *bencher) look(ctx context.Context, f *field, inside string, perSecond float64) error {
	n := min(b.starts, 1000)
	seconds := max(time.Second, time.Duration(float64(n)/perSecond*float64(time.Second)).Truncate(time.Second))
	var taken *profile.Profile
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { taken, err = spent(gctx, inside, seconds); return err })
	g.Go(func() error { return errors.Join(f.some(gctx, n, b.parallel, nil), f.allRun(gctx)) })
	if err := g.Wait(); err != nil {
		return err
	}
	printProfile(taken, min(float64(n), perSecond*seconds.Seconds()))
	return nil
}

// productField is a whole server over Postgres and Redis with hosts that are active.
func (b *bencher) productField(ctx context.Context, n, each int, env ...string) (f *field, err error) {
	f = &field{}
	if f.databases, err = newDatabases(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	r, err := served(ctx, append(f.env(), env...)...)
	if err != nil {
		return f, err
	}
	f.rig = r
	if f.hosts, err = joinHosts(ctx, f.rig.client, f.url, n, each); err != nil {
		return f, err
	}
	return f, f.active(ctx, n)
}

// active waits until so many hosts are.
func (r *rig) active(ctx context.Context, n int) error {
	path := fmt.Sprintf("/v1/hosts?state=active&limit=%d", n)
	return wait(ctx, "the simulated hosts", 2*time.Minute, func() bool { return r.count(ctx, path) == n })
}

// close ends the server before its agents, so that it sees none of them leave.
func (f *field) close() {
	if f.rig != nil {
		f.rig.close()
	}
	if f.hosts != nil {
		f.hosts.close()
	}
	f.drop()
}

// drive posts containers from parallel clients until all run, and tells how many a
// second that was and what they cost.
func (b *bencher) drive(ctx context.Context, f *field) (perSecond float64, err error) {
	if err := f.some(ctx, 200, b.parallel, nil); err != nil { // images, plans of statements, connections
		return 0, err
	}
	if err := f.allRun(ctx); err != nil {
		return 0, err
	}
	before, err := f.tally(ctx)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := f.some(ctx, b.starts, b.parallel, nil); err != nil {
		return 0, err
	}
	if err := f.allRun(ctx); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	after, err := f.tally(ctx)
	if err != nil {
		return 0, err
	}
	perSecond = float64(b.starts) / took.Seconds()
	rate("started", b.starts, took, fmt.Sprintf("from the first of %d POSTs by %d clients until all run, %.1f s; %d agents, %d hosts", b.starts, b.parallel, took.Seconds(), len(f.agents), b.hosts))
	after.report(before, b.starts)
	return perSecond, nil
}

// some posts containers from parallel clients; body may choose for each.
func (r *rig) some(ctx context.Context, n, parallel int, body func(i int) map[string]any) error {
	if body == nil {
		body = func(int) map[string]any { return pretend }
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range parallel {
		g.Go(func() error {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if _, err := r.create(ctx, body(int(i-1)), 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// tally is what an installation has done so far.
type tally struct {
	effort
	writes   int64            // transactions of Postgres that wrote
	commands map[string]int64 // of Redis, by name
}

func (f *field) tally(ctx context.Context) (t tally, err error) {
	t.effort = used(f.children[0].Process.Pid)
	t.effort["clients"] = cpu(os.Getpid(), false)
	if t.writes, err = f.writes(ctx); err != nil {
		return t, err
	}
	t.commands, err = f.commandStats(ctx)
	return t, err
}

func (t tally) report(before tally, n int) {
	var parts []string
	sum := 0.0
	for _, name := range []string{"server", "postgres", "redis-server", "clients"} {
		each := t.per(before.effort, name, n)
		sum += each
		parts = append(parts, fmt.Sprintf("%s %.2f", name, each))
	}
	line("processor", fmt.Sprintf("%.2f ms", sum), "for each start: "+strings.Join(parts, ", ")+" (clients are this process: POSTs and simulated hosts)")
	line("commits", fmt.Sprintf("%.2f", float64(t.writes-before.writes)/float64(n)), "transactions that wrote, for each start, of all that Postgres does")
	total, names := perCommand(before.commands, t.commands, n)
	line("Redis commands", fmt.Sprintf("%.2f", total), "for each start, of all that Redis does, also inside of scripts: "+names)
}
