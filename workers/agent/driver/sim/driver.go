package sim

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// A Simulator is also the driver of kind sim of a host agent.
var _ driver.Driver = (*Simulator)(nil)

// Kind is sim.
func (s *Simulator) Kind() string { return Kind }

// Report tells the simulated hosts and the instances that are remembered.
func (s *Simulator) Report(_ context.Context, options wire.PingOptions) ([]wire.Resource, error) {
	return s.report(options), nil
}

// ActivateImage succeeds.
func (s *Simulator) ActivateImage(ctx context.Context, cmd driver.ImageCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// DeactivateImage succeeds.
func (s *Simulator) DeactivateImage(ctx context.Context, cmd driver.ImageCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// ActivateVolume succeeds.
func (s *Simulator) ActivateVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// DeactivateVolume succeeds.
func (s *Simulator) DeactivateVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// RemoveVolume succeeds.
func (s *Simulator) RemoveVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// Start remembers the instance.
func (s *Simulator) Start(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// Stop forgets the instance.
func (s *Simulator) Stop(ctx context.Context, cmd driver.InstanceCommand) (any, error) {
	return s.obey(ctx, cmd.Event)
}

// Delegate plays the agent inside an instance.
func (s *Simulator) Delegate(ctx context.Context, cmd driver.DelegateCommand) (*wire.Event, error) {
	answer := s.delegate(ctx, cmd.Event)
	if answer == nil {
		return nil, driver.ErrNobody
	}
	var inner wire.Event
	return &inner, json.Unmarshal(answer.Data, &inner)
}

func (s *Simulator) obey(ctx context.Context, e *wire.Event) (any, error) {
	answer, _ := s.answer(ctx, e)
	switch {
	case answer == nil && ctx.Err() == nil:
		return nil, errors.New("the simulator was told to be silent") // a driver cannot be
	case answer == nil:
		return nil, context.Cause(ctx)
	case wire.Value(answer.Transitioning) == wire.Failure:
		return nil, errors.New(wire.Value(answer.TransitioningMessage))
	case answer.Data == nil:
		return nil, nil
	default:
		return answer.Data, nil
	}
}
