package limit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"
)

// Bounds are how many attempts may fail within a window of time.
type Bounds struct {
	Pair    int64 // at one key, from one address
	Address int64 // at any key, from one address
	Key     int64 // at one key, from any address
	Window  time.Duration
}

// PerMinute are the bounds that the settings say; a negative number is no bound.
func PerMinute(setting func(name string) int64) Bounds {
	or := func(name string, standard int64) int64 {
		if n := setting(name); n != 0 {
			return n
		}
		return standard
	}
	return Bounds{Pair: or("api.auth.failures.per.minute", 20), Address: or("api.auth.failures.per.address.per.minute", 200),
		Key: or("api.auth.failures.per.key.per.minute", 1000), Window: time.Minute}
}

// Attempt is somebody who wants to be let in.
type Attempt struct{ Address, Key, Secret string }

// Failures counts attempts that failed. Whoever has been let in before with the very
// same secret is not counted against: an attacker cannot lock others out, neither from
// their address nor by failing at their key.
type Failures struct {
	// Shared counts for all servers, and answers how many there were on all of them;
	// nil counts here alone. It is asked for failures only.
	Shared func(ctx context.Context, name string, window time.Duration) (int64, error)

	mu    sync.Mutex
	count map[string]failed
	good  map[[sha256.Size]byte]time.Time
	salt  [32]byte
}

type failed struct {
	n     int64
	since time.Time
}

// NewFailures returns Failures without any.
func NewFailures() *Failures {
	f := &Failures{count: map[string]failed{}, good: map[[sha256.Size]byte]time.Time{}}
	_, _ = rand.Read(f.salt[:]) // it never fails
	return f
}

// Wait tells how long an attempt has to wait before it is looked at; 0 is not at all.
func (f *Failures) Wait(a Attempt, b Bounds, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.good[f.digest(a)]; ok {
		return 0
	}
	var wait time.Duration
	for name, bound := range names(a, b) {
		if c, ok := f.count[name]; ok && bound > 0 && c.n >= bound {
			wait = max(wait, c.since.Add(b.Window).Sub(now))
		}
	}
	return wait
}

// Failed counts an attempt that failed.
func (f *Failures) Failed(ctx context.Context, a Attempt, b Bounds, now time.Time) {
	for name := range names(a, b) {
		var all int64
		if f.Shared != nil {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			all, _ = f.Shared(ctx, name, b.Window) // without it we count alone
			cancel()
		}
		f.mu.Lock()
		c, ok := f.count[name]
		if !ok || now.Sub(c.since) >= b.Window {
			if len(f.count) >= most {
				f.sweep(b.Window, now)
			}
			c = failed{since: now}
		}
		c.n = max(c.n+1, all)
		f.count[name] = c
		f.mu.Unlock()
	}
}

// Passed remembers who was let in.
func (f *Failures) Passed(a Attempt, b Bounds, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.good) >= most {
		clear(f.good)
	}
	f.good[f.digest(a)] = now
	delete(f.count, hash("pair", a.Address, a.Key))
}

func (f *Failures) sweep(window time.Duration, now time.Time) {
	for name, c := range f.count {
		if now.Sub(c.since) >= window {
			delete(f.count, name)
		}
	}
	for name := range f.count {
		if len(f.count) < most*9/10 {
			return
		}
		delete(f.count, name)
	}
}

func (f *Failures) digest(a Attempt) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, f.salt[:])
	for _, s := range []string{a.Address, a.Key, a.Secret} {
		mac.Write([]byte(s))
		mac.Write([]byte{0})
	}
	copy(sum[:], mac.Sum(nil))
	return sum
}

// names are what an attempt counts for; they tell nothing about who it is.
func names(a Attempt, b Bounds) map[string]int64 {
	return map[string]int64{hash("pair", a.Address, a.Key): b.Pair, hash("address", a.Address): b.Address, hash("key", a.Key): b.Key}
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
