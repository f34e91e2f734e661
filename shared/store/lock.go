package store

import "context"

// TryLock serialises transactions on a number until they end, or answers false where
// another transaction has it. SQLite has one writer and needs none.
func (t *Tx) TryLock(ctx context.Context, n int64) (got bool, err error) {
	if t.pipe == nil {
		return true, nil
	}
	err = t.one(ctx, "select pg_try_advisory_xact_lock(?)", []any{n}, &got)
	return got, err
}
