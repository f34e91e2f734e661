package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// vouch answers gateways that ask who holds a key, until ctx ends.
func vouch(ctx context.Context, bus *event.Bus, s *store.Store, settings *config.Settings) func() {
	return bus.Subscribe(ctx, wire.AuthChannel, func(payload string) {
		var q wire.AuthRequest
		if json.Unmarshal([]byte(payload), &q) != nil {
			return
		}
		go func() {
			a := voucher{s, settings}.answer(ctx, q)
			a.ID = q.ID
			if text, err := json.Marshal(a); err == nil {
				_, _ = bus.Publish(ctx, q.ReplyTo, string(text))
			}
		}()
	})
}

type voucher struct {
	store    *store.Store
	settings *config.Settings
}

func (v voucher) answer(ctx context.Context, q wire.AuthRequest) wire.AuthAnswer {
	key, account, err := v.holder(ctx, q.AccessKey)
	if err != nil {
		return wire.AuthAnswer{Status: http.StatusServiceUnavailable, Open: true}
	}
	a := wire.AuthAnswer{Known: true}
	switch {
	case key != nil:
		mac := hmac.New(sha256.New, []byte(key.Str("secretValue")))
		mac.Write([]byte(q.Nonce))
		a.Proof = hex.EncodeToString(mac.Sum(nil))
	case v.settings.Bool("api.security.enabled"):
		return wire.AuthAnswer{Status: http.StatusUnauthorized, Open: true}
	default:
		a.Open = true // the open mode: whoever asks is the administrator
	}
	a.AgentID, a.Plain, a.Status = v.agent(ctx, account, q.AgentID)
	return a
}

// holder finds an active key and its active account; nil where there is none.
func (v voucher) holder(ctx context.Context, public string) (key, account *schema.Row, err error) {
	if public == "" {
		return nil, nil, nil
	}
	keys, err := v.store.Find(ctx, resource.All.Type("credential"), process.Match{"publicValue": public, "state": "active"})
	if err != nil || len(keys) == 0 || !slices.Contains(v.settings.List("account.by.key.credential.types"), keys[0].Kind()) {
		return nil, nil, err
	}
	account, err = v.store.Get(ctx, resource.All.Type("account"), keys[0].Int("accountId"))
	if err != nil || account.State() != "active" {
		return nil, nil, nil //nolint:nilerr // an account that is gone opens nothing
	}
	return keys[0], account, nil
}

// agent says for which agent a caller speaks: an agent's account for its own, an
// administrator for any.
func (v voucher) agent(ctx context.Context, account *schema.Row, named string) (id int64, plain bool, status int) {
	var wanted int64
	if named != "" {
		stored, ok := schema.ParseID(named)
		if !ok {
			stored = named
		}
		wanted, _ = strconv.ParseInt(stored, 10, 64)
	}
	if account != nil && !v.settings.Bool("account.type."+account.Kind()+".all.accounts") {
		own, err := v.store.Find(ctx, resource.All.Type("agent"), process.Match{"accountId": account.ID(), "removed": nil})
		if err != nil {
			return 0, false, http.StatusServiceUnavailable
		}
		if len(own) != 1 || wanted != 0 && wanted != own[0].ID() {
			return 0, false, http.StatusForbidden
		}
		return own[0].ID(), true, 0
	}
	agent, err := v.store.Get(ctx, resource.All.Type("agent"), wanted)
	if err != nil || agent.Removed() {
		return 0, false, http.StatusForbidden
	}
	return agent.ID(), false, 0
}
