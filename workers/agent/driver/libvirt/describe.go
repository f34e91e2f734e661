package libvirt

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// row is a row as it came over the wire, for templates and for what they may be told.
type row map[string]any

// at follows names into the row; nil is nothing there.
func (r row) at(path ...string) any {
	var here any = map[string]any(r)
	for _, name := range path {
		m, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = m[name]
	}
	return here
}

func (r row) below(path ...string) row {
	m, _ := r.at(path...).(map[string]any)
	return m
}

func (r row) text(path ...string) string {
	s, _ := r.at(path...).(string)
	return s
}

func (r row) number(path ...string) int64 {
	n, _ := r.at(path...).(json.Number)
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return i
}

func (r row) list(name string) []row {
	var rows []row
	all, _ := r[name].([]any)
	for _, one := range all {
		if m, ok := one.(map[string]any); ok && m["removed"] == nil {
			rows = append(rows, m)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return int(a.number("deviceNumber") - b.number("deviceNumber")) })
	return rows
}

// param is what the instance, its template, its offering or its host says about its
// machine, in this order.
func param(instance, host row, name string) any {
	for _, r := range []row{instance, instance.below("template"), instance.below("offering"), host} {
		if v := r.at("data", "libvirt", name); v != nil {
			return v
		}
	}
	return nil
}

// describe writes the XML of an instance's machine.
func (d *Driver) describe(s *session, cmd driver.InstanceCommand) (string, error) {
	instance, host, err := rows(cmd.Event)
	if err != nil {
		return "", err
	}
	volumes, err := d.disks(cmd.Map.Instance.Volumes)
	if err != nil {
		return "", err
	}
	interfaces, err := interfaces(instance, host)
	if err != nil {
		return "", err
	}
	kind, _ := param(instance, host, "type").(string)
	if kind == "" || d.config.Type != "" {
		if kind, err = d.machineType(s); err != nil {
			return "", err
		}
	}
	drive, err := d.configDrive(s.ctx, instance, host)
	if err != nil {
		return "", err
	}
	token := randomToken()
	name := instance.text("uuid")
	return d.render(param(instance, host, "template"), map[string]any{
		"instance": instance, "host": host, "volumes": volumes, "interfaces": interfaces,
		"type": kind, "uuid": properUUID(name), "agent": d.config.AgentUUID,
		"memory": memory(instance), "vcpu": max(instance.number("data", "fields", "vcpu"), 1),
		"randomToken": token, "vncPassword": token[:8], // more than eight would not be looked at
		"vncListen": d.config.VNC, "console": d.console(name), "configDrive": drive,
	})
}

func rows(e *wire.Event) (instance, host row, err error) {
	var data struct {
		Map struct{ Instance, Host row } `json:"instanceHostMap"`
	}
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber() // a template writes numbers as they came
	err = decoder.Decode(&data)
	return data.Map.Instance, data.Map.Host, err
}

// memory in KiB.
func memory(instance row) int64 {
	if mb := instance.number("memoryMb"); mb > 0 {
		return mb << 10
	}
	return 64 << 10
}

func properUUID(text string) string {
	if uuid.Validate(text) != nil {
		return ""
	}
	return text
}

func randomToken() string {
	token := make([]byte, 32)
	_, _ = rand.Read(token) // never fails
	return hex.EncodeToString(token)
}

// disks lists the volumes for the template. Each must be there already.
func (d *Driver) disks(volumes []wire.Volume) ([]map[string]any, error) {
	volumes = slices.DeleteFunc(slices.Clone(volumes), func(v wire.Volume) bool { return v.Removed != nil })
	slices.SortStableFunc(volumes, func(a, b wire.Volume) int { return a.DeviceNumber - b.DeviceNumber })
	list := []map[string]any{}
	for i := range volumes {
		found, err := d.attached(&volumes[i])
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", volumes[i].UUID, err)
		}
		list = append(list, map[string]any{"file": found.path, "format": found.format, "device": deviceName(volumes[i].DeviceNumber),
			"uuid": volumes[i].UUID, "deviceNumber": volumes[i].DeviceNumber})
	}
	return list, nil
}

func (d *Driver) attached(volume *wire.Volume) (*disk, error) {
	err := errors.New("it is in no storage pool")
	for _, place := range volume.StoragePools {
		var pool string
		if pool, err = d.pool(place); err == nil {
			return storedVolume(pool, volume.UUID)
		}
	}
	return nil, err
}

// deviceName is vda, vdb … vdz, vdaa …
func deviceName(number int) string {
	var letters []byte
	for n := number + 1; n > 0; n = (n - 1) / 26 {
		letters = append(letters, byte('a'+(n-1)%26))
	}
	slices.Reverse(letters)
	return "vd" + string(letters)
}

// interfaces writes an element for each nic; without nics there is one.
func interfaces(instance, host row) ([]string, error) {
	nics := instance.list("nics")
	if len(nics) == 0 {
		nics = []row{{}}
	}
	var list []string
	for _, nic := range nics {
		about := nic.below("network", "data", "libvirt", "network")
		if about == nil {
			about = nic.below("data", "libvirt", "network")
		}
		if about == nil {
			about, _ = param(instance, host, "defaultNetwork").(map[string]any)
		}
		if about == nil {
			about = row{"type": "network", "source": []any{map[string]any{"network": "default"}}}
		}
		if mac := nic.text("macAddress"); mac != "" && about["mac"] == nil {
			copied := row{"mac": []any{map[string]any{"address": mac}}}
			for k, v := range about {
				copied[k] = v
			}
			about = copied
		}
		text, err := element("interface", about)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

// element writes an object as XML: scalars are attributes, lists hold the elements
// of that name.
func element(name string, about map[string]any) (string, error) {
	var attributes, inner strings.Builder
	for _, key := range sortedKeys(about) {
		if !isName(key) {
			return "", fmt.Errorf("%q cannot be a name in XML", key)
		}
		switch v := about[key].(type) {
		case nil:
		case []any:
			for _, one := range v {
				m, ok := one.(map[string]any)
				if !ok {
					fmt.Fprintf(&inner, "<%s>%s</%s>", key, escape(one), key)
					continue
				}
				text, err := element(key, m)
				if err != nil {
					return "", err
				}
				inner.WriteString(text)
			}
		case map[string]any:
			text, err := element(key, v)
			if err != nil {
				return "", err
			}
			inner.WriteString(text)
		default:
			attributes.WriteString(" " + key + "=" + strconv.Quote(escape(v)))
		}
	}
	return "<" + name + attributes.String() + ">" + inner.String() + "</" + name + ">", nil
}
