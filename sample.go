package main

import (
	"context"
	"errors"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// sample is one of the networks that a new installation has, or what belongs to one. Its
// uuid is its name for good; on and by name others by theirs.
type sample struct {
	typ, uuid, on, by string
	more              map[string]any
}

// samples are made once, in this order, and noted under the name of their set: what
// somebody removes stays away.
var samples = []struct {
	noted string
	rows  []sample
}{
	{"sampleDataVersion1", []sample{
		{"network", "unmanaged", "", "", map[string]any{"name": "Unmanaged Network", "isPublic": true}},
		{"hostOnlyNetwork", "managed-docker0", "", "", map[string]any{"name": "Managed Network on docker0", "isPublic": true,
			"hostVnetUri": "bridge://docker0", "dynamicCreateVnet": true,
			"data": map[string]any{"libvirt": map[string]any{"network": map[string]any{"type": "bridge", "source": []any{map[string]any{"bridge": "docker0"}}}}}}},
		{"subnet", "docker0-subnet", "managed-docker0", "", map[string]any{"isPublic": true, "networkAddress": "10.42.0.0", "cidrSize": int64(24),
			"gateway": "10.42.0.1", "startAddress": "10.42.0.2", "endAddress": "10.42.0.250"}},
		{"agentInstanceProvider", "docker0-agent-instance-provider", "managed-docker0", "", nil},
		{"dnsService", "docker0-dns-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"dhcpService", "docker0-dhcp-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"linkService", "docker0-link-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"ipsecTunnelService", "docker0-ipsec-tunnel-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"portService", "docker0-port-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"hostNatGatewayService", "docker0-host-nat-gateway-service", "managed-docker0", "docker0-agent-instance-provider", nil},
		{"metadataService", "docker0-metadata-service", "managed-docker0", "docker0-agent-instance-provider", nil},
	}},
	{"sampleDataVersion2", []sample{
		{"metadataService", "unmanaged-docker0-metadata-service", "unmanaged", "", map[string]any{"configDrive": true}},
	}},
}

// makeSamples gives an installation its first networks, unless it had them.
func (s *server) makeSamples(ctx context.Context) {
	if s.store == nil || !s.settings.Bool("sample.setup") {
		return
	}
	for _, set := range samples {
		var bells []*store.Launched
		err := patiently(ctx, func() error {
			return s.store.Write(ctx, "sample data", func(tx *store.Tx) error {
				bells = nil
				return s.makeSet(ctx, tx, set.noted, set.rows, &bells)
			})
		})
		if err != nil && !errors.Is(err, store.ErrNotUnique) && ctx.Err() == nil { // otherwise another server made them
			s.log.Warn("the first networks were not made", "err", err)
		}
		if err == nil {
			for _, l := range bells {
				s.queue.Ring(l.Bells)
			}
		}
	}
}

func (s *server) makeSet(ctx context.Context, tx *store.Tx, noted string, rows []sample, launched *[]*store.Launched) error {
	data := resource.All.Type("data")
	there, err := tx.Find(ctx, data, process.Match{"name": noted})
	if err != nil || len(there) > 0 {
		return err
	}
	now, err := tx.Now(ctx)
	if err != nil {
		return err
	}
	if err := tx.Insert(ctx, store.NewRow(data, now, map[string]any{"name": noted, "value": "true", "visible": false})); err != nil {
		return err
	}
	system, err := s.named(ctx, tx, "account", "system")
	if err != nil || system == nil {
		return err
	}
	for _, r := range rows {
		typ := resource.All.Type(r.typ)
		if known, err := s.named(ctx, tx, typ.Base().Name, r.uuid); err != nil || known != nil {
			if err != nil {
				return err
			}
			continue
		}
		values := map[string]any{"uuid": r.uuid, "kind": r.typ, "accountId": system.ID()}
		for name, v := range r.more {
			values[name] = v
		}
		for column, other := range map[string][2]string{"networkId": {"network", r.on}, "networkServiceProviderId": {"networkServiceProvider", r.by}} {
			row, err := s.named(ctx, tx, other[0], other[1])
			if err != nil {
				return err
			}
			if row != nil {
				values[column] = row.ID()
			}
		}
		def := resource.All.Verb(typ, "create")
		l, err := tx.Launch(ctx, store.Launch{Process: def, Row: store.NewRow(typ, now, values), Server: s.id,
			Priority: int(s.settings.Int("process." + def.Name + ".priority"))})
		if err == nil {
			err = tx.Settle(ctx)
		}
		if err != nil {
			return err
		}
		*launched = append(*launched, l)
	}
	return nil
}

// named returns the row of a uuid, nil for none.
func (s *server) named(ctx context.Context, tx *store.Tx, typ, uuid string) (*schema.Row, error) {
	if uuid == "" {
		return nil, nil
	}
	rows, err := tx.Find(ctx, resource.All.Type(typ), process.Match{"uuid": uuid})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}
