package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Replica is a copy of the database that Postgres keeps up to date by itself, for reads
// by which nothing is decided. It is asked only while it is known how far it has come:
// not by an account whose last write it may not have, and by nobody when it is late.
type Replica struct {
	address string
	primary *Store
	store   atomic.Pointer[Store] // nil while it is away
	begun   time.Time             // from which all times here are counted: a clock that is set does not count
	fresh   atomic.Int64          // up to when it has everything, in nanoseconds; 0 is not known

	mu    sync.Mutex
	wrote map[int64]int64 // account to when
}

const (
	latest    = 5 * time.Second // how late a replica may be
	lookEvery = 200 * time.Millisecond
)

// NewReplica returns a replica of primary at an address. It is asked while Run runs.
func NewReplica(primary *Store, address string) *Replica {
	return &Replica{address: address, primary: primary, begun: time.Now(), wrote: map[int64]int64{}}
}

func (r *Replica) now() int64 { return int64(time.Since(r.begun)) + 1 }

// Reads returns where an account reads from now: nil is the primary.
func (r *Replica) Reads(account int64) *Store {
	if r == nil {
		return nil
	}
	s, fresh := r.store.Load(), r.fresh.Load()
	if s == nil || fresh == 0 || r.now()-fresh > int64(latest) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrote[account] >= fresh {
		return nil
	}
	return s
}

// Wrote notes that an account has written, here or on another server.
func (r *Replica) Wrote(account int64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrote[account] = r.now()
	if len(r.wrote) < 10_000 {
		return
	}
	for a, at := range r.wrote {
		if at < r.fresh.Load() {
			delete(r.wrote, a)
		}
	}
}

// Failed sends everybody to the primary until the replica has been looked at.
func (r *Replica) Failed() { r.fresh.Store(0) }

// mark is a place in the log of the primary, and when that was the last.
type mark struct{ at, place int64 }

// Run looks after the replica until ctx ends.
func (r *Replica) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var marks []mark
	for {
		marks = r.look(ctx, marks)
		select {
		case <-ctx.Done():
			if s := r.store.Swap(nil); s != nil {
				_ = s.Close()
			}
			return
		case <-ticker.C:
		}
	}
}

// look finds out how far the replica has come: it has all that the primary had at a
// mark once it has got to that place.
func (r *Replica) look(ctx context.Context, marks []mark) []mark {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s := r.store.Load()
	if s == nil {
		opened, err := Open(ctx, r.address)
		if err != nil {
			return nil
		}
		opened.keys = r.primary.keys
		r.store.Store(opened)
		s = opened
	}
	m := mark{at: r.now()}
	rows, err := r.primary.query(ctx, `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint`)
	if single(rows, err, &m.place) != nil {
		return marks
	}
	var got int64
	rows, err = s.query(ctx, `select coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint, 0)`)
	if single(rows, err, &got) != nil {
		r.Failed()
		return nil
	}
	marks = append(marks, m)
	for len(marks) > 0 && marks[0].place <= got {
		r.fresh.Store(marks[0].at)
		marks = marks[1:]
	}
	return marks[max(0, len(marks)-1000):]
}
