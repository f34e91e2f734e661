package handler

import (
	"context"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// accountScope names the options of account.create in the process data.
const accountScope = "io.cattle.platform.core.constants.AccountConstants"

func accountHandlers() []process.Handler {
	return []process.Handler{
		on("AccountCreate", accountCreate, "account.create"),
		after("RegisterTokenAccountCreate", process.Specific, registerToken, "account.create"),
	}
}

// accountCreate makes sure that the account has a credential.
func accountCreate(ctx context.Context, run process.Run) (*process.Answer, error) {
	options, _ := run.Data()[accountScope].(map[string]any)
	wanted, _ := options["createApiKey"].(bool)
	if !wanted && run.Setting("process.account.create.create.credential") != "true" {
		return nil, nil
	}
	kind, _ := options["createApiKeyKind"].(string)
	if kind == "" {
		kind = run.Setting("process.account.create.create.credential.default.kind")
	}
	if kind == "apiKey" && shownOnce(run) {
		return nil, nil // nobody would ever know it
	}
	account := run.Resource()
	keys, err := run.Find(ctx, "credential", process.Match{"accountId": account.ID()})
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		key, err := run.Create(ctx, "credential", map[string]any{"accountId": account.ID(), "kind": kind})
		if err != nil {
			return nil, err
		}
		keys = []*schema.Row{key}
	}
	for _, key := range keys {
		if err := run.Execute(ctx, "credential.create", key, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
	}
	return done()
}

// registerToken gives the account the credential with which its hosts join.
func registerToken(ctx context.Context, run process.Run) (*process.Answer, error) {
	account := run.Resource()
	match := process.Match{"accountId": account.ID(), "kind": "registrationToken"}
	tokens, err := run.Find(ctx, "credential", match)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		token, err := run.Create(ctx, "credential", match)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	if tokens[0].State() != "requested" {
		return nil, nil
	}
	return nil, run.Schedule(ctx, "credential.create", tokens[0], nil)
}
