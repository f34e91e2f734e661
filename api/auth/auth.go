// Package auth says who asks and what they may see: it turns credentials into a
// Caller with the rows and the projection of the model that its account is due.
//
//	basic credentials ──▶ credential row ──▶ active account ──▶ options of its kind ──▶ Caller
//	none or wrong     ──▶ refused, or the default administrator where security is off
//
// What is found is believed for a moment, so that a request does not cost a query;
// Forget ends that at once for writes in this process. HTTP is none of its business.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/seal"
	"github.com/cattleio/cattle/shared/store"
)

// ErrRefused says that nobody who may enter was named.
var ErrRefused = errors.New("no valid credentials")

// Styles of subscription: which events a caller hears.
const (
	Raw       = "raw"     // names as given
	ByAccount = "account" // those addressed to the account
	ByAgent   = "agent"   // those addressed to the account's agent
)

// Caller is who a request acts for.
type Caller struct {
	AccountID      int64
	Kind           string // of the account; register for a registration token
	Name           string
	Scope          store.Scope // of rows it may read
	AllAccounts    bool
	PlainIDs       bool   // ids are written and read as stored
	MayAskPlain    bool   // by _plainId
	RemovedVisible bool   // removed rows stay in lists
	Subscription   string // Raw, ByAccount or ByAgent
	View           *View
	JoinNonce      string // of the token for one host that it came with
	KeyID          int64  // of the credential that it came with, 0 for none
}

// Writes is the scope of rows the caller may change.
func (c Caller) Writes() store.Scope {
	s := c.Scope
	s.Owned = true
	return s
}

// Login is what a request brings along.
type Login struct {
	Authorization string // the header
	AccountUUID   string // the header X-Account-Uuid
	Address       string // of the peer, to count failures by
}

// Auth knows the callers.
type Auth struct {
	store    *store.Store
	settings *config.Settings
	views    map[string]*View
	// Failures are the attempts that failed.
	Failures *limit.Failures

	mu    sync.Mutex
	known map[Login]entry
	// proven are digests of hashes with secrets that fit.
	proven map[[sha256.Size]byte]bool
}

type entry struct {
	caller Caller
	err    error
	until  time.Time
}

const (
	believed = 2 * time.Second
	maxKnown = 10_000
)

// New returns an Auth over the accounts and credentials of a store.
func New(s *store.Store, settings *config.Settings) *Auth {
	return &Auth{store: s, settings: settings, views: views(), Failures: limit.NewFailures(), known: map[Login]entry{}, proven: map[[sha256.Size]byte]bool{}}
}

// View returns the projection of a kind of account, nil if it has none.
func (a *Auth) View(kind string) *View { return a.views[kind] }

// Secured tells whether callers without valid credentials are refused.
func (a *Auth) Secured() bool { return a.settings.Bool("api.security.enabled") }

// Forget drops what is believed about callers, after a change of accounts,
// credentials or settings.
func (a *Auth) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.known)
}

