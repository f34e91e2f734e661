package handler

import (
	"context"
	"errors"
	"fmt"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

// Discover makes rows for the machines, hosts and pools that an agent reports and
// that are not known yet, and brings them to active. Each entry stands for itself:
// a bad one hides no other, and is noted on the agent. Whatever depends on an entry
// that is not there waits for the next report.
func Discover(ctx context.Context, run process.Run, agent *schema.Row, reported []wire.Resource) error {
	news := false
	for _, typ := range []string{"physicalHost", "host", "storagePool"} { // in the order of their dependence
		for _, r := range reported {
			if r.Type != typ || r.UUID == "" {
				continue
			}
			refused, err := discover(ctx, run, agent, r)
			switch {
			case errors.Is(err, errMissing):
			case err != nil:
				return fmt.Errorf("cannot take in %s %s: %w", r.Type, r.UUID, err)
			case resource.Judge(agent, r.Type, r.UUID, refused):
				news = true
			}
		}
	}
	if news {
		return run.Save(ctx, agent)
	}
	return nil
}

// errMissing says that a report names something that is not known.
var errMissing = errors.New("it depends on something unknown")

// discover takes in one entry, or tells why it is refused.
func discover(ctx context.Context, run process.Run, agent *schema.Row, r wire.Resource) (refused string, err error) {
	known, err := run.Find(ctx, r.Type, process.Match{"uuid": r.UUID})
	if err != nil {
		return "", err
	}
	physical, err := idOf(ctx, run, "physicalHost", r.PhysicalHostUUID)
	if err != nil {
		return "", err
	}
	host, err := idOf(ctx, run, "host", r.HostUUID)
	if err == nil && host != nil {
		err = mayTie(ctx, run, agent, *host)
	}
	if err != nil {
		return "", err
	}
	var row *schema.Row
	if len(known) > 0 {
		row = known[0]
	}
	values := reportedValues(agent, r, physical)
	if refused := resource.Misfit(agent, row, r.Type, values); refused != "" {
		return refused, nil
	}
	if row != nil {
		return "", rediscover(ctx, run, row, r, physical, host)
	}
	if r.Type == "storagePool" && host == nil {
		return "", errMissing
	}
	if row, err = run.Create(ctx, r.Type, values); err != nil {
		return "", err
	}
	if err := run.Execute(ctx, lower(row)+".create", row, nil); err != nil {
		return "", err
	}
	return "", tie(ctx, run, row, host)
}

// reportedValues takes of a report only what an agent may say.
func reportedValues(agent *schema.Row, r wire.Resource, physical *int64) map[string]any {
	owner := agent.Get("accountId")
	if id := integer(agent.Data()["agentResourcesAccountId"]); id != 0 {
		owner = id
	}
	values := map[string]any{"uuid": r.UUID, "accountId": owner, "agentId": agent.ID()}
	for name, v := range map[string]string{"kind": r.Kind, "name": r.Name, "description": r.Description} {
		if v != "" {
			values[name] = v
		}
	}
	if r.Data != nil {
		values["data"] = r.Data
	}
	if r.Type == "physicalHost" {
		delete(values, "agentId")
	}
	if physical != nil {
		values["physicalHostId"] = *physical
	}
	return values
}

// rediscover notices what has changed about something known: its machine, and a
// host that a pool has gained.
func rediscover(ctx context.Context, run process.Run, row *schema.Row, r wire.Resource, physical, host *int64) error {
	if r.Type == "host" && physical != nil && row.Int("physicalHostId") != *physical {
		row.Set("physicalHostId", *physical)
		if err := run.Save(ctx, row); err != nil {
			return err
		}
	}
	if unfinished(row) {
		if err := run.Execute(ctx, lower(row)+".create", row, nil); err != nil {
			return err
		}
	}
	return tie(ctx, run, row, host)
}

// mayTie refuses a host of another agent: nobody says what that can use.
func mayTie(ctx context.Context, run process.Run, agent *schema.Row, id int64) error {
	host, err := run.Get(ctx, "host", id)
	if err == nil && host.Int("agentId") != agent.ID() {
		err = errMissing
	}
	return err
}

// tie says that a host can use a pool.
func tie(ctx context.Context, run process.Run, row *schema.Row, host *int64) error {
	if row.Type().Name != "storagePool" || host == nil {
		return nil
	}
	m, err := one(ctx, run, "storagePoolHostMap", process.Match{"storagePoolId": row.ID(), "hostId": *host}, nil)
	if err != nil || m.State() == "active" {
		return err
	}
	return run.Execute(ctx, "storagepoolhostmap.create", m, nil)
}

func idOf(ctx context.Context, run process.Run, typ, uuid string) (*int64, error) {
	if uuid == "" {
		return nil, nil
	}
	rows, err := run.Find(ctx, typ, process.Match{"uuid": uuid})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errMissing
	}
	id := rows[0].ID()
	return &id, nil
}
