package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

// madeScope is where the data of a process says which items it has asked which agents for,
// so that an attempt that is repeated asks no more than once. What got lost of it is asked
// for once more, which does no harm.
const madeScope = "io.cattle.platform.configitem.request"

// wantedItem is an item that an agent is to have; one that is wanted again is applied
// again by an agent that has it.
type wantedItem struct {
	name  string
	again bool
}

// listed are the items that a setting names.
func listed(run process.Run, setting string, again bool) []wantedItem {
	var out []wantedItem
	for name := range strings.SplitSeq(run.Setting(setting), ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, wantedItem{name, again})
		}
	}
	return out
}

// assign gives items to an agent, once in the life of a process for each resource.
func assign(ctx context.Context, run process.Run, agent int64, items []wantedItem) error {
	tx, err := run.(units).Unit(ctx)
	if err != nil {
		return err
	}
	made := private(private(run.Data(), madeScope), strconv.FormatInt(agent, 10))
	for _, w := range items {
		mark := fmt.Sprint(run.Process().Name, " ", run.Resource().Key(), " ", w.name)
		if made[mark] != nil {
			continue
		}
		made[mark] = true
		if _, _, err := tx.AssignItem(ctx, agent, w.name, w.again); err != nil {
			return err
		}
	}
	return nil
}

// behind lists those of the items that the agent was given and has not applied.
func behind(ctx context.Context, run process.Run, agent *schema.Row, items []wantedItem) ([]wire.ConfigItem, error) {
	tx, err := run.(units).Unit(ctx)
	if err != nil {
		return nil, err
	}
	has, err := tx.ItemsOf(ctx, agent.ID())
	if err != nil {
		return nil, err
	}
	var out []wire.ConfigItem
	for _, i := range has {
		if i.Applied >= i.Requested {
			continue
		}
		at := slices.IndexFunc(items, func(w wantedItem) bool { return w.name == i.Name })
		if at >= 0 {
			out = append(out, wire.ConfigItem{Name: i.Name, RequestedVersion: i.Requested, Apply: true, Increment: items[at].again, CheckInSyncOnly: true})
		}
	}
	return out, nil
}

// await waits until the agent has applied what it was given of the items.
func await(ctx context.Context, run process.Run, agent *schema.Row, wanted []wantedItem) error {
	items, err := behind(ctx, run, agent, wanted)
	if err != nil || len(items) == 0 {
		return err
	}
	if _, err = callAgent(ctx, run, agent, process.Call{Name: wire.ConfigUpdate,
		Data:     wire.ConfigUpdateData{ConfigURL: wire.URL(run.Setting, agent.ID(), "config"), Items: items},
		Attempts: int(number(run, "item.wait.for.event.tries")), Timeout: number(run, "item.wait.for.event.timeout.millis")}); err != nil {
		return err
	}
	if err := played(ctx, run, agent, items); err != nil {
		return err
	}
	if items, err = behind(ctx, run, agent, wanted); err != nil || len(items) == 0 {
		return err
	}
	return &process.TimeoutError{Waited: fmt.Sprintf("agent %s to apply the configuration item %s", agent.Key(), items[0].Name)}
}

// played notes for agents that are only played that they applied what they were told: they
// have nowhere to put it.
func played(ctx context.Context, run process.Run, agent *schema.Row, items []wire.ConfigItem) error {
	_, at, err := innermost(ctx, run, agent)
	if err != nil || at == nil || !strings.HasPrefix(at.Str("uri"), "sim://") {
		return err
	}
	tx, err := run.(units).Unit(ctx)
	if err != nil {
		return err
	}
	for _, i := range items {
		if _, err := tx.ApplyItem(ctx, agent.ID(), i.Name, "latest"); err != nil {
			return err
		}
	}
	return nil
}

func scriptsAssign(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource()
	if !agent.Bool("managedConfig") {
		return nil, nil
	}
	return nil, assign(ctx, run, agent.ID(), listed(run, "agent.config.items", false))
}

// scriptsAwait waits until the agent has what it runs on.
func scriptsAwait(ctx context.Context, run process.Run) (*process.Answer, error) {
	agent := run.Resource()
	if !agent.Bool("managedConfig") {
		return nil, nil
	}
	return nil, await(ctx, run, agent, listed(run, "agent.config.items", false))
}

// innermost returns the agent that has the connection to another: itself, or for one that
// lives in an instance that of the host, with the instance. It is nil while that does not run.
func innermost(ctx context.Context, run process.Run, agent *schema.Row) (instance, at *schema.Row, err error) {
	if !strings.HasPrefix(agent.Str("uri"), "delegate://") {
		return nil, agent, nil
	}
	instances, err := find(ctx, run, "instance", process.Match{"agentId": agent.ID()})
	if err != nil {
		return nil, nil, err
	}
	live := slices.IndexFunc(instances, func(i *schema.Row) bool { return i.State() == "running" })
	if live < 0 {
		return nil, nil, nil
	}
	host, err := hostOf(ctx, run, instances[live].ID())
	if err != nil || host == 0 {
		return nil, nil, err
	}
	row, err := run.Get(ctx, "host", host)
	if err != nil || row.Int("agentId") == 0 {
		return nil, nil, err
	}
	at, err = run.Get(ctx, "agent", row.Int("agentId"))
	return instances[live], at, err
}

// delegateLook is how often it is looked whether the instance of an agent runs.
const delegateLook = time.Second

// callAgent sends a command about an agent to that agent. One that lives in an instance
// gets it through the agent of the host.
func callAgent(ctx context.Context, run process.Run, agent *schema.Row, c process.Call) (json.RawMessage, error) {
	c.AgentID, c.Resource = agent.ID(), agent
	instance, at, err := innermost(ctx, run, agent)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, &process.WaitingError{For: "the instance of agent " + agent.Key() + " to run", After: delegateLook}
	}
	if instance == nil {
		return run.Call(ctx, c)
	}
	data, err := wire.Encode(c.Data)
	if err != nil {
		return nil, err
	}
	inner := &wire.Event{ID: lockName(c.Name, agent.Key()), Name: c.Name, ReplyTo: wire.Text(c.Name + ".reply"),
		ResourceType: wire.Text("agent"), ResourceID: wire.Text(agent.Key()), Data: data, TimeMillis: run.Now()}
	c.AgentID, c.Name, c.Data = at.ID(), wire.DelegateRequest, wire.DelegateData{Instance: instance.Map(), Event: inner}
	raw, err := run.Call(ctx, c)
	if err != nil {
		return nil, err
	}
	var reply wire.Event
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &reply); err != nil {
			return nil, fmt.Errorf("cannot read the answer of agent %d to %s: %w", agent.ID(), inner.Name, err)
		}
	}
	if wire.Value(reply.Transitioning) == wire.Failure {
		return nil, &process.Failure{Message: wire.Value(reply.TransitioningMessage), Detail: wire.Value(reply.TransitioningInternalMessage)}
	}
	return reply.Data, nil
}
