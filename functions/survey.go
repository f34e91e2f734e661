package functions

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// survey asks each active agent which machines, hosts and pools it has, and makes rows for
// those that are not known yet.
func (s *Scheduler) survey(ctx context.Context, stats bool) error {
	if s.Bus == nil || !s.surveying.TryLock() {
		return nil
	}
	defer s.surveying.Unlock()
	agents, err := s.Store.Find(ctx, resource.All.Type("agent"), process.Match{"state": "active"})
	if err != nil || len(agents) == 0 {
		return err
	}
	a := s.newAuditor()
	defer a.silence()
	a.listen(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	for _, agent := range agents {
		all.Go(func() {
			if err := s.surveyOne(ctx, a, agent, stats); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "what an agent reports cannot be taken in", "agent", agent.ID(), "err", err)
			}
		})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(betweenPings, wholeRound/time.Duration(len(agents)))):
		}
	}
	return nil
}

func (s *Scheduler) surveyOne(ctx context.Context, a *auditor, agent *schema.Row, stats bool) error {
	said := a.ask(ctx, agent.ID(), wire.Ping, s.Settings.Seconds("agent.ping.timeout.seconds"),
		wire.PingData{Options: wire.PingOptions{Resources: true, Stats: stats}, Resources: []wire.Resource{}})
	var data wire.PingData
	if said == nil || json.Unmarshal(said.Reply.Data, &data) != nil {
		return nil
	}
	var failed error                                                      // each entry stands for itself
	for _, typ := range []string{"physicalHost", "host", "storagePool"} { // in the order of their dependence
		for _, r := range data.Resources {
			if r.Type != typ || r.UUID == "" || s.knows(agent, r) {
				continue
			}
			known, refused, err := s.takeIn(ctx, agent, r)
			if err == nil && known {
				err = s.judge(ctx, agent, r, refused)
			}
			if err != nil && !errors.Is(err, store.ErrNotUnique) {
				failed = errors.Join(failed, err)
			} else if known {
				s.know(agent, r)
			}
		}
	}
	return failed
}

// judge notes on an agent what of its reports is refused, and says so once.
func (s *Scheduler) judge(ctx context.Context, agent *schema.Row, r wire.Resource, refused string) error {
	if !resource.Judge(agent, r.Type, r.UUID, refused) {
		return nil
	}
	if refused != "" {
		s.Log.WarnContext(ctx, "what an agent reports is refused", "agent", agent.ID(), "type", r.Type, "uuid", r.UUID, "reason", refused)
	}
	return s.Store.Write(ctx, "judge", func(tx *store.Tx) error {
		row, err := tx.Get(ctx, agent.Type(), agent.ID())
		if err != nil || !resource.Judge(row, r.Type, r.UUID, refused) {
			return err
		}
		return tx.Update(ctx, row)
	})
}

// knows tells whether a report was looked at a while ago, and was nothing new.
func (s *Scheduler) knows(agent *schema.Row, r wire.Resource) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.reported[reportOf(agent, r)]
	return ok && time.Now().Before(until)
}

func (s *Scheduler) know(agent *schema.Row, r wire.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reported == nil || len(s.reported) > 100_000 {
		s.reported = map[uint64]time.Time{}
	}
	s.reported[reportOf(agent, r)] = time.Now().Add(s.Settings.Seconds("agent.resource.monitor.cache.resource.seconds"))
}

func reportOf(agent *schema.Row, r wire.Resource) uint64 {
	h := fnv.New64a()
	for _, text := range []string{agent.Key(), r.Type, r.UUID, r.Kind, r.HostUUID, r.PhysicalHostUUID} {
		h.Write([]byte(text + " "))
	}
	return h.Sum64()
}

