package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/workers/agent/driver"
)

// ActivateVolume has nothing to do: device 0 is the container's own file system.
func (d *Driver) ActivateVolume(_ context.Context, cmd driver.VolumeCommand) (any, error) {
	return volumeReply(cmd)
}

// DeactivateVolume has nothing to do either.
func (d *Driver) DeactivateVolume(_ context.Context, cmd driver.VolumeCommand) (any, error) {
	return volumeReply(cmd)
}

// RemoveVolume removes the container whose file system the volume is, with its
// anonymous volumes, which nobody else could find. A running one is an error.
func (d *Driver) RemoveVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	reply, err := volumeReply(cmd)
	if err != nil {
		return nil, err
	}
	instance := cmd.Map.Volume.Instance
	if instance == nil || instance.UUID == "" {
		return nil, errors.New("cannot remove a volume that belongs to no instance")
	}
	if err := checkName(instance.UUID); err != nil {
		return nil, err
	}
	if err := d.known(ctx); err != nil {
		return nil, fmt.Errorf("cannot remove container %s: %w", instance.UUID, err)
	}
	_, err = d.engine.ContainerRemove(ctx, instance.UUID, client.ContainerRemoveOptions{RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, engineError("cannot remove container "+instance.UUID, err)
	}
	return reply, nil
}

func volumeReply(cmd driver.VolumeCommand) (any, error) {
	if device := cmd.Map.Volume.DeviceNumber; device != 0 {
		return nil, fmt.Errorf("a container has no volume with device number %d", device)
	}
	return map[string]any{"volume": map[string]any{"format": "docker"}}, nil
}
