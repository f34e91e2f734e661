package rest

import (
	"cmp"
	"slices"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

// auditAction compares a host with what is recorded of it. It reads and changes nothing,
// is for operators, and in no published schema.
const auditAction = "audit"

// audit answers POST /v1/hosts/ID?action=audit with what the host runs that is not placed
// there, and what should run there and does not, each with the instance if there is one.
func (r *request) audit(t *auth.Type, id int64) error {
	host, err := r.visible(t, id)
	if err != nil {
		return err
	}
	if r.api.Running == nil {
		return fault.Unavailable("no host can be asked what it runs")
	}
	placed, err := r.placedOn(host) // before the host is asked: what begins meanwhile is not missing
	if err != nil {
		return err
	}
	reported, err := r.api.Running(r.ctx, host)
	if err != nil {
		return err
	}
	now, err := r.placedOn(host)
	if err != nil {
		return err
	}
	runs := map[string]bool{}
	var unknown []wire.Resource
	for _, one := range reported {
		runs[one.UUID] = true
		if placed[one.UUID] == nil && now[one.UUID] == nil && (one.HostUUID == "" || one.HostUUID == host.UUID()) {
			unknown = append(unknown, one)
		}
	}
	var missing []*schema.Row
	for uuid, row := range placed {
		if again := now[uuid]; !runs[uuid] && row.State() == "running" && again != nil && again.State() == "running" && again.Int("stateSince") == row.Int("stateSince") {
			missing = append(missing, row)
		}
	}
	slices.SortFunc(missing, func(a, b *schema.Row) int { return cmp.Compare(a.ID(), b.ID()) })
	o := open(nil)
	o.raw("id", "null")
	o.text("type", auditAction)
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.text("resourceType", "host")
	o.key("resourceId")
	o.b = r.appendID(o.b, host.Type().Prefix(), host.ID())
	o.key("unknown")
	o.b = append(o.b, '[')
	for i, one := range unknown {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		known, err := r.api.Store.Find(r.ctx, resource.All.Type("instance"), process.Match{"uuid": one.UUID})
		if err != nil {
			return err
		}
		o.b = r.appendAudited(o.b, one, known)
	}
	o.b = append(o.b, ']')
	o.key("missing")
	o.b = append(o.b, '[')
	o.b = joined(o.b, missing, func(b []byte, row *schema.Row) []byte {
		return r.appendAudited(b, wire.Resource{UUID: row.UUID(), Name: row.Str("name")}, []*schema.Row{row})
	})
	o.b = append(o.b, ']')
	return r.send(200, o.close())
}

func (r *request) appendAudited(b []byte, one wire.Resource, known []*schema.Row) []byte {
	o := open(b)
	o.text("uuid", one.UUID)
	o.value("name", wire.Text(one.Name))
	o.value("image", one.Data["image"])
	o.key("instanceId")
	if len(known) == 0 {
		o.b = append(o.b, "null"...)
	} else {
		o.b = r.appendID(o.b, known[0].Type().Prefix(), known[0].ID())
	}
	return o.close()
}

// placedOn returns the instances that have their place on a host, by uuid.
func (r *request) placedOn(host *schema.Row) (map[string]*schema.Row, error) {
	rows, err := r.api.Store.On(r.ctx, host.ID())
	if err != nil {
		return nil, err
	}
	out := map[string]*schema.Row{}
	for _, row := range rows {
		out[row.UUID()] = row
	}
	return out, nil
}
