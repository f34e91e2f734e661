package store

import (
	"context"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Tethered is as much of an agent as those need who look whether it is connected: there may
// be tens of thousands, every few seconds.
type Tethered struct {
	ID     int64
	Active bool // rather than on its way there or back
	Gone   bool // it is kept since when it is not connected
}

// Agents lists the agents that should be connected, but for those that are played when
// they are needed, and those that live in an instance and are reached through the agent
// of its host.
func (s *Store) Agents(ctx context.Context) (out []Tethered, err error) {
	rows, err := s.query(ctx, `select id, state = 'active', disconnected_since is not null from agent
		where state in ('active', 'activating', 'reconnecting') and (uri is null or uri not like 'sim://%' and uri not like 'delegate://%') order by id`)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var a Tethered
		if err = rows.Scan(&a.ID, &a.Active, &a.Gone); err != nil {
			break
		}
		out = append(out, a)
	}
	return out, closing(rows, err)
}

// Entered lists the agents that should be connected and whose hosts the server enters, with
// their addresses.
func (s *Store) Entered(ctx context.Context) (map[int64]string, error) {
	rows, err := s.query(ctx, `select id, uri from agent where state in ('active', 'activating', 'reconnecting') and uri like 'ssh://%'`)
	if err != nil {
		return nil, err
	}
	out := map[int64]string{}
	for rows.Next() {
		var id int64
		var uri string
		if err = rows.Scan(&id, &uri); err != nil {
			break
		}
		out[id] = uri
	}
	return out, closing(rows, err)
}

// Disconnected keeps since when agents are gone: from now for those that were not
// known to be, and no longer for those that are back. Agents that many lose at once
// cost a few statements; no revision is raised, because nobody decides by it.
func (s *Store) Disconnected(ctx context.Context, gone, back []int64) error {
	if len(gone) == 0 && len(back) == 0 {
		return nil
	}
	return s.Write(ctx, "connections", func(t *Tx) error {
		if err := t.each(ctx, `update agent set disconnected_since = `+s.now()+` where disconnected_since is null and id in `, gone); err != nil {
			return err
		}
		return t.each(ctx, `update agent set disconnected_since = null where id in `, back)
	})
}

// AgentOf returns the agent that an agent, a host or an instance is reached by, nil for none.
func (s *Store) AgentOf(ctx context.Context, row *schema.Row) (*schema.Row, error) {
	agent := resource.All.Type("agent")
	switch row.Type().Name {
	case "agent":
		return row, nil
	case "host":
		if row.Int("agentId") == 0 {
			return nil, nil
		}
		return s.Get(ctx, agent, row.Int("agentId"))
	case "instance":
		ties, err := s.Find(ctx, resource.All.Type("instanceHostMap"), process.Match{"instanceId": row.ID(), "removed": nil})
		if err != nil || len(ties) == 0 {
			return nil, err
		}
		host, err := s.Get(ctx, resource.All.Type("host"), ties[0].Int("hostId"))
		if err != nil {
			return nil, err
		}
		return s.AgentOf(ctx, host)
	}
	return nil, nil
}

// each runs a statement that ends with a list of ids, for some of them at a time.
func (t *Tx) each(ctx context.Context, query string, ids []int64) error {
	const most = 500
	for len(ids) > 0 {
		page := ids[:min(len(ids), most)]
		ids = ids[len(page):]
		args := make([]any, len(page))
		for i, id := range page {
			args[i] = id
		}
		if _, err := t.exec(ctx, query+"(?"+strings.Repeat(", ?", len(page)-1)+")", args...); err != nil {
			return err
		}
	}
	return nil
}
