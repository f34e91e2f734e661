package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// land is a field whose hosts are told apart by the half of the agents they belong to.
type land struct {
	*field
	ids [2][]string // of hosts, by half
	n   int         // batches so far
}

func (b *bencher) land(ctx context.Context, n int, env ...string) (*land, error) {
	f, err := b.productField(ctx, n, perAgent, env...)
	if err != nil {
		return nil, err
	}
	l := &land{field: f}
	var all found
	if err := f.get(ctx, fmt.Sprintf("/v1/hosts?limit=%d", n), &all); err != nil {
		f.close()
		return nil, err
	}
	for which := range l.ids {
		var names []string
		for _, p := range f.half(which) {
			for i := range p.hosts {
				names = append(names, p.host(i))
			}
		}
		for _, h := range all.Data {
			if slices.Contains(names, h.UUID) {
				l.ids[which] = append(l.ids[which], h.ID)
			}
		}
	}
	return l, nil
}

// batch posts containers for the hosts of one half and returns the name they share.
func (l *land) batch(ctx context.Context, half, n, parallel int) (name string, err error) {
	l.n++
	name = fmt.Sprintf("batch-%d", l.n)
	hosts := l.ids[half]
	return name, l.some(ctx, n, parallel, func(i int) map[string]any {
		return map[string]any{"imageUuid": "sim:bench", "name": name, "requestedHostId": hosts[i%len(hosts)]}
	})
}

// arrived waits until none of a batch is on its way any more.
func (l *land) arrived(ctx context.Context, name string) error {
	for {
		var others found
		if err := l.get(ctx, "/v1/containers?name="+name+"&state_ne=running&limit=1", &others); err != nil {
			return err
		}
		if len(others.Data) == 0 {
			return nil
		}
		if c := others.Data[0]; strings.HasPrefix(c.State, "remov") {
			return fmt.Errorf("container %s did not start and is %s", c.ID, c.State)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("container %s is still %s", others.Data[0].ID, others.Data[0].State)
		}
	}
}

// living tells how many a second start on the living half.
func (l *land) living(ctx context.Context, n, parallel int) (float64, error) {
	begin := time.Now()
	name, err := l.batch(ctx, 0, n, parallel)
	if err != nil {
		return 0, err
	}
	if err := l.arrived(ctx, name); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// hush sets what the other half answers from now on.
func (l *land) hush(answer int32) {
	for _, p := range l.half(1) {
		p.answer.Store(answer)
	}
}

// load posts containers for the silent half and returns when all wait for it.
func (l *land) load(ctx context.Context, n, parallel int) (name string, err error) {
	before := l.asked()
	if name, err = l.batch(ctx, 1, n, parallel); err != nil {
		return "", err
	}
	for l.asked()-before < int64(n) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("the silent hosts were asked %d times for %d starts", l.asked()-before, n)
		}
	}
	return name, nil
}

func (l *land) asked() (n int64) {
	for _, p := range l.half(1) {
		n += p.asked.Load()
	}
	return n
}

// dead compares the rate of half of the hosts while the other half is silent with
// their rate before and after.
func (b *bencher) dead(ctx context.Context) error {
	n := b.containers
	l, err := b.land(ctx, b.hosts)
	if err != nil {
		return err
	}
	defer l.close()
	if _, err := l.living(ctx, n/2, b.parallel); err != nil { // to warm up
		return err
	}
	if _, err := l.batch(ctx, 1, len(l.ids[1]), b.parallel); err != nil { // the image on every pool
		return err
	}
	if err := l.allRun(ctx); err != nil {
		return err
	}
	before, err := l.living(ctx, n, b.parallel)
	if err != nil {
		return err
	}
	rounds := []struct {
		name, meaning string
		answer        int32
	}{
		{"answering pings only", "they take every command and do nothing", onlyPings},
		{"answering nothing", "nor do they answer pings", nothing},
	}
	for _, r := range rounds {
		l.hush(r.answer)
		waiting, err := l.load(ctx, len(l.ids[1]), b.parallel)
		if err != nil {
			return err
		}
		during, err := l.living(ctx, n, b.parallel)
		if err != nil {
			return err
		}
		ran := l.count(ctx, "/v1/containers?name="+waiting+"&state=running&limit=1")
		l.hush(everything)
		if ran > 0 {
			return fmt.Errorf("a container runs on a host that answered nothing")
		}
		if err := l.arrived(ctx, waiting); err != nil { // asked again, they answer
			return err
		}
		after, err := l.living(ctx, n, b.parallel)
		if err != nil {
			return err
		}
		ratio := during / ((before + after) / 2)
		judged(r.name, fmt.Sprintf("%.2f", ratio), ">= 0.95", ratio >= 0.95, fmt.Sprintf("%.0f starts/s on %d living hosts while %d starts wait for %d silent ones; %.0f/s before, %.0f/s after (%s)",
			during, len(l.ids[0]), len(l.ids[1]), len(l.ids[1]), before, after, r.meaning))
		before = after
	}
	return nil
}

// waits compares the rate of other work while very many starts wait for agents.
func (b *bencher) waits(ctx context.Context) error {
	l, err := b.land(ctx, 200, "CATTLE_AGENT_TIMEOUT_MILLIS=600000") // slow hosts, not lost ones
	if err != nil {
		return err
	}
	defer l.close()
	// Postgres tidies up after the load for seconds: that is to weigh little.
	n := 4 * b.containers
	if _, err := l.batch(ctx, 1, len(l.ids[1]), b.parallel); err != nil { // the image on every pool
		return err
	}
	if err := l.allRun(ctx); err != nil {
		return err
	}
	if _, err := l.living(ctx, n/2, b.parallel); err != nil { // to warm up
		return err
	}
	before, err := l.living(ctx, n, b.parallel)
	if err != nil {
		return err
	}
	l.hush(onlyPings)
	begin := time.Now()
	if _, err := l.load(ctx, b.waiting, b.parallel); err != nil {
		return err
	}
	rate("put to wait", b.waiting, time.Since(begin), fmt.Sprintf("%d starts posted until %d silent hosts were asked for all of them; the server has 50 slots", b.waiting, len(l.ids[1])))
	during, err := l.living(ctx, n, b.parallel)
	if err != nil {
		return err
	}
	ratio := during / before
	judged("others meanwhile", fmt.Sprintf("%.2f", ratio), ">= 0.95", ratio >= 0.95, fmt.Sprintf("of their rate: %.0f starts/s on the other %d hosts, %.0f/s without those that wait", during, len(l.ids[0]), before))
	memory, err := residentMB(l.children[0].Process.Pid)
	if err != nil {
		return err
	}
	line("memory", fmt.Sprintf("%.1f MB", memory), "resident (VmRSS) of the server with all that waits")
	return nil
}
