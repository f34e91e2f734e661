package functions

import (
	"context"
	"errors"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// adopt imports what others have begun on a host: it becomes an instance whose uuid is what
// the host knows it by, and whose first start finds it running. From then on it is an
// instance as any other, but stays on its host.
func (s *Scheduler) adopt(ctx context.Context, agent int64, r wire.Resource) error {
	var launched *store.Launched
	err := s.Store.Write(ctx, "import", func(tx *store.Tx) error {
		launched = nil
		hosts, err := tx.Find(ctx, resource.All.Type("host"), process.Match{"uuid": r.HostUUID, "agentId": agent, "state": "active"})
		if err != nil || len(hosts) == 0 {
			return err
		}
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		host := hosts[0]
		values, err := adopted(r, host)
		if err != nil {
			return err
		}
		row := store.NewRow(resource.All.Type("instance"), now, values)
		def := resource.All.Verb(row.Type(), "create")
		launched, err = tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: s.Server, Priority: s.priority(def)})
		return err
	})
	if errors.Is(err, store.ErrNotUnique) {
		return nil // another server did
	}
	if launched == nil || err != nil {
		return err
	}
	s.Ring(launched.Bells)
	s.Log.InfoContext(ctx, "what others have begun is imported", "agent", agent, "uuid", r.UUID)
	return nil
}

// adopted is what is known of a container, or of a virtual machine, that others have begun.
func adopted(r wire.Resource, host *schema.Row) (map[string]any, error) {
	fields := map[string]any{"requestedHostId": float64(host.ID()), "startOnCreate": true}
	values := map[string]any{"uuid": r.UUID, "kind": "container", "name": r.Name, "accountId": host.Get("accountId"),
		"data": map[string]any{resource.Imported: true, "fields": fields}}
	if r.Data["instanceKind"] == "virtualMachine" {
		memory, _ := r.Data["memoryMb"].(float64)
		values["kind"], values["memoryMb"], fields["vcpu"] = "virtualMachine", int64(memory), r.Data["vcpu"]
		return values, nil
	}
	image, _ := r.Data["image"].(string)
	if image == "" || strings.HasPrefix(image, "sha256:") {
		return nil, errors.New("its image has no name")
	}
	fields["imageUuid"] = host.Kind() + ":" + image
	return values, nil
}
