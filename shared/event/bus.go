// Package event tells others what happens and carries what is asked of agents,
// over Redis publish and subscribe. It promises no delivery: a message may be
// lost, come twice or out of order. Whoever needs an answer asks again.
package event

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bus is one process's link to the others.
type Bus struct {
	client redis.UniversalClient
	prefix string // of every channel: installations that share a Redis by databases do not hear each other
	sub    *redis.PubSub
	log    *slog.Logger

	published, unheard atomic.Int64

	mu     sync.Mutex
	next   int
	topics map[topic]*subscription
	gaps   func() // called when this process may have missed some
	owes   atomic.Bool
}

// subscription is what this process hears of a topic. A gateway has one for each of its
// agents, so it is kept small.
type subscription struct {
	hearers []hearer
	own     int             // how often it was said that nobody listens but this process
	live    bool            // the server has said that it is in force
	waiting []chan struct{} // for that word
}

type hearer struct {
	id int
	f  func(channel, payload string)
}

// topic is a channel, or a pattern of channels. Patterns must not overlap: some
// servers deliver a message for the first that fits.
type topic struct {
	name    string
	pattern bool
}

// New returns a bus over client; the caller closes the client.
func New(client redis.UniversalClient, log *slog.Logger) *Bus {
	prefix := "cattle:"
	if c, ok := client.(*redis.Client); ok {
		prefix = fmt.Sprintf("cattle:%d:", c.Options().DB)
	}
	return &Bus{client: client, prefix: prefix, sub: client.Subscribe(context.Background()), log: log, topics: map[topic]*subscription{}}
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
			t := topic{m.Channel, false}
			if m.Pattern != "" {
				t = topic{m.Pattern, true}
			}
			t.name = strings.TrimPrefix(t.name, b.prefix)
			b.dispatch(t, strings.TrimPrefix(m.Channel, b.prefix), m.Payload)
		case *redis.Subscription:
			if m.Kind == "subscribe" || m.Kind == "psubscribe" {
				b.confirm(topic{strings.TrimPrefix(m.Channel, b.prefix), m.Kind == "psubscribe"})
			}
		}
	}
}

func (b *Bus) dispatch(t topic, channel, payload string) {
	b.mu.Lock()
	var to []hearer
	if s := b.topics[t]; s != nil {
		to = s.hearers // never changed in place
	}
	b.mu.Unlock()
	for _, h := range to {
		h.f(channel, payload)
	}
}

func (b *Bus) confirm(t topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.topics[t]
	if s == nil { // cancelled meanwhile
		return
	}
	if s.live && b.gaps != nil && t.name == GapChannel { // again: the connection was lost
		go b.gaps()
	}
	s.live = true
	for _, c := range s.waiting {
		close(c)
	}
	s.waiting = nil
}

// Publish sends a message and tells how many received it. What only this process
// listens to stays in it.
func (b *Bus) Publish(ctx context.Context, channel, payload string) (receivers int64, err error) {
	t := topic{channel, false}
	b.mu.Lock()
	s := b.topics[t]
	own := s != nil && s.own > 0
	b.mu.Unlock()
	if own {
		b.published.Add(1)
		b.dispatch(t, channel, payload)
		return 1, nil
	}
	receivers, err = b.client.Publish(ctx, b.prefix+channel, payload).Result()
	if err != nil {
		b.unheard.Add(1)
		b.owes.Store(true)
	} else {
		b.published.Add(1)
		b.settle(ctx)
	}
	return receivers, err
}

// Message is a payload for a channel.
type Message struct{ Channel, Payload string }

// PublishHeard sends payloads to one channel, in two trips: if nobody hears the first,
// nobody was there to hear the others, and they are not sent.
func (b *Bus) PublishHeard(ctx context.Context, channel string, n int, payload func(i int) string) error {
	heard, err := b.Publish(ctx, channel, payload(0))
	if heard == 0 || err != nil || n == 1 {
		return err
	}
	messages := make([]Message, 0, n-1)
	for i := 1; i < n; i++ {
		messages = append(messages, Message{channel, payload(i)})
	}
	return b.PublishAll(ctx, messages)
}

// PublishAll sends messages in one trip, to whoever listens anywhere.
func (b *Bus) PublishAll(ctx context.Context, messages []Message) error {
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range messages {
			p.Publish(ctx, b.prefix+m.Channel, m.Payload)
		}
		return nil
	})
	if err != nil {
		b.unheard.Add(int64(len(messages)))
		b.owes.Store(true)
	} else {
		b.published.Add(int64(len(messages)))
		b.settle(ctx)
	}
	return err
}

// GapChannel is where a process says that what it published before may be lost.
const GapChannel = "cattle.gap"

