package store

import (
	"sync"

	"github.com/cattleio/cattle/shared/schema"
)

// known keeps rows as they were read a while ago. It decides nothing: whoever wants one
// asks the database whether its revision is still the same, which costs less than to
// read it, or writes it back under that revision. Columns that are written without a
// new revision, such as what a host has left, may be old in it.
type known struct {
	mu   sync.Mutex
	rows map[knownKey]*schema.Row
	ring []knownKey // the oldest goes first
	next int
}

type knownKey struct {
	table string
	id    int64
}

// mostKnown bounds the memory to a few megabytes.
const mostKnown = 4000

func newKnown() *known {
	return &known{rows: map[knownKey]*schema.Row{}, ring: make([]knownKey, 0, 64)}
}

// get returns a copy of a row, or nil.
func (k *known) get(typ *schema.Type, id int64) *schema.Row {
	k.mu.Lock()
	row := k.rows[knownKey{typ.Table, id}]
	k.mu.Unlock()
	if row == nil {
		return nil
	}
	return row.Copy()
}

// take is get for one that nobody else will ask for.
func (k *known) take(typ *schema.Type, id int64) *schema.Row {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := knownKey{typ.Table, id}
	row := k.rows[key]
	delete(k.rows, key)
	return row
}

// expect keeps a new row for the run that will claim its process.
func (t *Tx) expect(row *schema.Row) {
	if t.pipe == nil || !row.Type().HasColumn("revision") {
		return
	}
	t.After(func() {
		row := row.Clone()
		for _, f := range row.Type().Columns() {
			if f.NotNull && row.Get(f.Name) == nil {
				row.Set(f.Name, f.Empty())
			}
		}
		row.Saved()
		t.s.known.put(row)
	})
}

// Expected returns a new row as this server made it, once, or nil. It may have changed
// since: whoever decides by it writes it back, which its revision refuses then.
func (t *Tx) Expected(typ *schema.Type, id int64) *schema.Row {
	return t.s.known.take(typ.Base(), id)
}

// put keeps a row that is as it is stored. The caller gives it away.
func (k *known) put(row *schema.Row) {
	key := knownKey{row.Type().Table, row.ID()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.rows[key]; !there {
		if len(k.ring) < mostKnown {
			k.ring = append(k.ring, key)
		} else {
			delete(k.rows, k.ring[k.next])
			k.ring[k.next] = key
			k.next = (k.next + 1) % mostKnown
		}
	}
	k.rows[key] = row
}
