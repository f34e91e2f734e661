package store

import (
	"context"
	"math"
	"sync"
	"time"
)

// clock remembers what the database said the time was, and when.
type clock struct {
	asking sync.Mutex
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
	c.asking.Lock()
	defer c.asking.Unlock()
	if now, gone := c.guess(); gone < believed {
		return now, nil
	}
	return s.Now(ctx)
}

// learn notes what the database has just said.
func (c *clock) learn(millis int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.millis, c.asked = millis, time.Now()
}

// guess is what the database said last and what has passed since, however long that is: the
// clock of this machine, which may be wrong, tells the time only where the database never has.
func (c *clock) guess() (now int64, gone time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.millis == 0 {
		return time.Now().UnixMilli(), math.MaxInt64
	}
	gone = time.Since(c.asked)
	return c.millis + gone.Milliseconds(), gone
}
