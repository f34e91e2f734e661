package store

import (
	"context"
	"sync"
	"time"
)

// clock remembers what the database said the time was, and when.
type clock struct {
	mu     sync.Mutex
	millis int64
	asked  time.Time
}

// believed is how long the clock of this machine may count on from there.
const believed = time.Second

// Clock tells the time of the database for what is shown, without asking it each
// time: it is what the database said a moment ago, and what has passed since. What
// is compared is compared in SQL.
func (s *Store) Clock(ctx context.Context) (int64, error) {
	c := &s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone := time.Since(c.asked); c.millis != 0 && gone < believed {
		return c.millis + gone.Milliseconds(), nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return 0, err
	}
	c.millis, c.asked = now, time.Now()
	return now, nil
}
