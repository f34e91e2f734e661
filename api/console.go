package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// consoleWait is how long a host may take to say where a console is.
const consoleWait = 10 * time.Second

// consoles asks the agents of hosts what only they know: how to reach the console of an
// instance, and what runs there. Nothing is kept of it: who wants it again asks again.
type consoles struct {
	store  *store.Store
	bus    *event.Bus
	server string
}

// open gives what the host says: kind, url and password. It is sent both rows as they are,
// since older agents read there where the screen is.
func (c consoles) open(ctx context.Context, instance *schema.Row) (map[string]any, error) {
	host, agent, err := c.where(ctx, instance)
	if err != nil {
		return nil, err
	}
	data, err := wire.Encode(map[string]any{"host": host.Map(), "instance": instance.Map(), "kind": nil})
	if err != nil {
		return nil, err
	}
	reply, err := c.ask(ctx, agent, wire.ConsoleAccess, data)
	if err != nil {
		return nil, err
	}
	if wire.Value(reply.Transitioning) == wire.Failure {
		return nil, fault.Unavailable("%s", wire.Value(reply.TransitioningMessage))
	}
	var answer map[string]any
	if json.Unmarshal(reply.Data, &answer) != nil || answer["url"] == nil {
		return nil, fault.Unavailable("the instance has no console")
	}
	return answer, nil
}

// running gives what the agent of a host says that it runs, on this host and others.
func (c consoles) running(ctx context.Context, host *schema.Row) ([]wire.Resource, error) {
	agent, err := c.store.Get(ctx, resource.All.Type("agent"), host.Int("agentId"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.Unavailable("the host has no agent")
	}
	if err != nil {
		return nil, err
	}
	data, err := wire.Encode(wire.PingData{Options: wire.PingOptions{Instances: true}, Resources: []wire.Resource{}})
	if err != nil {
		return nil, err
	}
	reply, err := c.ask(ctx, agent, wire.Ping, data)
	if err != nil {
		return nil, err
	}
	var said wire.PingData
	if wire.Value(reply.Transitioning) == wire.Failure || json.Unmarshal(reply.Data, &said) != nil || !said.Options.Instances {
		return nil, fault.Unavailable("the agent of the host does not say what runs there")
	}
	return slices.DeleteFunc(said.Resources, func(r wire.Resource) bool { return r.Type != "instance" }), nil
}

// where finds the host that an instance is on, and the agent of that.
func (c consoles) where(ctx context.Context, instance *schema.Row) (host, agent *schema.Row, err error) {
	ties, err := c.store.Find(ctx, resource.All.Type("instanceHostMap"), process.Match{"instanceId": instance.ID()})
	if err != nil {
		return nil, nil, err
	}
	for _, tie := range ties {
		if tie.Removed() {
			continue
		}
		if host, err = c.store.Get(ctx, resource.All.Type("host"), tie.Int("hostId")); err != nil {
			return nil, nil, err
		}
		agent, err = c.store.Get(ctx, resource.All.Type("agent"), host.Int("agentId"))
		if err == nil && agent.State() == "active" {
			return host, agent, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, nil, err
		}
	}
	return nil, nil, fault.Unavailable("the agent of the host is away")
}

// ask sends one request and waits for its reply at an address of its own.
func (c consoles) ask(ctx context.Context, agent *schema.Row, command string, data json.RawMessage) (*wire.Event, error) {
	id := uuid.NewString()
	server := c.server + "-console-" + id
	name, typ, key, millis := "reply."+server+"."+id, "agent", agent.Key(), consoleWait.Milliseconds()
	e := &wire.Event{ID: id, Name: command, ReplyTo: &name, ResourceType: &typ, ResourceID: &key,
		Data: data, TimeMillis: time.Now().UnixMilli(), TimeoutMillis: &millis}
	parcel, err := wire.Parcel{AgentID: agent.ID(), UUID: agent.UUID(), URI: agent.Str("uri"), Server: server}.Carrying(e)
	if err != nil {
		return nil, err
	}
	text, err := parcel.Encode()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, consoleWait)
	defer cancel()
	replies := make(chan *wire.Event, 1)
	defer c.bus.SubscribeOwn(ctx, wire.ServerChannel(server), func(payload string) {
		a, err := wire.OpenAnswer(payload)
		if err != nil || a.AgentID != agent.ID() || len(a.Reply.PreviousIDs) == 0 || a.Reply.PreviousIDs[0] != id || !a.Reply.IsFinal() {
			return
		}
		select {
		case replies <- a.Reply:
		default:
		}
	})()
	if heard, err := c.bus.Publish(ctx, wire.AgentChannel(key), text); err != nil || heard == 0 {
		return nil, fault.Unavailable("the agent of the host is away")
	}
	select {
	case reply := <-replies:
		return reply, nil
	case <-ctx.Done():
		return nil, fault.Unavailable("the agent of the host does not answer")
	}
}
