package handler

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// The pools of items, by what one of them is.
const (
	addressItem   = "default" // of a subnet
	macItem       = "mac"     // of a network
	macPrefixItem = "macPrefix"
	linkPortItem  = "linkPort" // of a link service
	hostPortItem  = "hostPort" // of a host
)

// units is what taking items needs beside process.Run: the open transaction, so that an
// item and the row that it is for are written together or not at all.
type units interface {
	Unit(ctx context.Context, types ...string) (*store.Tx, error)
}

// items are numbered from 0 to size-1 and have names.
type items struct {
	pool store.Pool
	size uint64
	name func(n uint64) string
	not  []string // never handed out
	best []string // handed out before others if they are free
}

// poolOf names a pool of a row's own.
func poolOf(row *schema.Row, qualifier string) store.Pool {
	return store.Pool{Type: row.Type().Name, ID: row.ID(), Qualifier: qualifier}
}

func holderOf(row *schema.Row) store.Holder {
	h := store.Holder{Type: row.Type().Name, ID: row.ID()}
	if row.Type().HasColumn("accountId") {
		h.Account = row.Get("accountId")
	}
	return h
}

// take returns n items that row holds, taking what it lacks. It holds none, and nil is
// answered, when there are too few.
func (i items) take(ctx context.Context, run process.Run, row *schema.Row, n int) ([]string, error) {
	tx, err := run.(units).Unit(ctx)
	if err != nil {
		return nil, err
	}
	held, err := tx.Items(ctx, i.pool, holderOf(row))
	if err != nil || len(held) >= n {
		return held[:min(n, len(held))], err
	}
	for len(held) < n {
		item, err := i.takeOne(ctx, run, tx, row)
		if err != nil {
			return nil, err
		}
		if item == "" {
			return nil, tx.GiveItems(ctx, i.pool, holderOf(row))
		}
		held = append(held, item)
	}
	return held, nil
}

// guesses is how often an item is tried blindly: of most pools little is taken.
const guesses = 3

// takeOne takes one more item, "" if none is left. It begins at a random place, so that
// many who ask at once do not meet at one item.
func (i items) takeOne(ctx context.Context, run process.Run, tx *store.Tx, row *schema.Row) (string, error) {
	try := func(item string) (bool, error) {
		if slices.Contains(i.not, item) {
			return false, nil
		}
		return tx.TakeItem(ctx, i.pool, item, holderOf(row), run.Now())
	}
	for _, item := range i.best {
		if ok, err := try(item); ok || err != nil {
			return item, err
		}
	}
	if i.size == 0 {
		return "", nil
	}
	for range guesses {
		item := i.name(rand.Uint64N(i.size))
		if ok, err := try(item); ok || err != nil {
			return item, err
		}
	}
	taken, err := tx.TakenItems(ctx, i.pool)
	if err != nil {
		return "", err
	}
	known := make(map[string]bool, len(taken))
	for _, item := range taken {
		known[item] = true
	}
	start := rand.Uint64N(i.size)
	for n := range i.size {
		item := i.name((start + n) % i.size)
		if known[item] {
			continue
		}
		if ok, err := try(item); ok || err != nil {
			return item, err
		}
	}
	return "", nil
}

// give gives back all that row holds of a pool.
func give(ctx context.Context, run process.Run, pool store.Pool, row *schema.Row) error {
	tx, err := run.(units).Unit(ctx)
	if err != nil {
		return err
	}
	return tx.GiveItems(ctx, pool, holderOf(row))
}

// numbered returns the living row whose uuid is name, or name-2 and so on where earlier
// ones are gone; without one it is made. So an attempt that is cut finds what it made. That
// of an instance is a UUID made of these names: hosts tell what is theirs by its form.
func numbered(ctx context.Context, run process.Run, typ, name string, values map[string]any) (*schema.Row, error) {
	for n := 1; ; n++ {
		text := name
		if n > 1 {
			text = lockName(name, n)
		}
		if typ == "instance" {
			text = uuid.NewSHA1(uuid.NameSpaceURL, []byte(text)).String()
		}
		rows, err := run.Find(ctx, typ, process.Match{"uuid": text})
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return one(ctx, run, typ, process.Match{"uuid": text}, values)
		}
		if !gone(rows[0]) {
			return rows[0], nil
		}
	}
}