// takeIn makes a row for what an agent reports, and has it created, or tells why it is
// refused. It answers whether it is known now: what depends on something unknown waits for
// the next report.
func (s *Scheduler) takeIn(ctx context.Context, agent *schema.Row, r wire.Resource) (known bool, refused string, err error) {
	var launched []*store.Launched
	err = s.Store.Write(ctx, "report", func(tx *store.Tx) (err error) {
		known, refused, launched, err = s.report(ctx, tx, agent, r)
		return err
	})
	if err == nil {
		for _, l := range launched {
			s.Ring(l.Bells)
		}
	}
	return known, refused, err
}

func (s *Scheduler) report(ctx context.Context, tx *store.Tx, agent *schema.Row, r wire.Resource) (known bool, refused string, out []*store.Launched, err error) {
	rows := map[string]*schema.Row{}
	for _, ask := range []struct{ as, typ, uuid string }{
		{"own", r.Type, r.UUID}, {"machine", "physicalHost", r.PhysicalHostUUID}, {"host", "host", r.HostUUID},
	} {
		found, err := tx.Find(ctx, resource.All.Type(ask.typ), process.Match{"uuid": ask.uuid})
		if err != nil {
			return false, "", nil, err
		}
		if len(found) > 0 {
			rows[ask.as] = found[0]
		}
	}
	if r.PhysicalHostUUID != "" && rows["machine"] == nil || r.Type == "storagePool" && rows["host"] == nil {
		return false, "", nil, nil
	}
	if r.Type == "storagePool" && rows["host"].Int("agentId") != agent.ID() {
		return true, "its host belongs to another agent", nil, nil
	}
	values := reportedBy(agent, r, rows["machine"])
	if refused := resource.Misfit(agent, rows["own"], r.Type, values); refused != "" {
		return true, refused, nil, nil
	}
	create := func(row *schema.Row) error {
		def := resource.All.Verb(row.Type(), "create")
		launched, err := tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: s.Server, Priority: s.priority(def)})
		if err != nil {
			return err
		}
		out = append(out, launched)
		return tx.Settle(ctx)
	}
	row := rows["own"]
	switch {
	case row == nil:
		now, err := tx.Now(ctx)
		if err != nil {
			return false, "", nil, err
		}
		row = store.NewRow(resource.All.Type(r.Type), now, values)
		if err := create(row); err != nil {
			return false, "", nil, err
		}
	case r.Type == "host" && rows["machine"] != nil && row.Int("physicalHostId") != rows["machine"].ID():
		row.Set("physicalHostId", rows["machine"].ID())
		return true, "", nil, tx.Update(ctx, row)
	}
	if r.Type != "storagePool" {
		return true, "", out, nil
	}
	ends := process.Match{"storagePoolId": row.ID(), "hostId": rows["host"].ID(), "removed": nil}
	ties, err := tx.Find(ctx, resource.All.Type("storagePoolHostMap"), ends)
	if err != nil || len(ties) > 0 {
		return true, "", out, err
	}
	now, err := tx.Now(ctx)
	if err != nil {
		return false, "", nil, err
	}
	err = create(store.NewRow(resource.All.Type("storagePoolHostMap"), now, map[string]any{"storagePoolId": row.ID(), "hostId": rows["host"].ID()}))
	return true, "", out, err
}

// reportedBy takes of a report only what an agent may say.
func reportedBy(agent *schema.Row, r wire.Resource, machine *schema.Row) map[string]any {
	values := map[string]any{"uuid": r.UUID, "accountId": agent.Get("accountId")}
	if id, ok := agent.Data()["agentResourcesAccountId"].(float64); ok {
		values["accountId"] = int64(id)
	}
	if r.Type != "physicalHost" {
		values["agentId"] = agent.ID()
	}
	for name, v := range map[string]string{"kind": r.Kind, "name": r.Name, "description": r.Description} {
		if v != "" {
			values[name] = v
		}
	}
	if r.Data != nil {
		values["data"] = r.Data
	}
	if machine != nil {
		values["physicalHostId"] = machine.ID()
	}
	return values
}
