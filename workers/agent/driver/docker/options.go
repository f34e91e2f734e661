package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
)

// options says how to make the container of an instance. All of it is given at
// creation; the label with its digest tells later whether it changed.
func (d *Driver) options(instance *wire.Instance) (client.ContainerCreateOptions, error) {
	var none client.ContainerCreateOptions
	image, err := imageOf(instance)
	if err != nil {
		return none, err
	}
	fields := &instance.Data.Fields
	command, err := command(fields)
	if err != nil {
		return none, err
	}
	ports := wantedPorts(instance)
	anonymous, binds := volumes(fields.DockerVolumes)
	config := &container.Config{
		Image: image, Cmd: command, Env: environment(instance), WorkingDir: fields.Directory, User: fields.User,
		Hostname: first(instance.Hostname, fields.Hostname), ExposedPorts: ports.exposed, Volumes: anonymous,
	}
	host := &container.HostConfig{
		Binds: binds, Privileged: fields.Privileged, Links: links(instance),
		PortBindings: ports.bindings, PublishAllPorts: ports.publishAll,
	}
	digest, err := digest(config, host)
	if err != nil {
		return none, err
	}
	config.Labels = map[string]string{
		labelInstance: instance.UUID, labelAgent: d.config.AgentUUID, labelOptions: digest,
	}
	return client.ContainerCreateOptions{Name: instance.UUID, Config: config, HostConfig: host}, nil
}

func imageOf(instance *wire.Instance) (string, error) {
	if instance.Image.DockerName() != "" {
		return imageName(instance.Image)
	}
	return imageName(&wire.Image{UUID: instance.Data.Fields.ImageUUID})
}

// command leaves a blank one to the image. Without arguments it is a line to be
// split as a shell would; with them it is the program's name.
func command(fields *wire.InstanceFields) ([]string, error) {
	switch {
	case strings.TrimSpace(fields.Command) == "":
		return nil, nil
	case len(fields.CommandArgs) > 0:
		return append([]string{fields.Command}, fields.CommandArgs...), nil
	default:
		return words(fields.Command)
	}
}

func environment(instance *wire.Instance) []string {
	env := map[string]string{}
	if serves(instance, "linkService") {
		linkEnvironment(env, instance)
	}
	for name, value := range instance.Data.Fields.Environment {
		env[name] = text(value)
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, name+"="+env[name])
	}
	return lines
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		line, _ := json.Marshal(v) // it came from JSON
		return string(line)
	}
}

// volumes tells "/x", which is a new anonymous volume, from "/host:/container[:mode]".
// Only the mode ro means something.
func volumes(wanted []string) (anonymous map[string]struct{}, binds []string) {
	for _, v := range wanted {
		host, rest, isBind := strings.Cut(v, ":")
		if !isBind {
			if anonymous == nil {
				anonymous = map[string]struct{}{}
			}
			anonymous[v] = struct{}{}
			continue
		}
		target, mode, _ := strings.Cut(rest, ":")
		if mode == "ro" {
			target += ":ro"
		}
		binds = append(binds, host+":"+target)
	}
	return anonymous, binds
}

// serves tells whether the network of the instance's first nic has a service.
func serves(instance *wire.Instance, kind string) bool {
	for _, nic := range instance.Nics {
		if nic.DeviceNumber != 0 || nic.Removed != nil {
			continue
		}
		for _, service := range nic.Network.Services {
			if service.Kind == kind && service.Removed == nil {
				return true
			}
		}
	}
	return false
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func digest(parts ...any) (string, error) {
	line, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("cannot compare options: %w", err)
	}
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:16]), nil
}
