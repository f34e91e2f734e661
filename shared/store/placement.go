package store

import (
	"context"
	"slices"
	"strings"
)

// Wanted is what a host must have to take an instance.
type Wanted struct {
	Compute  int64   // units it must have left
	Hosts    []int64 // one of these, if any are named
	Pools    []int64 // all of these
	Kind     string  // this kind, or
	NotKinds []string
}

// Candidate is a host that fits, with the active pools that it can use.
type Candidate struct {
	Host, Free int64
	Pools      []int64
}

// Candidates lists active hosts of active agents with an active pool, those with
// most compute left first. It looks at a bounded number.
func (t *Tx) Candidates(ctx context.Context, w Wanted) ([]Candidate, error) {
	var b strings.Builder
	args := []any{}
	b.WriteString(`select h.id, coalesce(h.compute_free, 0), p.id from host h
		join storage_pool_host_map m on m.host_id = h.id and m.removed is null
		join storage_pool p on p.id = m.storage_pool_id and p.state = 'active' and not p.external
		left join agent a on a.id = h.agent_id
		where h.state = 'active' and h.removed is null and (a.id is null or a.state = 'active')`)
	add := func(text string, values ...any) {
		b.WriteString(text)
		args = append(args, values...)
	}
	if w.Compute > 0 {
		add(" and h.compute_free >= ?", w.Compute)
	}
	if w.Kind != "" {
		add(" and h.kind = ? and p.kind = ?", w.Kind, w.Kind)
	}
	for _, k := range w.NotKinds {
		add(" and h.kind <> ? and p.kind <> ?", k, k)
	}
	if len(w.Hosts) > 0 {
		add(" and h.id in ("+strings.TrimSuffix(strings.Repeat("?,", len(w.Hosts)), ",")+")", anys(w.Hosts)...)
	}
	b.WriteString(" order by h.compute_free desc, h.id limit 200")
	if len(args) == 0 {
		args = nil
	}
	rows, err := t.query(ctx, b.String(), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Candidate
	at := map[int64]int{}
	for rows.Next() {
		var host, free, pool int64
		if err := rows.Scan(&host, &free, &pool); err != nil {
			return nil, err
		}
		i, ok := at[host]
		if !ok {
			i = len(out)
			at[host] = i
			out = append(out, Candidate{Host: host, Free: free})
		}
		out[i].Pools = append(out[i].Pools, pool)
	}
	out = slices.DeleteFunc(out, func(c Candidate) bool {
		return slices.ContainsFunc(w.Pools, func(p int64) bool { return !slices.Contains(c.Pools, p) })
	})
	return out, rows.Err()
}

func anys(ids []int64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// Take lowers what a host has left, if it still has that much and is active.
func (t *Tx) Take(ctx context.Context, host, units int64) (bool, error) {
	n, err := t.exec(ctx, `update host set compute_free = compute_free - ? where id = ? and state = 'active' and compute_free >= ?`, units, host, units)
	return n > 0, err
}

// Give raises what a host has left.
func (t *Tx) Give(ctx context.Context, host, units int64) error {
	_, err := t.exec(ctx, `update host set compute_free = compute_free + ? where id = ?`, units, host)
	return err
}

// Offered tells which of the given kinds of pool offer an image.
func (t *Tx) Offered(ctx context.Context, image int64, kinds ...string) ([]string, error) {
	var out []string
	for _, kind := range kinds {
		var yes bool
		err := t.one(ctx, `select exists (select 1 from image_storage_pool_map m join storage_pool p on p.id = m.storage_pool_id
			where m.image_id = ? and m.removed is null and p.kind = ?)`, []any{image, kind}, &yes)
		if err != nil {
			return nil, err
		}
		if yes {
			out = append(out, kind)
		}
	}
	return out, nil
}
