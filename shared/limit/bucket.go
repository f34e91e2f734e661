// Package limit says when somebody asks too often. It remembers a bounded number of
// them, whatever is thrown at it.
package limit

import (
	"sync"
	"time"
)

// most is how many names are remembered at once.
const most = 20_000

// Buckets hold tokens for each name: a request takes one, and time brings new ones.
type Buckets struct {
	mu sync.Mutex
	of map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewBuckets returns Buckets that are full.
func NewBuckets() *Buckets { return &Buckets{of: map[string]bucket{}} }

// Take takes a token of a name, of which there are burst at most and rate new ones a
// second. If there is none, wait says when there will be.
func (b *Buckets) Take(name string, rate, burst float64, now time.Time) (wait time.Duration) {
	if rate <= 0 {
		return 0
	}
	burst = max(burst, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	own, known := b.of[name]
	if !known {
		b.sweep(rate, burst, now)
		own = bucket{burst, now}
	}
	own.tokens = min(burst, own.tokens+rate*now.Sub(own.at).Seconds())
	own.at = now
	if own.tokens < 1 {
		wait = time.Duration((1 - own.tokens) / rate * float64(time.Second))
	} else {
		own.tokens--
	}
	b.of[name] = own
	return wait
}

// sweep makes room: names whose buckets are full again are like new ones. If that is
// not enough others go, whichever comes.
func (b *Buckets) sweep(rate, burst float64, now time.Time) {
	if len(b.of) < most {
		return
	}
	for name, own := range b.of {
		if own.tokens+rate*now.Sub(own.at).Seconds() >= burst {
			delete(b.of, name)
		}
	}
	for name := range b.of {
		if len(b.of) < most*9/10 {
			return
		}
		delete(b.of, name)
	}
}
