package store

import (
	"time"

	"github.com/cattleio/cattle/shared/schema"
)

// leaves tells whether saving the row moves it out of a state whose beginning is
// kept.
func (t *Tx) leaves(row *schema.Row) bool {
	return row.Type().HasColumn("stateSince") && row.Was() != row.State()
}

// left notes how long a row that is being saved was in the state it leaves. The
// moment in memory serves for showing alone: what is compared in SQL is written there.
func (t *Tx) left(row *schema.Row) {
	if !t.leaves(row) {
		return
	}
	now, _ := t.s.clock.guess()
	if tell, since := t.s.Left, row.Int("stateSince"); tell != nil && since != 0 {
		typ, state, after := row.Type().Name, row.Was(), max(now-since, 0)
		t.After(func() { tell(typ, state, time.Duration(after)*time.Millisecond) })
	}
	row.Set("stateSince", now)
}
