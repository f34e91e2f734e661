package auth

import (
	"sync"
	"time"
)

// limit counts failed attempts of one user from one address. Past the bound
// further ones are refused unseen until the window is over.
type limit struct {
	mu     sync.Mutex
	failed map[attempt]*failures
	bound  int
	window time.Duration
}

type attempt struct{ address, user string }

type failures struct {
	count int
	since time.Time
}

const maxAttempts = 10_000 // that are remembered

func newLimit() *limit {
	return &limit{failed: map[attempt]*failures{}, bound: 20, window: time.Minute}
}

func (l *limit) exceeded(a attempt, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failed[a]
	return f != nil && now.Sub(f.since) < l.window && f.count >= l.bound
}

func (l *limit) failure(a attempt, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failed[a]
	if f == nil || now.Sub(f.since) >= l.window {
		if len(l.failed) >= maxAttempts {
			l.sweep(now)
		}
		f = &failures{since: now}
		l.failed[a] = f
	}
	f.count++
}

func (l *limit) success(a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, a)
}

// sweep forgets what is over, and everything if that is not enough.
func (l *limit) sweep(now time.Time) {
	for a, f := range l.failed {
		if now.Sub(f.since) >= l.window {
			delete(l.failed, a)
		}
	}
	if len(l.failed) >= maxAttempts {
		clear(l.failed)
	}
}
