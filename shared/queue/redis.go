package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Connect returns a client of the Redis at address. With an empty address it
// starts a Redis of its own inside the process, which forgets everything when the
// process ends; nothing in it is missed then.
func Connect(ctx context.Context, address string) (client redis.UniversalClient, stop func(), err error) {
	stop = func() {}
	if address == "" {
		own := miniredis.NewMiniRedis()
		if err := own.Start(); err != nil {
			return nil, nil, fmt.Errorf("cannot start the embedded Redis: %w", err)
		}
		password := uuid.NewString() // others on this machine have no business there
		own.RequireAuth(password)
		go age(ctx, own)
		address, stop = "redis://:"+password+"@"+own.Addr(), own.Close
	}
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the Redis address: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = 2*time.Second, 3*time.Second, 3*time.Second
	options.MaxRetries = 1
	options.ReadBufferSize, options.WriteBufferSize = 8<<10, 8<<10 // a command for an agent; more takes more than one read
	return redis.NewClient(options), stop, nil
}

// age lets the keys of the embedded Redis expire: it has no clock of its own.
func age(ctx context.Context, own *miniredis.Miniredis) {
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-time.After(time.Second):
			own.FastForward(now.Sub(last))
			last = now
		}
	}
}
