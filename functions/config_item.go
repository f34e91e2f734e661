package functions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// configSync tells agents once more which configuration items they have not applied.
var configSync = Function{Name: "config.item.sync", Run: func(ctx context.Context, s *Scheduler) error {
	return s.push(ctx, false)
}}

// configMigration tells agents which items they have of another content than there is by
// now. The first agent has to succeed, unless a setting says otherwise, so that what is
// bad for one does not reach all.
var configMigration = Function{Name: "config.item.migration", Run: func(ctx context.Context, s *Scheduler) error {
	return s.push(ctx, true)
}}

// configSources records the content of the items that there are.
var configSources = Function{Name: "config.item.source.version.sync", Run: func(ctx context.Context, s *Scheduler) error {
	if s.Items == nil {
		return nil
	}
	sources, err := s.Items()
	if err != nil {
		return err
	}
	return s.Store.NoteItems(ctx, sources)
}}

// push sends one update to each agent that is behind.
func (s *Scheduler) push(ctx context.Context, old bool) error {
	rows, err := s.Store.ItemsBehind(ctx, old, s.Settings.Int("item.sync.batch.size"))
	if err != nil || len(rows) == 0 || s.Bus == nil {
		return err
	}
	var order []int64
	of := map[int64][]store.ItemStatus{}
	for _, i := range rows {
		if of[i.Agent] == nil {
			order = append(order, i.Agent)
		}
		of[i.Agent] = append(of[i.Agent], i)
	}
	a := s.newAuditor()
	defer a.silence()
	a.listen(ctx)
	var all []error
	for n, agent := range order {
		err := s.update(ctx, a, agent, of[agent])
		if err != nil && old && n == 0 && s.Settings.Get("item.migration.block.on.failure") == "true" {
			return fmt.Errorf("the first agent did not apply what is new, and no other is told: %w", err)
		}
		if err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// update tells one agent what it is to have, and looks whether it has.
func (s *Scheduler) update(ctx context.Context, a *auditor, id int64, items []store.ItemStatus) error {
	agent, err := s.Store.Get(ctx, resource.All.Type("agent"), id)
	if err != nil {
		return err
	}
	instance, at, err := s.innermost(ctx, agent)
	if err != nil || at == nil {
		return err // it is told once its instance runs
	}
	told := wire.ConfigUpdateData{ConfigURL: wire.URL(s.Settings.Get, id, "config")}
	for _, i := range items {
		told.Items = append(told.Items, wire.ConfigItem{Name: i.Name, RequestedVersion: i.Requested, Apply: true})
	}
	if strings.HasPrefix(at.Str("uri"), "sim://") {
		return s.pretend(ctx, id, items)
	}
	wait := time.Duration(s.Settings.Int("item.wait.for.event.timeout.millis")) * time.Millisecond
	if instance == nil {
		a.ask(ctx, id, wire.ConfigUpdate, wait, told)
	} else if data, err := wire.Encode(told); err == nil {
		a.ask(ctx, at.ID(), wire.DelegateRequest, wait, wire.DelegateData{Instance: instance.Map(), Event: &wire.Event{
			ID: fmt.Sprint("config.update.", id), Name: wire.ConfigUpdate, ReplyTo: wire.Text("config.update.reply"),
			ResourceType: wire.Text("agent"), ResourceID: wire.Text(agent.Key()), Data: data, TimeMillis: time.Now().UnixMilli()}})
	}
	for _, i := range items {
		has, err := s.Store.ItemOf(ctx, id, i.Name)
		if err == nil && (has == nil || has.Applied < i.Requested || has.Source != has.Current) {
			err = fmt.Errorf("agent %d has not applied the configuration item %s", id, i.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pretend notes for an agent that is only played that it has its items.
func (s *Scheduler) pretend(ctx context.Context, agent int64, items []store.ItemStatus) error {
	return s.Store.Write(ctx, "configuration items", func(tx *store.Tx) error {
		for _, i := range items {
			if _, err := tx.ApplyItem(ctx, agent, i.Name, "latest"); err != nil {
				return err
			}
		}
		return nil
	})
}

// innermost returns the agent that has the connection to another: itself, or for one that
// lives in an instance that of the host, with the instance. It is nil while that does not run.
func (s *Scheduler) innermost(ctx context.Context, agent *schema.Row) (instance, at *schema.Row, err error) {
	if !strings.HasPrefix(agent.Str("uri"), "delegate://") {
		return nil, agent, nil
	}
	instance, err = s.first(ctx, "instance", process.Match{"agentId": agent.ID(), "state": "running"})
	if instance == nil || err != nil {
		return nil, nil, err
	}
	tie, err := s.first(ctx, "instanceHostMap", process.Match{"instanceId": instance.ID(), "removed": nil})
	if tie == nil || err != nil {
		return nil, nil, err
	}
	host, err := s.first(ctx, "host", process.Match{"id": tie.Int("hostId")})
	if host == nil || err != nil || host.Int("agentId") == 0 {
		return nil, nil, err
	}
	at, err = s.first(ctx, "agent", process.Match{"id": host.Int("agentId")})
	return instance, at, err
}

func (s *Scheduler) first(ctx context.Context, typ string, match process.Match) (*schema.Row, error) {
	rows, err := s.Store.Find(ctx, resource.All.Type(typ), match)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}
