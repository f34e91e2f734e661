package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ItemStatus is what an agent should have and has of a configuration item.
type ItemStatus struct {
	Agent              int64
	Name               string
	Requested, Applied int64
	Source             string // of the content that it has
	Current            string // of the content that there is
}

// NoteItems records the content of every item that there is.
func (s *Store) NoteItems(ctx context.Context, sources map[string]string) error {
	return s.Write(ctx, "configuration items", func(t *Tx) error {
		rows, err := t.query(ctx, "select name, source_version from config_item")
		if err != nil {
			return err
		}
		defer rows.Close()
		known := map[string]string{}
		for rows.Next() {
			var name, source string
			if err := rows.Scan(&name, &source); err != nil {
				return err
			}
			known[name] = source
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for name, source := range sources {
			if known[name] == source {
				continue
			}
			if _, err := t.exec(ctx, `insert into config_item (name, source_version) values (?, ?)
				on conflict (name) do update set source_version = excluded.source_version`, name, source); err != nil {
				return err
			}
		}
		return nil
	})
}

// AssignItem gives an item to an agent, or asks once more for one that it has. It answers
// the version that is requested now, 0 where there is no such item, and whether that is news.
func (t *Tx) AssignItem(ctx context.Context, agent int64, name string, again bool) (version int64, news bool, err error) {
	n, err := t.exec(ctx, fmt.Sprintf(`insert into config_item_status (agent_id, name, requested_version, applied_version, requested_updated)
		select cast(? as bigint), name, 1, -1, %s from config_item where name = ? on conflict (name, agent_id) do nothing`, t.s.now()), agent, name)
	if err == nil && n == 0 && again {
		n, err = t.exec(ctx, fmt.Sprintf(`update config_item_status set requested_version = requested_version + 1, requested_updated = %s
			where agent_id = ? and name = ?`, t.s.now()), agent, name)
	}
	if err != nil {
		return 0, false, err
	}
	err = t.one(ctx, "select requested_version from config_item_status where agent_id = ? and name = ?", []any{agent, name}, &version)
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	return version, n > 0, err
}

const itemStatus = `select s.agent_id, s.name, s.requested_version, s.applied_version, coalesce(s.source_version, ''), coalesce(i.source_version, '')
	from config_item_status s left join config_item i on i.name = s.name `

// ItemsOf lists the items of an agent.
func (t *Tx) ItemsOf(ctx context.Context, agent int64) ([]ItemStatus, error) {
	rows, err := t.query(ctx, itemStatus+"where s.agent_id = ? order by s.name", agent)
	return items(rows, err)
}

// ItemOf returns one item of an agent, nil if it was not given to it.
func (s *Store) ItemOf(ctx context.Context, agent int64, name string) (*ItemStatus, error) {
	rows, err := s.query(ctx, itemStatus+"where s.agent_id = ? and s.name = ?", agent, name)
	all, err := items(rows, err)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// ItemsBehind lists items that are to be applied by agents that can be asked, those that
// wait longest first: with old ones that the agent has, but of another content than there is.
func (s *Store) ItemsBehind(ctx context.Context, old bool, limit int64) ([]ItemStatus, error) {
	which := "s.requested_version <> s.applied_version"
	if old {
		which = "s.requested_version = s.applied_version and coalesce(s.source_version, '') <> i.source_version"
	}
	rows, err := s.query(ctx, itemStatus+`join agent a on a.id = s.agent_id and a.state in ('activating', 'active', 'reconnecting')
		where `+which+` order by s.requested_updated, s.id limit ?`, limit)
	return items(rows, err)
}

func items(rows rows, err error) ([]ItemStatus, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ItemStatus
	for rows.Next() {
		var i ItemStatus
		if err := rows.Scan(&i.Agent, &i.Name, &i.Requested, &i.Applied, &i.Source, &i.Current); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// ApplyItem records what an agent says to have applied: latest, or NUMBER-SOURCE behind
// anything. What was made of another content than there is now is not applied. It
// answers false where the item was not given to the agent.
func (t *Tx) ApplyItem(ctx context.Context, agent int64, name, version string) (bool, error) {
	all, err := t.ItemsOf(ctx, agent)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(all, func(i ItemStatus) bool { return i.Name == name })
	if at < 0 || all[at].Current == "" {
		return false, nil
	}
	applied := all[at].Requested
	if version != "latest" {
		parts := strings.Split(version, "-")
		if len(parts) < 2 || parts[len(parts)-1] != all[at].Current {
			return true, nil
		}
		if applied, err = strconv.ParseInt(parts[len(parts)-2], 10, 64); err != nil {
			return true, nil
		}
	}
	_, err = t.exec(ctx, fmt.Sprintf("update config_item_status set applied_version = ?, source_version = ?, applied_updated = %s where agent_id = ? and name = ?",
		t.s.now()), applied, all[at].Current, agent, name)
	return true, err
}
