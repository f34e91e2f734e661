package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Start makes the instance's container and starts it. A stopped container whose
// wanted options changed since it was made is made anew, because an engine takes
// options only then; one that runs is left as it is.
func (d *Driver) Start(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	instance := &cmd.Map.Instance
	found, err := d.inspect(ctx, instance.UUID)
	if err != nil {
		return nil, err
	}
	if running(found) {
		return d.connected(ctx, instance, found)
	}
	wanted, err := d.options(instance, cmd.Map.Host)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(ctx, found, wanted, cmd.Progress); err != nil {
		return nil, err
	}
	if err := d.begin(ctx, instance.UUID); err != nil {
		return nil, err
	}
	found, err = d.started(ctx, instance.UUID)
	if err != nil {
		return nil, err
	}
	return d.connected(ctx, instance, found)
}

// connected is what is seen of a container that runs, once it has its addresses.
func (d *Driver) connected(ctx context.Context, instance *wire.Instance, found *container.InspectResponse) (any, error) {
	if err := d.address(ctx, found, instance.Nics); err != nil {
		return nil, err
	}
	return d.observe(ctx, instance.UUID)
}

// Stop asks the container to stop, and kills it after the grace. No container is
// success.
func (d *Driver) Stop(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	uuid := cmd.Map.Instance.UUID
	found, err := d.inspect(ctx, uuid)
	if err != nil {
		return nil, err
	}
	switch {
	case running(found):
		if err := d.stop(ctx, uuid); err != nil {
			return nil, err
		}
	case found != nil:
		bury(found.ID)
	}
	return d.observe(ctx, uuid)
}

// prepare leaves a stopped container that was made with the wanted options.
// A container without our label was made by another program and is kept.
func (d *Driver) prepare(ctx context.Context, found *container.InspectResponse, wanted client.ContainerCreateOptions, progress driver.Progress) error {
	if found != nil {
		made := found.Config.Labels[labelOptions]
		if made == "" || made == wanted.Config.Labels[labelOptions] {
			return nil
		}
		_, err := d.engine.ContainerRemove(ctx, wanted.Name, client.ContainerRemoveOptions{RemoveVolumes: true})
		if err != nil && !errdefs.IsNotFound(err) {
			return engineError("cannot replace container "+wanted.Name, err)
		}
	}
	return d.create(ctx, wanted, progress)
}

// create pulls the image once more when it went away since it was activated.
func (d *Driver) create(ctx context.Context, wanted client.ContainerCreateOptions, progress driver.Progress) error {
	_, err := d.engine.ContainerCreate(ctx, wanted)
	if errdefs.IsNotFound(err) {
		if err := d.ensureImage(ctx, wanted.Config.Image, progress); err != nil {
			return err
		}
		_, err = d.engine.ContainerCreate(ctx, wanted)
	}
	return engineError("cannot create container "+wanted.Name, err)
}

func (d *Driver) started(ctx context.Context, uuid string) (*container.InspectResponse, error) {
	found, err := d.inspect(ctx, uuid)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("container %s vanished after its start", uuid)
	case !running(found):
		return nil, fmt.Errorf("container %s ended at once with exit code %d", uuid, found.State.ExitCode)
	}
	return found, nil
}

func (d *Driver) stop(ctx context.Context, uuid string) error {
	ctx, cancel := context.WithTimeout(ctx, d.config.StopTimeout)
	defer cancel()
	grace := int(d.config.StopGrace.Round(time.Second) / time.Second)
	_, err := d.engine.ContainerStop(ctx, uuid, client.ContainerStopOptions{Timeout: &grace})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return d.kill(context.WithoutCancel(ctx), uuid, err)
}

// kill is for a container whose orderly stop did not work out because of cause.
func (d *Driver) kill(ctx context.Context, uuid string, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ended := d.engine.ContainerWait(ctx, uuid, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	_, _ = d.engine.ContainerKill(ctx, uuid, client.ContainerKillOptions{Signal: "SIGKILL"}) // what counts is seen below
	select {
	case <-ended.Result:
	case <-ended.Error:
	}
	found, err := d.inspect(ctx, uuid)
	if err != nil || running(found) {
		return fmt.Errorf("Failed to stop container for VM [%s]: %w", uuid, cause) //nolint:staticcheck // the text users know
	}
	return nil
}

// checkName refuses a uuid that could not name a container, and would lead elsewhere in the
// engine.
func checkName(uuid string) error {
	if !names.MatchString(uuid) {
		return fmt.Errorf("%q cannot name a container", uuid)
	}
	return nil
}

// inspect gives nil for a container that is not there.
func (d *Driver) inspect(ctx context.Context, uuid string) (*container.InspectResponse, error) {
	found, _, err := d.inspectRaw(ctx, uuid)
	return found, err
}

// inspectRaw returns a container also in the engine's own words.
func (d *Driver) inspectRaw(ctx context.Context, uuid string) (*container.InspectResponse, json.RawMessage, error) {
	if err := checkName(uuid); err != nil {
		return nil, nil, err
	}
	if err := d.known(ctx); err != nil {
		return nil, nil, fmt.Errorf("cannot inspect container %s: %w", uuid, err)
	}
	found, err := d.engine.ContainerInspect(ctx, uuid, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, engineError("cannot inspect container "+uuid, err)
	}
	return &found.Container, found.Raw, nil
}

func running(c *container.InspectResponse) bool {
	return c != nil && c.State != nil && c.State.Running
}
