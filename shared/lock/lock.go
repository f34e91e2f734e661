// Package lock keeps named locks in Redis. They make contention cheap and elect
// leaders; what must be right whoever holds a lock is decided in SQL. A lock that
// cannot be asked for because Redis is away counts as free.
package lock

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Locks takes and gives back locks.
type Locks struct {
	client   redis.UniversalClient
	refusals atomic.Int64
}

// New returns locks over client.
func New(client redis.UniversalClient) *Locks { return &Locks{client: client} }

var release = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`)

var renew = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`)

// Try takes a lock, or says at once that somebody has it. It ends by itself after
// ttl.
func (l *Locks) Try(ctx context.Context, name string, ttl time.Duration) (free func(), ok bool) {
	token := uuid.NewString()
	got, err := l.client.SetNX(ctx, key(name), token, ttl).Result()
	if err != nil {
		return func() {}, ctx.Err() == nil // whoever stops needs none
	}
	if !got {
		l.refusals.Add(1)
		return nil, false
	}
	return func() { l.release(ctx, name, token) }, true
}

// release gives a lock back, if it is still ours.
func (l *Locks) release(ctx context.Context, name, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	release.Run(ctx, l.client, []string{key(name)}, token)
}

// Keep takes a lock that is renewed until free is called, or says at once that somebody
// has it. The context it gives ends when the lock is lost or ctx ends: give it back then.
func (l *Locks) Keep(ctx context.Context, name string, ttl time.Duration) (kept context.Context, free func(), ok bool) {
	token := uuid.NewString()
	got, err := l.client.SetNX(ctx, key(name), token, ttl).Result()
	if err == nil && !got {
		l.refusals.Add(1)
	}
	if err == nil && !got || ctx.Err() != nil {
		return nil, nil, false
	}
	ctx, stop := context.WithCancel(ctx)
	held, over := make(chan context.Context, 1), make(chan struct{})
	go func() {
		defer close(over)
		l.hold(ctx, name, token, ttl, func(ctx context.Context) { held <- ctx; <-ctx.Done() })
	}()
	return <-held, func() {
		stop()
		<-over
		l.release(ctx, name, token)
	}, true
}

// Refusals counts the locks that somebody else had.
func (l *Locks) Refusals() int64 { return l.refusals.Load() }

// Count raises a number that all servers share, and that is forgotten after a time.
func (l *Locks) Count(ctx context.Context, name string, ttl time.Duration) (int64, error) {
	key := "cattle:count:" + name
	p := l.client.Pipeline()
	p.SetNX(ctx, key, 0, ttl)
	n := p.Incr(ctx, key)
	_, err := p.Exec(ctx)
	return n.Val(), err
}

// Lead calls f while this process is the leader under a name, and returns when ctx
// ends. f's context ends when the lead is lost. Two leaders for a moment are
// possible and must be harmless.
func (l *Locks) Lead(ctx context.Context, name string, ttl time.Duration, f func(ctx context.Context)) {
	token := uuid.NewString()
	for ctx.Err() == nil {
		got, err := l.client.SetNX(ctx, key(name), token, ttl).Result()
		if got || err != nil { // without Redis everybody leads: the work goes on
			l.hold(ctx, name, token, ttl, f)
		}
		select {
		case <-ctx.Done():
		case <-time.After(ttl / 3):
		}
	}
	l.release(ctx, name, token)
}

func (l *Locks) hold(ctx context.Context, name, token string, ttl time.Duration, f func(ctx context.Context)) {
	led, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(led)
	}()
	for {
		select {
		case <-done:
			stop()
			return
		case <-time.After(ttl / 3):
		}
		n, err := renew.Run(ctx, l.client, []string{key(name)}, token, ttl.Milliseconds()).Int()
		if err == nil && n == 0 { // emptied or taken: take it again if nobody has
			if got, err := l.client.SetNX(ctx, key(name), token, ttl).Result(); err == nil && !got {
				stop()
				<-done
				return
			}
		}
	}
}

func key(name string) string { return "cattle:lock:" + name }
