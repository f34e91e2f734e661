package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/schema"
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
	Agent      int64 // 0 for none
	Silent     bool  // nobody has found the agent connected lately
	Pools      []int64
}

// likely remembers for a moment which hosts fit, with what they have left by the
// count of this server. It is a hint: Take decides.
type likely struct {
	mu    sync.Mutex
	lists map[string]*likelyList
}

type likelyList struct {
	until time.Time
	hosts []Candidate
}

// likelyFor is how long a list is offered again.
const likelyFor = 300 * time.Millisecond

// Likely is Candidates as they were a moment ago, for those who name no host and no
// pool. Take may refuse all of them: then Candidates knows.
func (t *Tx) Likely(ctx context.Context, w Wanted) ([]Candidate, error) {
	if len(w.Hosts) > 0 || len(w.Pools) > 0 {
		return t.Candidates(ctx, w)
	}
	key := fmt.Sprint(w)
	l := &t.s.likely
	l.mu.Lock()
	if list := l.lists[key]; list != nil {
		if time.Now().Before(list.until) {
			defer l.mu.Unlock()
			return slices.Clone(list.hosts), nil
		}
		list.until = time.Now().Add(likelyFor) // one asks, the others take the old list meanwhile
	}
	l.mu.Unlock()
	hosts, err := t.Candidates(ctx, w)
	if err != nil || len(hosts) == 0 {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil || len(l.lists) > 20 {
		l.lists = map[string]*likelyList{}
	}
	l.lists[key] = &likelyList{time.Now().Add(likelyFor), slices.Clone(hosts)}
	return hosts, nil
}

// count keeps what a host has left.
func (l *likely) count(host, units int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range l.lists {
		for i := range list.hosts {
			if list.hosts[i].Host == host {
				list.hosts[i].Free += units
			}
		}
	}
}

func (l *likely) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists = nil
}

// noticed forgets the hosts that fit once rows that decide about them have changed.
func (t *Tx) noticed(typ *schema.Type) {
	switch typ.Name {
	case "host", "agent", "storagePool", "storagePoolHostMap":
		t.After(t.s.likely.forget)
	}
}

// Candidates lists active hosts of active agents with an active pool, those that can be
// reached and have most compute left first. It looks at a bounded number.
func (t *Tx) Candidates(ctx context.Context, w Wanted) ([]Candidate, error) {
	var b strings.Builder
	args := []any{}
	b.WriteString(`select h.id, coalesce(h.compute_free, 0), coalesce(h.agent_id, 0), p.id, a.disconnected_since is not null from host h
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
	b.WriteString(" order by a.disconnected_since is not null, h.compute_free desc, h.id limit 200")
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
		var host, free, agent, pool int64
		var silent bool
		if err := rows.Scan(&host, &free, &agent, &pool, &silent); err != nil {
			return nil, err
		}
		i, ok := at[host]
		if !ok {
			i = len(out)
			at[host] = i
			out = append(out, Candidate{Host: host, Free: free, Agent: agent, Silent: silent})
		}
		out[i].Pools = append(out[i].Pools, pool)
	}
	out = slices.DeleteFunc(out, func(c Candidate) bool {
		return slices.ContainsFunc(w.Pools, func(p int64) bool { return !slices.Contains(c.Pools, p) })
	})
	return out, rows.Err()
}

// Joining says whether an active host waits for its agent to be active.
func (t *Tx) Joining(ctx context.Context) (bool, error) {
	rows, err := t.query(ctx, `select 1 from agent a join host h on h.agent_id = a.id
		where a.state = 'activating' and a.removed is null and h.state = 'active' and h.removed is null limit 1`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	return rows.Next(), rows.Err()
}

func anys(ids []int64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// Take lowers what a host has left, if it still has that much and it, its agent and
// its tie to the pool are still there. It travels with what read asks for: most takings
// succeed, so what is needed then is read along.
func (t *Tx) Take(ctx context.Context, host, pool, units int64, read func() error) (taken bool, err error) {
	const text = `update host set compute_free = compute_free - ?
		where id = ? and coalesce(removed, 0) = 0 and state = 'active' and coalesce(compute_free, 0) >= ?
		and (agent_id is null or exists (select 1 from agent a where a.id = host.agent_id and a.state = 'active'))
		and exists (select 1 from storage_pool_host_map m join storage_pool p on p.id = m.storage_pool_id
			where m.host_id = host.id and m.removed is null and p.id = ? and p.state = 'active')`
	args := []any{units, host, units, pool}
	var n int64
	t.s.likely.count(host, -units) // before it is so, that others who choose now choose another
	defer func() {
		if n == 0 {
			t.s.likely.count(host, units)
		}
	}()
	if t.pipe == nil {
		n, err = t.exec(ctx, text, args...)
	} else {
		t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(text), args: args, hit: &n})
	}
	if err == nil {
		err = read()
	}
	if err == nil {
		err = t.Settle(ctx)
	}
	return n > 0, err
}

// HostsOf lists the hosts that carry a virtual network of a subnet, and those that share
// a machine with them: any of its networks, or the one named. Subnet 0 asks for the
// virtual network alone.
func (t *Tx) HostsOf(ctx context.Context, subnet, vnet int64) ([]int64, error) {
	text, args := `select distinct o.id from host_vnet_map m
		join host h on h.id = m.host_id
		join host o on o.id = h.id or o.physical_host_id = h.physical_host_id
		where m.removed is null`, []any{}
	if vnet != 0 {
		text, args = text+" and m.vnet_id = ?", append(args, vnet)
	}
	if subnet != 0 {
		text += " and exists (select 1 from subnet_vnet_map s where s.vnet_id = m.vnet_id and s.subnet_id = ? and s.removed is null)"
		args = append(args, subnet)
	}
	if len(args) == 0 {
		return nil, nil
	}
	r, err := t.query(ctx, text+" order by o.id", args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []int64
	for r.Next() {
		var id int64
		if err := r.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, r.Err()
}

// Give raises what a host has left.
func (t *Tx) Give(ctx context.Context, host, units int64) error {
	_, err := t.exec(ctx, `update host set compute_free = compute_free + ? where id = ?`, units, host)
	if err == nil {
		t.s.likely.count(host, units)
	}
	return err
}

// Offered tells which of two kinds of pool offer an image.
func (t *Tx) Offered(ctx context.Context, image int64, kind, other string) ([]string, error) {
	const text = `exists (select 1 from image_storage_pool_map m join storage_pool p on p.id = m.storage_pool_id
		where m.image_id = ? and m.removed is null and p.kind = ?)`
	var first, second bool
	if err := t.one(ctx, `select `+text+`, `+text, []any{image, kind, image, other}, &first, &second); err != nil {
		return nil, err
	}
	var out []string
	if first {
		out = append(out, kind)
	}
	if second {
		out = append(out, other)
	}
	return out, nil
}
