package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// progressEvery bounds how often a pull tells the same thing.
const progressEvery = time.Second

var errNoImage = errors.New("Can not start container with no image") //nolint:staticcheck // the text users know

// ActivateImage pulls the image unless the engine has it. A pull takes as long as
// it takes and tells its progress meanwhile.
func (d *Driver) ActivateImage(ctx context.Context, cmd driver.ImageCommand) (any, error) {
	name, err := imageName(&cmd.Map.Image)
	if err != nil {
		return nil, err
	}
	if err := d.ensureImage(ctx, name, cmd.Progress); err != nil {
		return nil, err
	}
	found, err := d.describeImage(ctx, name)
	if err != nil {
		return nil, engineError("cannot inspect image "+name, err)
	}
	return map[string]any{"+data": map[string]any{"dockerImage": found}}, nil
}

// describeImage gives the keys that readers know from the engine's list of images.
func (d *Driver) describeImage(ctx context.Context, name string) (map[string]any, error) {
	var raw bytes.Buffer
	found, err := d.engine.ImageInspect(ctx, name, client.ImageInspectWithRawResponse(&raw))
	if err != nil {
		return nil, err
	}
	var legacy struct{ Parent string }
	_ = json.Unmarshal(raw.Bytes(), &legacy)                  // newer engines do not tell the parent
	created, _ := time.Parse(time.RFC3339Nano, found.Created) // an image need not say when it was made
	return map[string]any{
		"Id": found.ID, "RepoTags": found.RepoTags, "ParentId": legacy.Parent,
		"Created": max(created.Unix(), 0), "Size": found.Size, "VirtualSize": found.Size,
	}, nil
}

// DeactivateImage leaves the image to those who made containers of it.
func (d *Driver) DeactivateImage(context.Context, driver.ImageCommand) (any, error) { return nil, nil }

// imageName is the full name of an image: a plain name gets the tag latest, a
// registry host with a port and a digest stay what they are.
func imageName(image *wire.Image) (string, error) {
	name := image.DockerName()
	if name == "" {
		return "", errNoImage
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("cannot read image name %q: %w", name, err)
	}
	return reference.FamiliarString(reference.TagNameOnly(ref)), nil
}

func (d *Driver) ensureImage(ctx context.Context, name string, progress driver.Progress) error {
	if err := d.known(ctx); err != nil {
		return fmt.Errorf("cannot inspect image %s: %w", name, err)
	}
	_, err := d.engine.ImageInspect(ctx, name)
	if !errdefs.IsNotFound(err) {
		return engineError("cannot inspect image "+name, err)
	}
	return d.pull(ctx, name, progress)
}

func (d *Driver) pull(ctx context.Context, name string, progress driver.Progress) error {
	progress("Pulling image", -1)
	login, err := d.login(name)
	if err != nil {
		return err
	}
	stream, err := d.engine.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: login})
	if err != nil {
		return engineError("cannot pull image "+name, err)
	}
	defer stream.Close()
	meter := meter{layers: map[string]jsonstream.Progress{}}
	for message, err := range stream.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return fmt.Errorf("cannot pull image %s: %w", name, err)
		}
		if text, percent, due := meter.read(message, time.Now()); due {
			progress(text, percent)
		}
	}
	return nil
}

// meter turns the many lines of a pull into few messages: a new text at once, the
// same text at most once in progressEvery.
type meter struct {
	layers map[string]jsonstream.Progress
	text   string
	told   time.Time
}

func (m *meter) read(message jsonstream.Message, now time.Time) (text string, percent int, due bool) {
	if message.Progress != nil && message.Status == "Downloading" {
		m.layers[message.ID] = *message.Progress
	}
	if message.Status == "" || (message.Status == m.text && now.Sub(m.told) < progressEvery) {
		return "", -1, false
	}
	m.text, m.told = message.Status, now
	return message.Status, m.percent(), true
}

func (m *meter) percent() int {
	var current, total int64
	for _, layer := range m.layers {
		current, total = current+layer.Current, total+layer.Total
	}
	if total <= 0 {
		return -1
	}
	return int(min(100*current/total, 100))
}

// engineError says what could not be done; no engine at all is ErrAbsent.
func engineError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%s: %w: %v", what, driver.ErrAbsent, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
