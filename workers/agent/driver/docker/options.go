package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
)

// names are what may name a container, a link or a volume. What is no such name would say
// something else where it becomes a part of an address or of an option.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// options says how to make the container of an instance. All of it is given at
// creation; the label with its digest tells later whether it changed.
//
// Memory and processors are not limited: memoryMb is what a virtual machine gets, and has
// a default. What gives a container power over its host, privileged and dockerVolumes, the
// API takes from administrators only; here whatever the server says is done, since whoever
// speaks to an engine is root on its host anyway. There is no other way to devices,
// capabilities or name spaces of the host.
func (d *Driver) options(instance *wire.Instance, host wire.Place) (client.ContainerCreateOptions, error) {
	var none client.ContainerCreateOptions
	image, err := imageOf(instance)
	if err == nil {
		err = checkTexts(instance)
	}
	if err != nil {
		return none, err
	}
	fields := &instance.Data.Fields
	command, err := command(fields)
	if err != nil {
		return none, err
	}
	ports := wantedPorts(instance, host)
	anonymous, binds, err := volumes(fields.DockerVolumes)
	if err != nil {
		return none, err
	}
	config := &container.Config{
		Image: image, Cmd: command, Env: environment(instance, d.config.Server), WorkingDir: fields.Directory, User: fields.User,
		Hostname: first(instance.Hostname, fields.Hostname), ExposedPorts: ports.exposed, Volumes: anonymous,
	}
	around := &container.HostConfig{
		Binds: binds, Privileged: fields.Privileged, Links: links(instance),
		PortBindings: ports.bindings, PublishAllPorts: ports.publishAll,
	}
	digest, err := digest(config, around)
	if err != nil {
		return none, err
	}
	config.Labels = map[string]string{
		labelInstance: instance.UUID, labelAgent: d.config.AgentUUID, labelOptions: digest,
	}
	return client.ContainerCreateOptions{Name: instance.UUID, Config: config, HostConfig: around}, nil
}

// checkTexts refuses names that would say more than a name.
func checkTexts(instance *wire.Instance) error {
	for _, link := range instance.Links {
		if link.Removed == nil && !names.MatchString(link.Name) {
			return fmt.Errorf("%q cannot name a link", link.Name)
		}
	}
	for name, value := range instance.Data.Fields.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("%q cannot name a variable of the environment", name)
		}
		if strings.ContainsRune(text(value), 0) {
			return fmt.Errorf("variable %s cannot hold a zero byte", name)
		}
	}
	return nil
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

// environment is what the user asks for, and what links and an agent have to know. An agent
// in a container is told where the server is, unless that leads to the host itself, as
// through a tunnel, where the container would find nobody.
func environment(instance *wire.Instance, server string) []string {
	env := map[string]string{}
	if at, err := url.Parse(server); err == nil && instance.AgentID != 0 && at.Hostname() != "" && at.Hostname() != "localhost" && !net.ParseIP(at.Hostname()).IsLoopback() {
		env["CATTLE_CONFIG_URL"] = server
	}
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

// modes are the words after a volume's path, besides rw, which is what there is without any.
var modes = []string{"ro", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate"}

// volumes tells "/x", which is a new anonymous volume, from "/host:/container[:mode]", where
// a volume of the engine may stand in place of the directory of the host. A mode is some
// words with commas; one that nobody knows is refused, since it might mean to forbid.
func volumes(wanted []string) (anonymous map[string]struct{}, binds []string, err error) {
	for _, v := range wanted {
		parts := strings.Split(v, ":")
		target := parts[min(1, len(parts)-1)]
		source := parts[0]
		if len(parts) > 3 || !strings.HasPrefix(target, "/") || path.Clean(target) == "/" || strings.ContainsRune(v, 0) ||
			!strings.HasPrefix(source, "/") && !names.MatchString(source) {
			return nil, nil, fmt.Errorf("%q is no volume: a path, or a path of the host and one in the container, as in /host:/container:ro", v)
		}
		if len(parts) == 1 {
			if anonymous == nil {
				anonymous = map[string]struct{}{}
			}
			anonymous[v] = struct{}{}
			continue
		}
		bind := source + ":" + target
		if len(parts) == 3 {
			words := slices.DeleteFunc(strings.Split(parts[2], ","), func(word string) bool { return word == "rw" || word == "" })
			if i := slices.IndexFunc(words, func(word string) bool { return !slices.Contains(modes, word) }); i >= 0 {
				return nil, nil, fmt.Errorf("volume %q: there is no mode %q", v, words[i])
			}
			if len(words) > 0 {
				bind += ":" + strings.Join(words, ",")
			}
		}
		binds = append(binds, bind)
	}
	return anonymous, binds, nil
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
