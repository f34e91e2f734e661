package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// writes counts the transactions of the whole Postgres that wrote something, by
// the numbers it gives them.
func (d *databases) writes(ctx context.Context) (n int64, err error) {
	err = d.admin.QueryRowContext(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&n)
	return n, err
}

// commandStats counts what the whole Redis has done, by command.
func (d *databases) commandStats(ctx context.Context) (map[string]int64, error) {
	text, err := d.cache.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	calls := map[string]int64{}
	for l := range strings.Lines(text) { // cmdstat_get:calls=21,usec=175,…
		name, rest, ok := strings.Cut(strings.TrimPrefix(l, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		if calls[name], err = strconv.ParseInt(n, 10, 64); err != nil {
			return nil, fmt.Errorf("cannot read the counters of Redis: %w", err)
		}
	}
	return calls, nil
}

// perCommand shares the commands since before among n, the most frequent first.
func perCommand(before, after map[string]int64, n int) (total float64, names string) {
	type share struct {
		name string
		each float64
	}
	var all []share
	for name, calls := range after {
		each := float64(calls-before[name]) / float64(n)
		total += each
		if each >= 0.05 {
			all = append(all, share{name, each})
		}
	}
	slices.SortFunc(all, func(a, b share) int { return cmp.Compare(b.each, a.each) })
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%s %.1f", s.name, s.each))
	}
	return total, strings.Join(parts, ", ")
}
