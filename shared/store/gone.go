package store

import "context"

// GoneHost is an active host whose agent no gateway holds.
type GoneHost struct {
	ID, Agent, Since int64 // since when, by the clock of the database
}

// watchedHosts are the hosts that have an agent whose connection counts.
const watchedHosts = ` from host h join agent a on a.id = h.agent_id
	where h.state = 'active' and h.removed is null and a.state in ('active', 'activating', 'reconnecting')`

// GoneHosts lists active hosts whose agents are gone, the longest gone first, tells of
// how many that are watched, and when it looked.
func (s *Store) GoneHosts(ctx context.Context) (out []GoneHost, of int, now int64, err error) {
	rows, err := s.query(ctx, `select h.id, a.id, a.disconnected_since, `+s.now()+watchedHosts+` and a.disconnected_since is not null
		order by a.disconnected_since, h.id`)
	if err != nil {
		return nil, 0, 0, err
	}
	for rows.Next() {
		var h GoneHost
		if err = rows.Scan(&h.ID, &h.Agent, &h.Since, &now); err != nil {
			break
		}
		out = append(out, h)
	}
	if err = closing(rows, err); err != nil || len(out) == 0 {
		return nil, 0, now, err
	}
	rows, err = s.query(ctx, `select count(*)`+watchedHosts)
	if err != nil {
		return nil, 0, 0, err
	}
	for rows.Next() {
		if err = rows.Scan(&of); err != nil {
			break
		}
	}
	return out, of, now, closing(rows, err)
}

// OnSharedPools tells whether a volume lies in pools alone that at least two hosts can use.
func (s *Store) OnSharedPools(ctx context.Context, volume int64) (shared bool, err error) {
	rows, err := s.query(ctx, `select (select count(*) from storage_pool_host_map h where h.storage_pool_id = m.storage_pool_id and h.removed is null)
		from volume_storage_pool_map m where m.volume_id = ? and m.removed is null`, volume)
	if err != nil {
		return false, err
	}
	shared = true
	for rows.Next() {
		var hosts int
		if err = rows.Scan(&hosts); err != nil {
			break
		}
		shared = shared && hosts > 1
	}
	return shared, closing(rows, err)
}
