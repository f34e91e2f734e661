package store

import "github.com/cattleio/cattle/shared/schema"

// kept is a row as it was before a transaction saved it.
type kept struct {
	row *schema.Row
	was *schema.Row
}

// keep remembers a row that is about to be saved, where the transaction may be tried
// again: a row that counts as saved would not be saved by the second try.
func (t *Tx) keep(row *schema.Row) {
	if t.again {
		t.kept = append(t.kept, kept{row, row.Copy()})
	}
}

// restore gives the rows of a transaction that failed the changes back that are to
// be saved.
func (t *Tx) restore() {
	for i := len(t.kept) - 1; i >= 0; i-- {
		*t.kept[i].row = *t.kept[i].was
	}
	t.kept = nil
}
