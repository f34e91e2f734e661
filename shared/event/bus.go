// Package event tells others what happens and carries what is asked of agents,
// over Redis publish and subscribe. It promises no delivery: a message may be
// lost, come twice or out of order. Whoever needs an answer asks again.
package event

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bus is one process's link to the others.
type Bus struct {
	client redis.UniversalClient
	prefix string // of every channel: installations that share a Redis by databases do not hear each other
	sub    *redis.PubSub
	log    *slog.Logger

	mu       sync.Mutex
	next     int
	handlers map[string]map[int]func(payload string)
	waiting  map[string][]chan struct{} // for the server's word that a subscription is in force
	live     map[string]bool
}

// New returns a bus over client; the caller closes the client.
func New(client redis.UniversalClient, log *slog.Logger) *Bus {
	prefix := "cattle:"
	if c, ok := client.(*redis.Client); ok {
		prefix = fmt.Sprintf("cattle:%d:", c.Options().DB)
	}
	return &Bus{client: client, prefix: prefix, sub: client.Subscribe(context.Background()), log: log,
		handlers: map[string]map[int]func(string){}, waiting: map[string][]chan struct{}{}, live: map[string]bool{}}
}

// Run delivers messages until ctx ends. Redis may come and go meanwhile: what is
// subscribed is subscribed again.
func (b *Bus) Run(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		_ = b.sub.Close()
	}()
	pause := time.Duration(0)
	for {
		m, err := b.sub.Receive(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if pause = min(max(2*pause, 20*time.Millisecond), time.Second); pause > 100*time.Millisecond {
				b.log.WarnContext(ctx, "event bus is away", "err", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		switch m := m.(type) {
		case *redis.Message:
			b.dispatch(strings.TrimPrefix(m.Channel, b.prefix), m.Payload)
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				b.confirm(strings.TrimPrefix(m.Channel, b.prefix))
			}
		}
	}
}

func (b *Bus) dispatch(channel, payload string) {
	b.mu.Lock()
	var fs []func(string)
	for _, f := range b.handlers[channel] {
		fs = append(fs, f)
	}
	b.mu.Unlock()
	for _, f := range fs {
		f(payload)
	}
}

func (b *Bus) confirm(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live[channel] = true
	for _, c := range b.waiting[channel] {
		close(c)
	}
	delete(b.waiting, channel)
}

// Publish sends a message and tells how many received it.
func (b *Bus) Publish(ctx context.Context, channel, payload string) (receivers int64, err error) {
	return b.client.Publish(ctx, b.prefix+channel, payload).Result()
}

// Subscribe calls f with every message of a channel until the returned function is
// called. f must not block: it runs where messages are read. Subscribe returns
// once the subscription is in force, or ctx ends; it comes into force later then.
func (b *Bus) Subscribe(ctx context.Context, channel string, f func(payload string)) (cancel func()) {
	b.mu.Lock()
	b.next++
	id := b.next
	first := len(b.handlers[channel]) == 0
	if first {
		b.handlers[channel] = map[int]func(string){}
	}
	b.handlers[channel][id] = f
	var done chan struct{}
	if !b.live[channel] {
		done = make(chan struct{})
		b.waiting[channel] = append(b.waiting[channel], done)
	}
	b.mu.Unlock()
	if first {
		if err := b.sub.Subscribe(ctx, b.prefix+channel); err != nil {
			b.log.WarnContext(ctx, "subscription will be made later", "channel", channel, "err", err)
		}
	}
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
	return func() { b.cancel(channel, id) }
}

func (b *Bus) cancel(channel string, id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.handlers[channel], id)
	if len(b.handlers[channel]) == 0 {
		delete(b.handlers, channel)
		delete(b.live, channel)
		_ = b.sub.Unsubscribe(context.Background(), b.prefix+channel)
	}
}
