package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/shared/wire"
)

// watcher listens to the event stream for containers that run.
type watcher struct {
	gws.BuiltinEventHandler
	open chan struct{} // closed by the first frame
	once sync.Once

	mu      sync.Mutex
	running map[string]time.Time
}

// watch subscribes to changes of state, and returns when that is in force.
func (r *rig) watch(ctx context.Context) (w *watcher, end func(), err error) {
	w = &watcher{open: make(chan struct{}), running: map[string]time.Time{}}
	address := strings.Replace(r.url, "http", "ws", 1) + "/v1/subscribe?" + url.Values{"eventNames": {wire.StateChange}}.Encode()
	conn, _, err := gws.NewClient(w, &gws.ClientOption{Addr: address})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen to the event stream: %w", err)
	}
	go conn.ReadLoop()
	end = func() { _ = conn.WriteClose(1000, nil) }
	select {
	case <-w.open:
		return w, end, nil
	case <-ctx.Done():
		end()
		return nil, nil, ctx.Err()
	}
}

// OnMessage notes when a container was seen to run for the first time.
func (w *watcher) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	now := time.Now()
	w.once.Do(func() { close(w.open) })
	text := m.Bytes()
	if !strings.Contains(string(text), `"state":"running"`) {
		return
	}
	var e struct {
		ResourceType, ResourceID string
	}
	if json.Unmarshal(text, &e) != nil || e.ResourceType != "instance" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.running[e.ResourceID]; !known {
		w.running[e.ResourceID] = now
	}
}

// seen returns when a container ran.
func (w *watcher) seen(id string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.running[id]
	return t, ok
}

// arrivals are starts that came by the clock.
type arrivals struct {
	mu       sync.Mutex
	accepted map[string]time.Time // by id of the container
	answered []time.Duration      // how long each POST took
}

// steady starts a hundred containers a second, whether those before them run or not.
func (b *bencher) steady(ctx context.Context) error {
	const perSecond, warm, long = 100, 3 * time.Second, 30 * time.Second
	f, err := b.productField(ctx, b.hosts, perAgent)
	if err != nil {
		return err
	}
	defer f.close()
	w, end, err := f.watch(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := f.arrive(ctx, perSecond, warm); err != nil {
		return err
	}
	before, err := f.tally(ctx)
	if err != nil {
		return err
	}
	a, err := f.arrive(ctx, perSecond, long)
	if err != nil {
		return err
	}
	if err := f.allRun(ctx); err != nil {
		return err
	}
	after, err := f.tally(ctx)
	if err != nil {
		return err
	}
	line("posted", fmt.Sprintf("%d", len(a.accepted)), fmt.Sprintf("POSTs in %s, by the clock; answered within %s in the median, 99th percentile %s", long, ms(quantile(a.answered, 0.5)), ms(quantile(a.answered, 0.99))))
	if err := f.judgeRate(ctx, a, w); err != nil {
		return err
	}
	after.report(before, len(a.accepted))
	return nil
}

// arrive posts containers by the clock.
func (r *rig) arrive(ctx context.Context, perSecond int, long time.Duration) (*arrivals, error) {
	a := &arrivals{accepted: map[string]time.Time{}}
	g, gctx := errgroup.WithContext(ctx)
	begin, every := time.Now(), time.Second/time.Duration(perSecond)
	for i := range int(long / every) {
		due := begin.Add(time.Duration(i) * every)
		if err := pause(gctx, time.Until(due)); err != nil {
			break
		}
		g.Go(func() error {
			var c made
			if err := r.ask(gctx, "POST", "/v1/containers", pretend, &c); err != nil {
				return err
			}
			now := time.Now()
			a.mu.Lock()
			defer a.mu.Unlock()
			a.accepted[c.ID], a.answered = now, append(a.answered, now.Sub(due))
			return nil
		})
	}
	err := g.Wait()
	slices.Sort(a.answered)
	return a, errors.Join(err, ctx.Err())
}

// judgeRate compares when containers were accepted with when they ran: as the event
// stream told, and as the processes on record say.
func (f *field) judgeRate(ctx context.Context, a *arrivals, w *watcher) error {
	var told, recorded []time.Duration
	ended, err := f.ends(ctx)
	if err != nil {
		return err
	}
	for id, at := range a.accepted {
		if err := wait(ctx, "the stream to tell of container "+id, 5*time.Second, func() bool { _, ok := w.seen(id); return ok }); err != nil {
			return err
		}
		seen, _ := w.seen(id)
		told = append(told, max(0, seen.Sub(at)))
		end, ok := ended[id]
		if !ok {
			return fmt.Errorf("no process is on record that ended with container %s", id)
		}
		recorded = append(recorded, max(0, end.Sub(at)))
	}
	slices.Sort(told)
	slices.Sort(recorded)
	p50, p99 := quantile(told, 0.5), quantile(told, 0.99)
	judged("median", ms(p50), "< 15 ms", p50 < 15*time.Millisecond, "from the 201 until the event stream told 'running'; aim 8")
	judged("99th percentile", ms(p99), "< 75 ms", p99 < 75*time.Millisecond, fmt.Sprintf("aim 25; slowest %s", ms(told[len(told)-1])))
	line("as recorded", ms(quantile(recorded, 0.5)), fmt.Sprintf("in the median, %s in the 99th percentile, until the end of the process by the database's clock, before its commit", ms(quantile(recorded, 0.99))))
	return nil
}

// ends reads when the start of each container ended.
func (r *rig) ends(ctx context.Context) (map[string]time.Time, error) {
	ended := map[string]time.Time{}
	next := "/v1/processinstances?resourceType=instance&processName=instance.create&limit=1000"
	for next != "" {
		var page struct {
			Data []struct {
				ResourceID string `json:"resourceId"`
				End        int64  `json:"endTimeTS"`
			} `json:"data"`
			Pagination struct {
				Next string `json:"next"`
			} `json:"pagination"`
		}
		if err := r.get(ctx, next, &page); err != nil {
			return nil, err
		}
		for _, p := range page.Data {
			ended["1i"+p.ResourceID] = time.UnixMilli(p.End)
		}
		next = strings.TrimPrefix(page.Pagination.Next, r.url)
	}
	return ended, nil
}
