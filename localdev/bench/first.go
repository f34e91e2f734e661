package bench

import (
	"context"
	"fmt"
	"time"
)

const starts = 5

// first starts servers in empty homes and leaves the last one alone for a while.
func (b *bencher) first(ctx context.Context) error {
	var pings, posts []time.Duration
	for range starts - 1 {
		r, err := b.start(ctx, &pings, &posts)
		if err != nil {
			return err
		}
		r.close()
	}
	r, err := b.start(ctx, &pings, &posts)
	if err != nil {
		return err
	}
	defer r.close()
	ping, post := median(pings), median(posts)
	runs := func(all []time.Duration) string {
		return fmt.Sprintf("(median of %d, %s to %s)", starts, ms(all[0]), ms(all[starts-1]))
	}
	judged("serves after", ms(ping), "< 2 s", ping < 2*time.Second, "from exec to the first 200 of /ping "+runs(pings))
	judged("writes after", ms(post), "< 2 s", post < 2*time.Second, "from exec to the first 201 of a POST "+runs(posts))
	return idle(ctx, r.children[0].Process.Pid)
}

func (b *bencher) start(ctx context.Context, pings, posts *[]time.Duration) (r *rig, err error) {
	if r, err = newRig(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	begin := time.Now()
	c, err := r.run("server", nil, "server")
	if err != nil {
		return nil, err
	}
	if err := r.soon(ctx, func() error { return r.get(ctx, "/ping", nil) }); err != nil {
		return nil, c.explained(err)
	}
	*pings = append(*pings, time.Since(begin))
	token := map[string]any{}
	if err := r.soon(ctx, func() error { return r.ask(ctx, "POST", "/v1/registrationtokens", token, nil) }); err != nil {
		return nil, c.explained(err)
	}
	*posts = append(*posts, time.Since(begin))
	return r, nil
}

// soon tries every millisecond until it works.
func (r *rig) soon(ctx context.Context, try func() error) error {
	for end := time.Now().Add(20 * time.Second); ; {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

func idle(ctx context.Context, pid int) error {
	const settle, watch = 2 * time.Second, 5 * time.Second
	if err := pause(ctx, settle); err != nil {
		return err
	}
	memory, err := residentMB(pid)
	if err != nil {
		return err
	}
	judged("memory", fmt.Sprintf("%.1f MB", memory), "< 100 MB", memory < 100, "resident (VmRSS) of the idle server 2 s later")
	before := cpu(pid, false)
	if err := pause(ctx, watch); err != nil {
		return err
	}
	share := (cpu(pid, false) - before).Seconds() / watch.Seconds()
	line("processor", fmt.Sprintf("%.1f ms/s", share*1000), "used by the idle server, over 5 s")
	return nil
}
