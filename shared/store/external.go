package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
)

// ExternalHandler is a handler from outside that is in effect for a process.
type ExternalHandler struct {
	ID            int64
	Name          string
	Process       string // with pre. or post. for the lists around its logic
	Priority      *int64 // nil where only the name of one is given
	PriorityName  string
	Retries       int64 // 0 means the setting
	TimeoutMillis int64 // 0 means the setting
}

// Rank is where the handler stands in its list, low first.
func (h ExternalHandler) Rank() int {
	if h.Priority != nil {
		return int(*h.Priority)
	}
	switch h.PriorityName {
	case "pre":
		return process.Early
	case "default_override":
		return process.DefaultOverride
	case "default":
		return process.Default
	}
	return process.Specific
}

const inEffect = `select h.id, coalesce(h.name, ''), p.name, h.priority, coalesce(h.data, '')
	from external_handler_external_handler_process_map m
	join external_handler h on h.id = m.external_handler_id
	join external_handler_process p on p.id = m.external_handler_process_id
	where m.state = 'active' and h.state = 'active' and p.state = 'active' and p.name is not null`

// ExternalHandlers lists the handlers whose own row, map and process are all active,
// in the order in which they run: by rank, name and id.
func (t *Tx) ExternalHandlers(ctx context.Context) ([]ExternalHandler, error) {
	rows, err := t.query(ctx, inEffect)
	return readExternal(rows, err)
}

// ExternalHandlers is the same, as committed.
func (s *Store) ExternalHandlers(ctx context.Context) ([]ExternalHandler, error) {
	rows, err := s.query(ctx, inEffect)
	return readExternal(rows, err)
}

func readExternal(rows rows, err error) ([]ExternalHandler, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ExternalHandler
	for rows.Next() {
		var h ExternalHandler
		var priority sql.NullInt64
		var data string
		if err := rows.Scan(&h.ID, &h.Name, &h.Process, &priority, &data); err != nil {
			return nil, err
		}
		if priority.Valid {
			h.Priority = &priority.Int64
		}
		var stored struct {
			Fields struct {
				PriorityName  string
				Retries       int64
				TimeoutMillis int64
			}
		}
		_ = json.Unmarshal([]byte(data), &stored) // what cannot be read has its default
		h.PriorityName, h.Retries, h.TimeoutMillis = stored.Fields.PriorityName, stored.Fields.Retries, stored.Fields.TimeoutMillis
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b ExternalHandler) int {
		return cmp.Or(cmp.Compare(a.Rank(), b.Rank()), strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out, rows.Err()
}
