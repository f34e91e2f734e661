package auth

import (
	"context"
	"slices"
)

// Account returns the caller that an active account makes, for parts that know who
// asks by other means than a request, or an error that wraps ErrRefused.
func (a *Auth) Account(ctx context.Context, id int64) (Caller, error) {
	row, err := a.account(ctx, id)
	if err != nil {
		return Caller{}, err
	}
	return a.caller(row, row.Kind())
}

// Stranger returns whom a request without valid credentials acts for: where
// security is on nobody, an error that wraps ErrRefused.
func (a *Auth) Stranger(ctx context.Context) (Caller, error) {
	if a.Secured() {
		return Caller{}, ErrRefused
	}
	return a.administrator(ctx)
}

// For returns whom a trusted front end acts for: the account with that uuid, if c
// may act for others, else c.
func (a *Auth) For(ctx context.Context, c Caller, uuid string) (Caller, error) {
	return a.impersonate(ctx, c, uuid)
}

// Opens tells whether a credential of a kind lets its holder in.
func (a *Auth) Opens(kind string) bool {
	kinds := a.settings.List("account.by.key.credential.types")
	if len(kinds) == 0 {
		kinds = []string{"agentApiKey", "apiKey", "usernamePassword"}
	}
	return slices.Contains(kinds, kind)
}
