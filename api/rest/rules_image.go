package rest

import (
	"errors"
	"regexp"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// chooseImage finds the image that a new instance names by id or by uuid, and
// registers one that is not known yet.
func chooseImage(r *request, c *creation) error {
	if id, ok := c.Values["imageId"].(int64); ok {
		image, err := r.api.Store.Get(r.ctx, resource.All.Type("image"), id)
		if err != nil {
			return err
		}
		return fits(image, c.Type)
	}
	uuid, _ := c.Values["imageUuid"].(string)
	if uuid == "" {
		if r.api.flag("api.instance.require.image", true) {
			return fault.Invalid("MissingRequired", "imageUuid", "an instance needs an image")
		}
		return nil
	}
	found, err := r.api.Store.Find(r.ctx, resource.All.Type("image"), map[string]any{"uuid": uuid})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return registerImage(c, uuid)
	}
	image := found[0]
	if !r.caller.Scope.Visible(image) {
		return noImage(uuid)
	}
	c.Values["imageId"] = image.ID()
	return fits(image, c.Type)
}

func noImage(uuid string) error {
	return fault.Invalid("InvalidReference", "imageUuid", "no pool knows an image %s", uuid)
}

func fits(image *schema.Row, t *auth.Type) error {
	if kind := image.Str("instanceKind"); kind != "" && kind != t.Name {
		return fault.Refused("InvalidImageInstanceKind", "")
	}
	return nil
}

// registerImage makes the image that an instance names by a text which a pool of
// images understands. It is there, with its way to the pool, when the instance is.
func registerImage(c *creation, uuid string) error {
	kind, name, _ := strings.Cut(uuid, ":")
	values := map[string]any{"uuid": uuid, "isPublic": true}
	switch {
	case name == "":
		return noImage(uuid)
	case kind == "sim":
		values["name"], values["format"] = name, "sim"
	case kind == "docker":
		image, ok := parseDocker(name)
		if !ok {
			return noImage(uuid)
		}
		values["name"], values["format"], values["instanceKind"] = image["fullName"], "docker", "container"
		values["data"] = map[string]any{"dockerImage": image}
		if c.Type.Name != "container" && c.Type.Name != "instance" {
			return fault.Refused("InvalidImageInstanceKind", "")
		}
	default:
		return noImage(uuid)
	}
	c.Before = append(c.Before, func(w *write) error {
		image, err := w.makeImage(kind, values)
		if err == nil {
			c.Values["imageId"] = image.ID()
		}
		return err
	})
	return nil
}

// makeImage inserts an image owned by the system, launches its create process, and
// maps it to the pool outside from which images of its kind come, if there is one.
func (w *write) makeImage(kind string, values map[string]any) (*schema.Row, error) {
	system, err := w.Find(w.ctx, resource.All.Type("account"), map[string]any{"uuid": "system"})
	if err != nil {
		return nil, err
	}
	if len(system) > 0 {
		values["accountId"] = system[0].ID()
	}
	image := newRow(resource.All.Type("image"), w.now, values)
	if err = w.launch(image, "create", values); err == nil {
		err = w.Settle(w.ctx) // its id is needed, and whether somebody else has made it
	}
	if errors.Is(err, store.ErrNotUnique) {
		return nil, errTaken
	}
	if err != nil {
		return nil, err
	}
	pools, err := w.Find(w.ctx, resource.All.Type("storagePool"), map[string]any{"kind": kind, "external": true, "state": "active"})
	if err != nil || len(pools) == 0 {
		return image, err
	}
	values = map[string]any{"imageId": image.ID(), "storagePoolId": pools[0].ID()}
	return image, w.launch(newRow(resource.All.Type("imageStoragePoolMap"), w.now, values), "create", values)
}

var (
	dockerHost   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?$`) // a registry, or a namespace
	dockerPart   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	dockerDigest = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,}$`)
)

// parseDocker reads [REGISTRY/][NAMESPACE/]NAME[:TAG][@DIGEST] as Docker does: the
// tag follows the last slash. What the image's id is only an agent can tell.
func parseDocker(text string) (map[string]any, bool) {
	named, digest, pinned := strings.Cut(text, "@")
	qualified, tag := named, "latest"
	if i := strings.LastIndexByte(named, ':'); i > strings.LastIndexByte(named, '/') {
		qualified, tag = named[:i], named[i+1:]
	}
	var namespace any
	repository := qualified
	if space, rest, ok := strings.Cut(qualified, "/"); ok {
		namespace, repository = space, rest
		if !dockerHost.MatchString(space) {
			return nil, false
		}
	}
	if !dockerPart.MatchString(repository) || !dockerPart.MatchString(tag) || pinned && !dockerDigest.MatchString(digest) {
		return nil, false
	}
	full := qualified + ":" + tag
	if pinned {
		full = qualified + "@" + digest
	}
	return map[string]any{"id": nil, "repository": repository, "namespace": namespace, "tag": tag,
		"qualifiedName": qualified, "fullName": full}, true
}
