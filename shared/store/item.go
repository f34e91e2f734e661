package store

import (
	"context"
	"strings"

	"github.com/cattleio/cattle/shared/resource"
)

// Pool names items of which each has one holder at most: the addresses of a subnet,
// the ports of a host.
type Pool struct {
	Type      string // of the row that the items belong to
	ID        int64
	Qualifier string // which of its items
}

// Holder is the row that holds items.
type Holder struct {
	Type    string
	ID      int64
	Account any // the account that the record of it belongs to, nil for none
}

const ofPool = ` from resource_pool where pool_type = ? and pool_id = ? and qualifier = ?`

// TakeItem makes h the holder of an item, in this transaction. It answers false if
// another has it, and waits for one who is about to.
func (t *Tx) TakeItem(ctx context.Context, p Pool, item string, h Holder, now int64) (bool, error) {
	typ := resource.All.Type("resourcePool")
	row := NewRow(typ, now, map[string]any{"poolType": p.Type, "poolId": p.ID, "qualifier": p.Qualifier, "item": item,
		"ownerType": h.Type, "ownerId": h.ID, "accountId": h.Account, "state": "active"})
	n, err := t.exec(ctx, strings.TrimSuffix(textsOf(typ).insert, " returning id")+" on conflict (pool_type, pool_id, qualifier, item) do nothing", t.s.inserted(row)...)
	return n > 0, err
}

// Items lists what h holds of a pool, in the order of taking.
func (t *Tx) Items(ctx context.Context, p Pool, h Holder) ([]string, error) {
	return t.items(ctx, "select item"+ofPool+" and owner_type = ? and owner_id = ? order by id", p.Type, p.ID, p.Qualifier, h.Type, h.ID)
}

// TakenItems lists what anybody holds of a pool.
func (t *Tx) TakenItems(ctx context.Context, p Pool) ([]string, error) {
	return t.items(ctx, "select item"+ofPool, p.Type, p.ID, p.Qualifier)
}

func (t *Tx) items(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := t.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var item string
		if err := rows.Scan(&item); err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, rows.Err()
}

// GiveItems gives back all that h holds of a pool.
func (t *Tx) GiveItems(ctx context.Context, p Pool, h Holder) error {
	_, err := t.exec(ctx, "delete"+ofPool+" and owner_type = ? and owner_id = ?", p.Type, p.ID, p.Qualifier, h.Type, h.ID)
	return err
}