// Identify returns the caller of a request, or an error that wraps ErrRefused.
func (a *Auth) Identify(ctx context.Context, l Login) (Caller, error) {
	now := time.Now()
	key := l
	key.Address = "" // it decides nothing but the limit
	a.mu.Lock()
	e, ok := a.known[key]
	a.mu.Unlock()
	if ok && now.Before(e.until) {
		return e.caller, e.err
	}
	c, err := a.identify(ctx, l, now)
	if err != nil {
		return c, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[key] = entry{c, nil, now.Add(believed)}
	return c, nil
}

func (a *Auth) identify(ctx context.Context, l Login, now time.Time) (Caller, error) {
	user, password, given := basic(l.Authorization)
	if given {
		c, err := a.check(ctx, limit.Attempt{Address: l.Address, Key: user, Secret: password}, now)
		if err == nil && !Serves(a.settings, c.Kind) {
			return Caller{}, ErrRefused
		}
		if err == nil {
			return a.impersonate(ctx, c, l.AccountUUID)
		}
		if !errors.Is(err, ErrRefused) {
			return Caller{}, err
		}
	}
	if a.Secured() {
		return Caller{}, ErrRefused
	}
	c, err := a.administrator(ctx)
	if err == nil && !Serves(a.settings, c.Kind) {
		err = ErrRefused
	}
	if err != nil {
		return Caller{}, err
	}
	return a.impersonate(ctx, c, l.AccountUUID)
}

// Serves tells whether this server has to do with accounts of a kind. A server for the
// public serves those that api.account.kinds names; the database has no say in that, or
// it could lock everybody out.
func Serves(settings *config.Settings, kind string) bool {
	kinds, ok := settings.Lookup("api.account.kinds")
	if !ok || kinds.Source == config.Database || strings.TrimSpace(kinds.Value) == "" {
		return true
	}
	return slices.Contains(settings.List("api.account.kinds"), kind)
}

// check verifies a user and password. Failures are counted where security is on;
// where it is off they come from every client without keys.
func (a *Auth) check(ctx context.Context, who limit.Attempt, now time.Time) (Caller, error) {
	if !a.Secured() {
		return a.verify(ctx, who.Key, who.Secret, now)
	}
	bounds := limit.PerMinute(a.settings.Int)
	if wait := a.Failures.Wait(who, bounds, now); wait > 0 {
		return Caller{}, fault.TooMany(wait, "too many attempts have failed")
	}
	c, err := a.verify(ctx, who.Key, who.Secret, now)
	switch {
	case errors.Is(err, ErrRefused):
		a.Failures.Failed(ctx, who, bounds, now)
	case err == nil:
		a.Failures.Passed(who, bounds, now)
	}
	return c, err
}

func (a *Auth) verify(ctx context.Context, user, password string, now time.Time) (Caller, error) {
	if user == "" || password == "" || !clean(user) || !clean(password) {
		return Caller{}, ErrRefused
	}
	if user == TokenUser {
		account, err := a.TokenAccount(ctx, password, now)
		if err != nil {
			return Caller{}, err
		}
		c, err := a.caller(account, schema.Register)
		c.JoinNonce = JoinNonce(password)
		return c, err
	}
	kinds := a.settings.List("account.by.key.credential.types")
	if len(kinds) == 0 {
		kinds = []string{"agentApiKey", "apiKey", "usernamePassword"}
	}
	rows, err := a.store.Find(ctx, resource.All.Type("credential"), map[string]any{"publicValue": user})
	if err != nil {
		return Caller{}, err
	}
	for _, row := range rows {
		if row.State() != "active" || !slices.Contains(kinds, row.Kind()) || !a.same(row.Str("secretValue"), password) {
			continue
		}
		account, err := a.account(ctx, row.Int("accountId"))
		if err != nil {
			return Caller{}, err
		}
		c, err := a.caller(account, account.Kind())
		c.KeyID = row.ID()
		return c, err
	}
	return Caller{}, ErrRefused
}

// same tells whether a secret is the one that is kept. What was once found so of a hash
// need not be worked out again for every request.
func (a *Auth) same(kept, secret string) bool {
	if !seal.Hashed(kept) {
		return seal.Same(kept, secret)
	}
	sum := sha256.Sum256([]byte(kept + "\x00" + secret))
	a.mu.Lock()
	proven := a.proven[sum]
	a.mu.Unlock()
	if proven || !seal.Same(kept, secret) {
		return proven
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.proven) >= maxKnown {
		clear(a.proven)
	}
	a.proven[sum] = true
	return true
}

// TokenAccount returns the active account behind a registration token, or an error
// that wraps ErrRefused.
func (a *Auth) TokenAccount(ctx context.Context, token string, now time.Time) (*schema.Row, error) {
	public, ok := TokenKey(token)
	if !ok || !clean(token) {
		return nil, ErrRefused
	}
	period := a.settings.Millis("registration.token.period.millis")
	if period <= 0 {
		period = 365 * 24 * time.Hour
	}
	rows, err := a.store.Find(ctx, resource.All.Type("credential"), map[string]any{"publicValue": public, "kind": "registrationToken"})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.State() == "active" && CheckToken(token, row.Str("secretValue"), now, period) {
			return a.account(ctx, row.Int("accountId"))
		}
	}
	return nil, ErrRefused
}

