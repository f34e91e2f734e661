package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// made is what a client sees of a container.
type made struct {
	ID    string `json:"id"`
	UUID  string `json:"uuid"`
	State string `json:"state"`
}

var pretend = map[string]any{"imageUuid": "sim:bench"}

// create posts a container and, unless every is 0, looks at it so often until it runs.
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
		if _, err := r.create(ctx, pretend, 500*time.Microsecond); err != nil {
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
