package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/seal"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// voucher tells gateways, which have no database, who holds a key.
type voucher struct {
	store  *store.Store
	auth   *auth.Auth
	server string
}

// vouch answers gateways that ask who holds a key, until the returned function is
// called.
func vouch(ctx context.Context, bus *event.Bus, v voucher) (cancel func()) {
	return bus.Subscribe(ctx, wire.AuthChannel, func(payload string) {
		var q wire.AuthRequest
		if json.Unmarshal([]byte(payload), &q) != nil {
			return
		}
		go func() {
			a, err := v.answer(ctx, q)
			a.ID, a.Server, a.Unavailable = q.ID, v.server, err != nil
			if text, err := json.Marshal(a); err == nil {
				_, _ = bus.Publish(ctx, q.ReplyTo, string(text))
			}
		}()
	})
}

func (v voucher) answer(ctx context.Context, q wire.AuthRequest) (a wire.AuthAnswer, err error) {
	if q.AccessKey != "" {
		if a, err = v.holder(ctx, q); err != nil {
			return a, err
		}
	}
	stranger, err := v.auth.Stranger(ctx)
	a.Stranger, err = v.known(ctx, q, stranger, err)
	return a, err
}

// holder finds an active key and proves that its secret is known here.
func (v voucher) holder(ctx context.Context, q wire.AuthRequest) (a wire.AuthAnswer, err error) {
	keys, err := v.store.Find(ctx, resource.All.Type("credential"), process.Match{"publicValue": q.AccessKey, "state": "active"})
	if err != nil {
		return a, err
	}
	keys = slices.DeleteFunc(keys, func(k *schema.Row) bool { return !v.auth.Opens(k.Kind()) })
	if len(keys) == 0 {
		return a, nil
	}
	caller, err := v.auth.Account(ctx, keys[0].Int("accountId"))
	if a.Holder, err = v.known(ctx, q, caller, err); a.Holder == nil {
		return a, err
	}
	a.Holder.KeyID = keys[0].ID()
	a.Recipe = seal.Recipe(keys[0].Str("secretValue"))
	mac := hmac.New(sha256.New, []byte(keys[0].Str("secretValue")))
	mac.Write([]byte(q.Nonce))
	a.Proof = hex.EncodeToString(mac.Sum(nil))
	return a, nil
}

// known describes a caller to gateways; nil is one that is refused.
func (v voucher) known(ctx context.Context, q wire.AuthRequest, c auth.Caller, err error) (*wire.Caller, error) {
	if err == nil {
		c, err = v.auth.For(ctx, c, q.AccountUUID)
	}
	if errors.Is(err, auth.ErrRefused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &wire.Caller{AccountID: c.AccountID, Kind: c.Kind, Style: c.Subscription, All: c.AllAccounts, Plain: c.PlainIDs, MayPlain: c.MayAskPlain}
	if t := c.View.Type("subscribe"); t != nil {
		k.Subscribe = append([]string{}, t.Collection...)
	}
	if t := c.View.Type("publish"); t != nil {
		k.Publish = append([]string{}, t.Collection...)
	}
	return k, v.agent(ctx, k, q.AgentID)
}

// agent says whose commands a caller gets: an agent's account those of its own
// agent, an administrator those of the agent that it names. One who only reads sees them.
func (v voucher) agent(ctx context.Context, k *wire.Caller, named string) error {
	wanted := agentID(named)
	switch {
	case k.Style == wire.ByAgent:
		own, err := v.store.Find(ctx, resource.All.Type("agent"), process.Match{"accountId": k.AccountID, "removed": nil})
		if err != nil {
			return err
		}
		if wanted == 0 && len(own) > 1 {
			k.Status, k.Code = http.StatusUnprocessableEntity, "MissingRequired"
			return nil
		}
		i := slices.IndexFunc(own, func(r *schema.Row) bool { return wanted == 0 || r.ID() == wanted })
		if i < 0 {
			k.Status, k.Code = http.StatusForbidden, "Forbidden"
			return nil
		}
		k.AgentID, k.GroupID = own[i].ID(), own[i].Int("agentGroupId")
	case k.Style == wire.Raw && named != "":
		agent, err := v.store.Get(ctx, resource.All.Type("agent"), wanted)
		if errors.Is(err, store.ErrNotFound) || err == nil && (agent.Removed() || !k.All) {
			k.Status, k.Code = http.StatusUnprocessableEntity, "InvalidReference"
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains(k.Publish, http.MethodPost) {
			k.AgentID, k.GroupID = agent.ID(), agent.Int("agentGroupId")
		} else { // who cannot answer is no agent, and takes nothing from it
			k.Observes = agent.ID()
		}
	}
	return nil
}

// agentID reads the id of an agent, plain or as the API writes it; 0 is none.
func agentID(text string) int64 {
	if stored, ok := schema.ParseID(text); ok {
		text = stored
	}
	id, _ := strconv.ParseInt(text, 10, 64)
	return id
}
