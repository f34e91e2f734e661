package store

import (
	"context"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Present is an instance that should run where an agent can tell.
type Present struct {
	ID, Agent, Since int64 // since when it runs, by the clock of the database
	UUID             string
}

// placedFrom joins agents to the instances that have a place with them.
const placedFrom = ` from host h join instance_host_map m on m.host_id = h.id and m.removed is null
	join instance i on i.id = m.instance_id where h.removed is null and `

// Running lists what should run at the next active agents behind one, and tells which
// of them was the last, 0 if there is none, and when it looked.
func (s *Store) Running(ctx context.Context, behind int64, agents int) (out []Present, last, now int64, err error) {
	page := `select id from agent where state = 'active' and removed is null and id > ? order by id limit ?`
	rows, err := s.query(ctx, `select coalesce(max(id), 0), `+s.now()+` from (`+page+`) page`, behind, int64(agents))
	if err != nil {
		return nil, 0, 0, err
	}
	for rows.Next() {
		if err = rows.Scan(&last, &now); err != nil {
			break
		}
	}
	if err = closing(rows, err); err != nil || last == 0 {
		return nil, last, now, err
	}
	rows, err = s.query(ctx, `select i.id, h.agent_id, coalesce(i.state_since, 0), i.uuid`+placedFrom+`i.state = 'running' and
		h.agent_id in (select id from agent where state = 'active' and removed is null and id > ? and id <= ?) order by h.agent_id, i.id`, behind, last)
	if err != nil {
		return nil, 0, 0, err
	}
	for rows.Next() {
		var r Present
		if err = rows.Scan(&r.ID, &r.Agent, &r.Since, &r.UUID); err != nil {
			break
		}
		out = append(out, r)
	}
	return out, last, now, closing(rows, err)
}

// Active lists the active agents behind one, up to the last.
func (s *Store) Active(ctx context.Context, behind, last int64) (agents []int64, err error) {
	rows, err := s.query(ctx, `select id from agent where state = 'active' and removed is null and id > ? and id <= ? order by id`, behind, last)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id int64
		if err = rows.Scan(&id); err != nil {
			break
		}
		agents = append(agents, id)
	}
	return agents, closing(rows, err)
}

// Placed names what an agent runs or is about to.
func (s *Store) Placed(ctx context.Context, agent int64) (uuids []string, err error) {
	rows, err := s.query(ctx, `select i.uuid`+placedFrom+`h.agent_id = ? and i.state in ('running', 'updating-running', 'starting', 'restarting', 'migrating') order by i.id`, agent)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var uuid string
		if err = rows.Scan(&uuid); err != nil {
			break
		}
		uuids = append(uuids, uuid)
	}
	return uuids, closing(rows, err)
}

// On returns the instances that have their place on a host.
func (s *Store) On(ctx context.Context, host int64) ([]*schema.Row, error) {
	page, err := s.List(ctx, Query{Type: resource.All.Type("instance"),
		Via: &Via{Map: resource.All.Type("instanceHostMap"), Here: "hostId", There: "instanceId", ID: host}})
	if err != nil {
		return nil, err
	}
	return page.Rows, nil
}

// closing ends reading and tells what went wrong first.
func closing(rows rows, err error) error {
	_ = rows.Close()
	if err != nil {
		return err
	}
	return rows.Err()
}
