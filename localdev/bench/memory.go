package bench

import (
	"context"
	"fmt"
	"time"
)

// memory looks at a server with a hundred agents that has done some work.
func (b *bencher) memory(ctx context.Context) error {
	const agents, starts = 100, 500
	r, err := served(ctx)
	if err != nil {
		return err
	}
	h, err := joinHosts(ctx, r.client, r.url, agents, 1)
	if err != nil {
		r.close()
		return err
	}
	defer h.close()
	defer r.close()
	if err := r.active(ctx, agents); err != nil {
		return err
	}
	if err := r.weigh(ctx, "embedded", starts, b.parallel); err != nil {
		return err
	}
	f, err := b.productField(ctx, agents, 1)
	if err != nil {
		return err
	}
	defer f.close()
	return f.weigh(ctx, "over Postgres", starts, b.parallel)
}

func (r *rig) weigh(ctx context.Context, name string, starts, parallel int) error {
	if err := r.some(ctx, starts, parallel, nil); err != nil {
		return err
	}
	if err := r.allRun(ctx); err != nil {
		return err
	}
	pid := r.children[0].Process.Pid
	busy, err := residentMB(pid)
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	after, err := residentMB(pid)
	if err != nil {
		return err
	}
	most := max(busy, after)
	judged(name, fmt.Sprintf("%.1f MB", most), "< 64 MB", most < 64, fmt.Sprintf("resident (VmRSS) of the whole server with 100 connected hosts, right after %d starts; %.1f MB 2 s later", starts, after))
	return nil
}