// Owe notes that something was not told that should have been. Others hear of it with
// the next message.
func (b *Bus) Owe() { b.owes.Store(true) }

// settle tells others that something was lost, once it can be told.
func (b *Bus) settle(ctx context.Context) {
	if b.owes.Load() && b.owes.CompareAndSwap(true, false) && b.client.Publish(ctx, b.prefix+GapChannel, "{}").Err() != nil {
		b.owes.Store(true)
	}
}

// OnGap calls f, until the returned function is called, when messages may have been
// lost: somebody could not send his, or this process's connection has come back.
func (b *Bus) OnGap(ctx context.Context, f func()) (cancel func()) {
	b.mu.Lock()
	b.gaps = f
	b.mu.Unlock()
	end := b.Subscribe(ctx, GapChannel, func(string) { f() })
	return func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.gaps = nil
	}
}

// Now is the time in milliseconds by the clock of Redis: the same for all who share it,
// whatever their own clocks say. Without Redis it is one's own.
func (b *Bus) Now(ctx context.Context) int64 {
	now, err := b.client.Time(ctx).Result()
	if err != nil {
		now = time.Now()
	}
	return now.UnixMilli()
}

// Published counts the messages that were sent.
func (b *Bus) Published() int64 { return b.published.Load() }

// Unheard counts the messages that could not be sent.
func (b *Bus) Unheard() int64 { return b.unheard.Load() }

// mostAsked is of how many channels is asked in one command: Redis does nothing else
// meanwhile.
const mostAsked = 2000

// Heard tells of each channel how many listen to it.
func (b *Bus) Heard(ctx context.Context, channels ...string) (map[string]int64, error) {
	out := make(map[string]int64, len(channels))
	for some := range slices.Chunk(channels, mostAsked) {
		full := make([]string, len(some))
		for i, c := range some {
			full[i] = b.prefix + c
		}
		counts, err := b.client.PubSubNumSub(ctx, full...).Result()
		if err != nil {
			return nil, err
		}
		for c, n := range counts {
			out[strings.TrimPrefix(c, b.prefix)] = n
		}
	}
	return out, nil
}

// Subscribe calls f with every message of a channel until the returned function is
// called. f must not block: it runs where messages are read. Subscribe returns
// once the subscription is in force, or ctx ends; it comes into force later then.
func (b *Bus) Subscribe(ctx context.Context, channel string, f func(payload string)) (cancel func()) {
	return b.subscribe(ctx, topic{channel, false}, func(_, payload string) { f(payload) })
}

// SubscribeOwn is Subscribe for a channel that nobody else listens to. f is also called
// by those who publish to it in this process, several at a time.
func (b *Bus) SubscribeOwn(ctx context.Context, channel string, f func(payload string)) (cancel func()) {
	end := b.Subscribe(ctx, channel, f)
	b.countOwn(channel, 1)
	return func() {
		b.countOwn(channel, -1)
		end()
	}
}

func (b *Bus) countOwn(channel string, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.topics[topic{channel, false}]; s != nil {
		s.own += by
	}
}

// SubscribeAll is Subscribe for all channels whose names begin with a prefix.
func (b *Bus) SubscribeAll(ctx context.Context, prefix string, f func(channel, payload string)) (cancel func()) {
	return b.subscribe(ctx, topic{prefix + "*", true}, f)
}

func (b *Bus) subscribe(ctx context.Context, t topic, f func(channel, payload string)) (cancel func()) {
	b.mu.Lock()
	b.next++
	id := b.next
	s := b.topics[t]
	first := s == nil
	if first {
		s = &subscription{}
		b.topics[t] = s
	}
	s.hearers = append(slices.Clip(s.hearers), hearer{id, f})
	var done chan struct{}
	if !s.live {
		done = make(chan struct{})
		s.waiting = append(s.waiting, done)
	}
	b.mu.Unlock()
	if first {
		begin := b.sub.Subscribe
		if t.pattern {
			begin = b.sub.PSubscribe
		}
		if err := begin(ctx, b.prefix+t.name); err != nil {
			b.log.WarnContext(ctx, "subscription will be made later", "channel", t.name, "err", err)
		}
	}
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
	return func() { b.cancel(t, id) }
}

func (b *Bus) cancel(t topic, id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.topics[t]
	if s == nil {
		return
	}
	s.hearers = slices.DeleteFunc(slices.Clone(s.hearers), func(h hearer) bool { return h.id == id })
	if len(s.hearers) > 0 {
		return
	}
	delete(b.topics, t)
	end := b.sub.Unsubscribe
	if t.pattern {
		end = b.sub.PUnsubscribe
	}
	_ = end(context.Background(), b.prefix+t.name)
}
