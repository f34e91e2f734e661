package handler

import (
	"context"

	"github.com/cattleio/cattle/shared/process"
)

func genericObjectHandlers() []process.Handler {
	register := on("RegisterCreate", registerCreate, "genericobject.create")
	register.Priority = process.Specific
	return []process.Handler{register}
}

// registerCreate makes the agent of a host that asks to join, and hands out the
// key with which it connects.
func registerCreate(ctx context.Context, run process.Run) (*process.Answer, error) {
	object := run.Resource()
	if object.Kind() != "register" || object.Str("key") == "" {
		return nil, nil
	}
	agent, err := one(ctx, run, "agent", process.Match{"uri": "event://" + object.UUID()}, map[string]any{
		"kind": "registeredAgent", "managedConfig": true,
		"data": map[string]any{"registrationKey": object.Str("key"), "agentResourcesAccountId": object.Int("accountId")},
	})
	if err != nil {
		return nil, err
	}
	if agent.State() == "requested" {
		if err := run.Schedule(ctx, "agent.create", agent, nil); err != nil {
			return nil, err
		}
	}
	if agent.Int("accountId") != 0 {
		keys, err := run.Find(ctx, "credential", process.Match{"accountId": agent.Int("accountId"), "kind": "agentApiKey"})
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if key.State() == "active" && key.Str("publicValue") != "" {
				return with(map[string]any{"accessKey": key.Str("publicValue"), "secretKey": key.Str("secretValue"),
					"+data": map[string]any{"agentId": agent.ID()}})
			}
		}
	}
	// The agent is another resource with a process of its own: look again shortly.
	return nil, awaiting(run, "the key of agent "+agent.Key())
}
