package api

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// viewer shows resources to gateways as their callers would get them. What a
// subscriber sees depends on its account, address and includes, so the gateway
// asks for each view that it has readers of, and only while it has any.
type viewer struct {
	store *store.Store
	auth  *auth.Auth
	api   *rest.API

	mu      sync.Mutex
	callers map[int64]believed
}

// believed is a caller that need not be looked up again for a moment.
type believed struct {
	caller auth.Caller
	err    error
	until  time.Time
}

// show answers gateways until the returned function is called. It listens for all
// servers, and under the name of this one.
func show(ctx context.Context, bus *event.Bus, v *viewer, server string) (cancel func()) {
	answer := func(payload string) {
		var q wire.ViewRequest
		if json.Unmarshal([]byte(payload), &q) != nil {
			return
		}
		go func() {
			a, err := v.answer(ctx, q)
			if err != nil {
				return // the gateway gives up by itself: news may be lost
			}
			if text, err := wire.Encode(a); err == nil {
				_, _ = bus.Publish(ctx, q.ReplyTo, string(text))
			}
		}()
	}
	all := bus.Subscribe(ctx, wire.ViewChannel, answer)
	own := bus.SubscribeOwn(ctx, wire.ServerChannel("api."+server), answer)
	return func() { all(); own() }
}

func (v *viewer) answer(ctx context.Context, q wire.ViewRequest) (wire.ViewAnswer, error) {
	a := wire.ViewAnswer{ID: q.ID}
	if q.AccountID == 0 {
		owner, err := v.owner(ctx, q)
		a.Owner = owner
		return a, err
	}
	if secret(q.Type) {
		return a, nil // who may see it reads it; it does not travel over the bus
	}
	c, err := v.caller(ctx, q.AccountID)
	if errors.Is(err, auth.ErrRefused) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	c.PlainIDs = c.PlainIDs || q.Plain
	a.Resource, err = v.api.Resource(ctx, rest.Viewer{Caller: c, BaseURL: q.BaseURL, Include: q.Include}, q.Type, q.ResourceID)
	return a, err
}

// secret tells whether rows of a type hold keys.
func secret(typ string) bool {
	k := resource.All.Kind(typ)
	return k != nil && (k.Type.Base().Name == "credential" || k.Type.Base().Name == "genericObject")
}

func (v *viewer) owner(ctx context.Context, q wire.ViewRequest) (int64, error) {
	k := resource.All.Kind(q.Type)
	if k == nil || k.Type.Table == "" {
		return 0, nil
	}
	row, err := v.store.Get(ctx, k.Type, q.ResourceID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case row.Type().Name == "account":
		return row.ID(), nil
	}
	return row.Int("accountId"), nil
}

func (v *viewer) caller(ctx context.Context, account int64) (auth.Caller, error) {
	v.mu.Lock()
	b, ok := v.callers[account]
	v.mu.Unlock()
	if ok && time.Now().Before(b.until) {
		return b.caller, b.err
	}
	c, err := v.auth.Account(ctx, account)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.callers) > 10_000 {
		clear(v.callers)
	}
	v.callers[account] = believed{c, err, time.Now().Add(2 * time.Second)}
	return c, err
}
