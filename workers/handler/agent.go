package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/wire"
)

func agentHandlers() []process.Handler {
	closing := on("AgentConnectionClose", agentClose, "agent.deactivate", "agent.remove")
	again := on("AgentTimedConnectionClose", agentCloseSeldom, "agent.reconnect")
	closing.Priority, again.Priority = process.Early, process.Early
	return []process.Handler{
		on("AgentCreate", agentCreate, "agent.create"),
		before("AgentScriptsApply", process.Specific, scriptsAssign, "agent.activate", "agent.reconnect"),
		on("AgentActivate", agentActivate, "agent.activate", "agent.reconnect"),
		after("AgentScriptsApply", process.Specific, scriptsAwait, "agent.activate", "agent.reconnect"),
		closing, again,
	}
}

// agentCreate gives the agent an account of its own, with a key.
func agentCreate(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource()
	if agent.Int("accountId") != 0 || run.Setting("process.agent.create.create.account") != "true" {
		return nil, nil
	}
	account, err := one(ctx, run, "account", process.Match{"uuid": fmt.Sprintf("agentAccount%d", agent.ID())}, map[string]any{"kind": "agent"})
	if err != nil {
		return nil, err
	}
	options := map[string]any{accountScope: map[string]any{"createApiKey": true, "createApiKeyKind": "agentApiKey"}}
	if err := run.Execute(ctx, "account.create", account, options); err != nil {
		return nil, err
	}
	return with(map[string]any{"accountId": account.ID()})
}

// agentActivate waits for the agent to answer a ping and takes in the hosts and
// pools that the answer names, so that they are there when the agent is.
func agentActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource()
	raw, err := callAgent(ctx, run, agent, process.Call{
		Name:     wire.Ping,
		Data:     wire.PingData{Options: wire.PingOptions{Stats: true, Resources: true}, Resources: []wire.Resource{}},
		Attempts: int(number(run, "agent.activate.ping.retries")) + 1, Timeout: number(run, "agent.activate.ping.timeout"),
	})
	if err != nil {
		return nil, err
	}
	var ping wire.PingData
	if json.Unmarshal(raw, &ping) != nil {
		return done() // it is there, whatever it says it has: that is asked again
	}
	if err := Discover(ctx, run, agent, ping.Resources); err != nil {
		return nil, err
	}
	return done()
}

var goOn = true

// agentClose ends the agent's connection and lets later logic run.
func agentClose(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource()
	_, err := run.Call(ctx, process.Call{AgentID: agent.ID(), Name: wire.AgentClose, Resource: agent, OrGone: true})
	if err != nil {
		return nil, err
	}
	return &process.Answer{Continue: &goOn}, nil
}

// agentCloseSeldom is agentClose, at most once in the set number of seconds. A stream that
// an agent has opened by itself is not ours to open anew: scripts end with it.
func agentCloseSeldom(ctx context.Context, run process.Run) (*process.Answer, error) {
	if strings.HasPrefix(run.Resource().Str("uri"), "event://") {
		return nil, nil
	}
	now := run.Now()
	scope := private(run.Data(), "io.cattle.platform.process.agent.AgentTimedConnectionClose")
	pause := 1000 * seconds(run, "agent.reconnect.disconnect.every.seconds")
	if last := integer(scope["lastDisconnect"]); last != 0 && now-last < pause {
		return nil, nil
	}
	scope["lastDisconnect"] = now
	return agentClose(ctx, run)
}
