package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// pickup starts one container at a time while nothing else happens, in one process
// and with every part in a process of its own.
func (b *bencher) pickup(ctx context.Context) error {
	for _, way := range []struct {
		name  string
		field func(context.Context) (*field, error)
	}{
		{"one process", func(ctx context.Context) (*field, error) { return b.productField(ctx, 10, perAgent) }},
		{"parts apart", b.apartField},
	} {
		f, err := way.field(ctx)
		if err != nil {
			return err
		}
		took, err := f.picked(ctx, 20, 300)
		f.close()
		if err != nil {
			return err
		}
		p99 := quantile(took, 0.99)
		judged(way.name, ms(p99), "< 20 ms", p99 < 20*time.Millisecond, fmt.Sprintf("99th percentile of %d, from the 201 until the host hears the first command; median %s, slowest %s",
			len(took), ms(quantile(took, 0.5)), ms(took[len(took)-1])))
	}
	return nil
}

// picked tells how long it took from each answer until the first command. Whoever
// was faster than the answer counts as 0.
func (f *field) picked(ctx context.Context, warm, n int) ([]time.Duration, error) {
	heard := make(chan time.Time, 100)
	tell := func() {
		select {
		case heard <- time.Now():
		default:
		}
	}
	for _, p := range f.agents {
		p.news.Store(&tell)
	}
	var took []time.Duration
	for i := range warm + n {
		if _, err := f.create(ctx, pretend, 0); err != nil {
			return nil, err
		}
		answered := time.Now()
		select {
		case at := <-heard:
			if i >= warm {
				took = append(took, max(0, at.Sub(answered)))
			}
		case <-time.After(10 * time.Second):
			return nil, fmt.Errorf("nothing was asked of the host for 10 s")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := f.allRun(ctx); err != nil {
			return nil, err
		}
		if err := pause(ctx, time.Duration(20+i%50)*time.Millisecond); err != nil { // idle again, and in step with nothing
			return nil, err
		}
		for len(heard) > 0 {
			<-heard
		}
	}
	slices.Sort(took)
	return took, nil
}

// apartField is an installation whose parts are processes of their own.
func (b *bencher) apartField(ctx context.Context) (f *field, err error) {
	f = &field{}
	if f.databases, err = newDatabases(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	r, err := newRig()
	if err != nil {
		return f, err
	}
	if err = r.serve(ctx, "api", f.env(), "server", "--profile", "api"); err != nil {
		return f, err
	}
	f.rig = r
	var gateway client
	for _, part := range []string{"gateway", "worker", "scheduler"} {
		port, err := freePort()
		if err != nil {
			return f, err
		}
		c, err := r.run(part, append(f.env(), "CATTLE_HTTP_PORT="+port), "server", "--profile", part)
		if err != nil {
			return f, err
		}
		at := client{"http://127.0.0.1:" + port}
		if err := wait(ctx, "the "+part+" to answer", 30*time.Second, func() bool { return at.get(ctx, "/ping", nil) == nil }); err != nil {
			return f, c.explained(err)
		}
		if part == "gateway" {
			gateway = at
		}
	}
	if f.hosts, err = joinHosts(ctx, f.rig.client, gateway.url, 10, perAgent); err != nil {
		return f, err
	}
	return f, f.active(ctx, 10)
}