func (a *Auth) account(ctx context.Context, id int64) (*schema.Row, error) {
	row, err := a.store.Get(ctx, resource.All.Type("account"), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.State() != "active" {
		return nil, ErrRefused
	}
	return row, err
}

// administrator returns the active administrator with the lowest id.
func (a *Auth) administrator(ctx context.Context) (Caller, error) {
	rows, err := a.store.Find(ctx, resource.All.Type("account"), map[string]any{"kind": schema.Admin, "state": "active"})
	if err != nil {
		return Caller{}, err
	}
	if len(rows) == 0 {
		return Caller{}, ErrRefused
	}
	return a.caller(rows[0], schema.Admin)
}

// impersonate lets a trusted front end act for another account.
func (a *Auth) impersonate(ctx context.Context, c Caller, uuid string) (Caller, error) {
	if uuid == "" || !clean(uuid) || !c.AllAccounts || !a.settings.Bool("api.auth.header.enabled") {
		return c, nil
	}
	rows, err := a.store.Find(ctx, resource.All.Type("account"), map[string]any{"uuid": uuid})
	if err != nil {
		return Caller{}, err
	}
	if len(rows) == 0 || rows[0].State() != "active" {
		return Caller{}, ErrRefused
	}
	other, err := a.caller(rows[0], rows[0].Kind())
	other.KeyID = c.KeyID
	return other, err
}

// caller gives an account what is due to its kind. A kind without a projection is
// refused, or sees the bare model and its own rows where security is off.
func (a *Auth) caller(account *schema.Row, kind string) (Caller, error) {
	c := Caller{AccountID: account.ID(), Kind: kind, Name: account.Str("name"), View: a.views[kind]}
	if c.Name == "" {
		c.Name = account.UUID()
	}
	c.AllAccounts = a.option(kind, "all.accounts", schema.Admin, schema.SuperAdmin, schema.ReadAdmin)
	c.PlainIDs = a.option(kind, "plain.id", schema.Agent)
	c.MayAskPlain = a.option(kind, "plain.id.option", schema.Admin, schema.SuperAdmin)
	c.RemovedVisible = a.option(kind, "removed.visible")
	c.Subscription = a.settings.Get("account.type." + kind + ".subscription.style")
	if c.Subscription == "" {
		c.Subscription = subscription(kind)
	}
	if c.View == nil {
		if a.Secured() {
			return Caller{}, ErrRefused
		}
		c.View, c.AllAccounts = a.views[schema.SuperAdmin], false
	}
	c.Scope = store.Scope{Account: c.AccountID, Limited: !c.AllAccounts}
	return c, nil
}

func subscription(kind string) string {
	switch kind {
	case schema.Admin, schema.SuperAdmin, schema.ReadAdmin:
		return Raw
	case schema.Agent:
		return ByAgent
	}
	return ByAccount
}

// option reads an option of a kind of account; kinds lists those that have it
// unless a setting says otherwise.
func (a *Auth) option(kind, name string, kinds ...string) bool {
	if v, ok := a.settings.Lookup("account.type." + kind + "." + name); ok {
		return strings.EqualFold(strings.TrimSpace(v.Value), "true")
	}
	return slices.Contains(kinds, kind)
}

// clean tells whether every database takes the text.
func clean(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// KeyName is the user that a header of basic authentication names, "" for none.
func KeyName(header string) string {
	user, _, _ := basic(header)
	return user
}

func basic(header string) (user, password string, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}
