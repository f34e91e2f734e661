package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
)

// Task is a command that is ready to run.
type Task struct {
	// Kind of the driver that has to run it; "" is any that is a Delegator.
	Kind string
	// Resource is the uuid of the image, volume or instance that it changes. Two
	// tasks of one resource must not run at the same time.
	Resource string

	run func(ctx context.Context, d Driver, progress Progress) (any, error)
}

// Run does the task and returns the data of the reply.
func (t *Task) Run(ctx context.Context, d Driver, progress Progress) (any, error) {
	if progress == nil {
		progress = func(string, int) {}
	}
	return t.run(ctx, d, progress)
}

// Name is the name of a command without the suffix that routed it.
func Name(e *wire.Event) string {
	name, _, _ := strings.Cut(e.Name, ";")
	return name
}

// Decode reads the command in e. It refuses what no driver knows.
func Decode(e *wire.Event) (*Task, error) {
	switch Name(e) {
	case wire.StorageImageActivate:
		return image(e, Driver.ActivateImage)
	case wire.StorageImageDeactivate:
		return image(e, Driver.DeactivateImage)
	case wire.StorageVolumeActivate:
		return volume(e, Driver.ActivateVolume)
	case wire.StorageVolumeDeactivate:
		return volume(e, Driver.DeactivateVolume)
	case wire.StorageVolumeRemove:
		return volume(e, Driver.RemoveVolume)
	case wire.ComputeInstanceActivate:
		return instance(e, Driver.Start)
	case wire.ComputeInstanceDeactivate:
		return instance(e, Driver.Stop)
	case wire.ConsoleAccess:
		return console(e)
	case wire.DelegateRequest:
		return delegate(e)
	default:
		return nil, fmt.Errorf("command %q is not supported", Name(e))
	}
}

type method[T any] func(d Driver, ctx context.Context, cmd Command[T]) (any, error)

func image(e *wire.Event, m method[wire.ImageStoragePoolMap]) (*Task, error) {
	data, err := read(e)
	if err != nil || data.Image == nil {
		return nil, unreadable(e, err)
	}
	return task(e, data.Image.StoragePool.Kind, data.Image.Image.UUID, *data.Image, m)
}

func volume(e *wire.Event, m method[wire.VolumeStoragePoolMap]) (*Task, error) {
	data, err := read(e)
	if err != nil || data.Volume == nil {
		return nil, unreadable(e, err)
	}
	return task(e, data.Volume.StoragePool.Kind, data.Volume.Volume.UUID, *data.Volume, m)
}

func instance(e *wire.Event, m method[wire.InstanceHostMap]) (*Task, error) {
	data, err := read(e)
	if err != nil || data.Instance == nil {
		return nil, unreadable(e, err)
	}
	return task(e, data.Instance.Host.Kind, data.Instance.Instance.UUID, *data.Instance, m)
}

// console asks about an instance and changes nothing: it need not wait for others.
func console(e *wire.Event) (*Task, error) {
	var data struct {
		Host     wire.Place    `json:"host"`
		Instance wire.Instance `json:"instance"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil || data.Instance.UUID == "" {
		return nil, unreadable(e, err)
	}
	run := func(ctx context.Context, d Driver, _ Progress) (any, error) {
		c, can := d.(Console)
		if !can {
			return nil, fmt.Errorf("hosts of kind %q have no consoles", d.Kind())
		}
		return c.Console(ctx, data.Instance.UUID)
	}
	return &Task{Kind: data.Host.Kind, Resource: "console of " + data.Instance.UUID, run: run}, nil
}

// delegate is for an agent inside an instance. What it says of the instance does not tell
// the kind of its host.
func delegate(e *wire.Event) (*Task, error) {
	var data wire.DelegateData
	err := json.Unmarshal(e.Data, &data)
	instance, _ := data.Instance["uuid"].(string)
	if err != nil || instance == "" || data.Event == nil {
		return nil, unreadable(e, err)
	}
	return task(e, "", "agent in "+instance, data, func(d Driver, ctx context.Context, cmd DelegateCommand) (any, error) {
		answer, err := d.(Delegator).Delegate(ctx, cmd)
		if err != nil {
			return nil, err
		}
		answer.ID = uuid.NewString()
		return answer, nil
	})
}

func task[T any](e *wire.Event, kind, resource string, row T, m method[T]) (*Task, error) {
	if resource == "" {
		return nil, unreadable(e, nil)
	}
	run := func(ctx context.Context, d Driver, progress Progress) (any, error) {
		return m(d, ctx, Command[T]{Event: e, Map: row, Progress: progress})
	}
	return &Task{Kind: kind, Resource: resource, run: run}, nil
}

func read(e *wire.Event) (wire.CommandData, error) {
	var data wire.CommandData
	return data, json.Unmarshal(e.Data, &data)
}

func unreadable(e *wire.Event, err error) error {
	if err == nil {
		return fmt.Errorf("command %q does not say what it is about", Name(e))
	}
	return fmt.Errorf("cannot read command %q: %w", Name(e), err)
}
