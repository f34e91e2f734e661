package engine

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// furnish adds to what an agent is told of an instance what that needs inside: the login
// of its own agent, and what it may know of itself.
func (f *frame) furnish(ctx context.Context, row *schema.Row, m map[string]any) error {
	attach, _ := row.Data()["metadataAttach"].(bool)
	if row.Int("agentId") == 0 && !attach {
		return nil
	}
	data, _ := m["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	m["data"] = data
	if row.Int("agentId") != 0 {
		login, err := f.login(ctx, row.Int("agentId"))
		if err != nil {
			return err
		}
		data["agentInstanceAuth"] = login
		fields := copied(data, "fields")
		copied(fields, "environment")["CATTLE_AGENT_INSTANCE_AUTH"] = login
	}
	if !attach {
		return nil
	}
	about, err := f.metadata(ctx, row)
	if err == nil {
		data["metadata"] = map[string]any{"meta-data": about, "user-data": row.Get("userdata")}
	}
	return err
}

// copied puts a copy of a map inside another in its place, and returns it.
func copied(in map[string]any, name string) map[string]any {
	old, _ := in[name].(map[string]any)
	m := maps.Clone(old)
	if m == nil {
		m = map[string]any{}
	}
	in[name] = m
	return m
}

// login is what an agent shows to the server.
func (f *frame) login(ctx context.Context, id int64) (string, error) {
	agent, err := f.Get(ctx, "agent", id)
	if err != nil || agent.Int("accountId") == 0 {
		return "", err
	}
	keys, err := f.Find(ctx, "credential", process.Match{"accountId": agent.Int("accountId"), "kind": "agentApiKey"})
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if k.State() == "active" {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(k.Str("publicValue")+":"+k.Str("secretValue"))), nil
		}
	}
	return "", nil
}

// metadata is what an instance may know of itself, under the names that clouds use.
func (f *frame) metadata(ctx context.Context, row *schema.Row) (map[string]any, error) {
	host := row.Str("hostname")
	for _, other := range []string{row.Str("name"), row.UUID()} {
		if host == "" {
			host = other
		}
	}
	cpus, _ := row.Field("vcpu").(float64)
	about := map[string]any{
		"ami-id": nil, "ami-launch-index": "0", "ami-manifest-path": "(unknown)", "block-device-mapping": map[string]any{"ami": "sda1", "root": "/dev/sda1"},
		"hostname": host, "local-hostname": host, "public-hostname": host, "instance-action": "none", "instance-id": "i-" + row.Type().Obfuscate(row.Key()),
		"instance-type": fmt.Sprintf("%dmb-%dcpu", row.Int("memoryMb"), max(int(cpus), 1)), "kernel-id": nil, "profile": "default", "reservation-id": nil,
		"placement": map[string]any{"availability-zone": "zone1"}, "services": map[string]any{"domain": row.Get("domain")},
		"local-ipv4": row.Field("primaryIpAddress"), "public-ipv4": nil,
	}
	if id := row.Int("imageId"); id != 0 {
		image, err := f.Get(ctx, "image", id)
		if err != nil {
			return nil, err
		}
		about["ami-id"] = image.UUID()
	}
	if err := f.metadataOfNics(ctx, row, about); err != nil {
		return nil, err
	}
	keys, err := f.publicKeys(ctx, row)
	about["public-keys"] = keys
	return about, err
}

func (f *frame) metadataOfNics(ctx context.Context, row *schema.Row, about map[string]any) error {
	nics, err := f.Find(ctx, "nic", process.Match{"instanceId": row.ID()})
	if err != nil {
		return err
	}
	nics = slices.DeleteFunc(slices.Clone(nics), (*schema.Row).Removed)
	slices.SortFunc(nics, func(a, b *schema.Row) int { return int(a.Int("deviceNumber") - b.Int("deviceNumber")) })
	macs := map[string]any{}
	for i, nic := range nics {
		of := map[string]any{"device-number": nic.Int("deviceNumber"), "mac": nic.Get("macAddress")}
		ties, err := f.Find(ctx, "ipAddressNicMap", process.Match{"nicId": nic.ID()})
		if err != nil {
			return err
		}
		for _, tie := range ties {
			address, err := f.Get(ctx, "ipAddress", tie.Int("ipAddressId"))
			if err != nil {
				return err
			}
			if !tie.Removed() && address.Str("role") == "primary" {
				of["local-ipv4s"] = address.Get("address")
			}
		}
		if i == 0 {
			about["mac"] = nic.Get("macAddress")
			if of["local-ipv4s"] != nil {
				about["local-ipv4"] = of["local-ipv4s"]
			}
		}
		if mac := nic.Str("macAddress"); mac != "" {
			macs[mac] = of
		}
	}
	about["network"] = map[string]any{"interfaces": map[string]any{"macs": macs}}
	return nil
}

// publicKeys are those of the instance's credentials, under NUMBER=NAME.
func (f *frame) publicKeys(ctx context.Context, row *schema.Row) (map[string]any, error) {
	ties, err := f.Find(ctx, "credentialInstanceMap", process.Match{"instanceId": row.ID()})
	if err != nil {
		return nil, err
	}
	keys := map[string]any{}
	for _, tie := range ties {
		key, err := f.Get(ctx, "credential", tie.Int("credentialId"))
		if err != nil {
			return nil, err
		}
		if tie.Removed() || key.Removed() || key.Kind() != "sshKey" {
			continue
		}
		name := key.Str("name")
		if name == "" {
			name = fmt.Sprint("key", key.ID())
		}
		keys[fmt.Sprintf("%d=%s", len(keys), name)] = key.Str("publicValue")
	}
	return keys, nil
}
