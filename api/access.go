package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

const (
	ticketLife  = time.Minute
	mostTickets = 10_000
)

// tickets are what users bring to a gateway to look at an instance. Whoever asks here may
// have one; the gateway, which knows nobody, believes the ticket. Each is good once, for
// a minute, and known to the server that gave it out alone.
type tickets struct {
	hosts consoles
	auth  *auth.Auth

	mu    sync.Mutex
	given map[string]given // by digest: a copy of this memory lets nobody in
}

type given struct {
	ticket wire.Ticket
	until  time.Time
}

func newTickets(hosts consoles, a *auth.Auth) *tickets {
	return &tickets{hosts: hosts, auth: a, given: map[string]given{}}
}

// give makes a ticket for an instance that is on a host whose agent is there.
func (l *tickets) give(ctx context.Context, account, key int64, instance *schema.Row, wanted wire.Access) (token string, err error) {
	host, agent, err := l.hosts.where(ctx, instance)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(agent.Str("uri"), "sim://") {
		return "", fault.Unavailable("the instance is on a host that the server simulates; there is nothing to look at")
	}
	wanted.Kind, wanted.Instance = host.Kind(), instance.UUID()
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	token = hex.EncodeToString(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweep(time.Now()); len(l.given) >= mostTickets {
		return "", fault.Unavailable("too many want to look at instances")
	}
	l.given[digest(token)] = given{wire.Ticket{Access: wanted, AgentID: agent.ID(), AgentUUID: agent.UUID(), AgentURI: agent.Str("uri"),
		Right: wire.Right{AccountID: account, KeyID: key, InstanceID: instance.ID()}},
		time.Now().Add(ticketLife)}
	return token, nil
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func (l *tickets) sweep(now time.Time) {
	for d, g := range l.given {
		if now.After(g.until) {
			delete(l.given, d)
		}
	}
}

// take returns a ticket to whoever knows it, once.
func (l *tickets) take(digest string) (wire.Ticket, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, known := l.given[digest]
	delete(l.given, digest)
	return g.ticket, known && time.Now().Before(g.until)
}

// serve answers gateways until the returned function is called.
func (l *tickets) serve(ctx context.Context, bus *event.Bus) (cancel func()) {
	rights := bus.Subscribe(ctx, wire.RightChannel, func(payload string) {
		var q wire.RightRequest
		if json.Unmarshal([]byte(payload), &q) != nil {
			return
		}
		go func() {
			holds, err := l.holds(ctx, q.Right)
			if err != nil {
				return
			}
			if text, err := json.Marshal(wire.RightAnswer{ID: q.ID, Holds: holds}); err == nil {
				_, _ = bus.Publish(ctx, q.ReplyTo, string(text))
			}
		}()
	})
	given := bus.Subscribe(ctx, wire.TicketChannel, func(payload string) {
		var q wire.TicketRequest
		if json.Unmarshal([]byte(payload), &q) != nil {
			return
		}
		t, ok := l.take(q.Digest)
		if !ok {
			return
		}
		if text, err := json.Marshal(wire.TicketAnswer{ID: q.ID, Ticket: t}); err == nil {
			go func() { _, _ = bus.Publish(ctx, q.ReplyTo, string(text)) }()
		}
	})
	return func() { rights(); given() }
}

// holds tells whether an access may go on: the account and the key are active, and the
// instance is one that the account may write.
func (l *tickets) holds(ctx context.Context, r wire.Right) (bool, error) {
	caller, err := l.auth.Account(ctx, r.AccountID)
	if errors.Is(err, auth.ErrRefused) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.KeyID != 0 {
		key, err := l.hosts.store.Get(ctx, resource.All.Type("credential"), r.KeyID)
		if errors.Is(err, store.ErrNotFound) || err == nil && key.State() != "active" {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	instance, err := l.hosts.store.Get(ctx, resource.All.Type("instance"), r.InstanceID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && caller.Writes().Visible(instance), err
}
