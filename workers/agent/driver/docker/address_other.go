//go:build !linux

package docker

import (
	"context"

	"github.com/moby/moby/api/types/container"

	"github.com/cattleio/cattle/shared/wire"
)

// address is for systems whose engine runs containers beside us.
func (d *Driver) address(context.Context, *container.InspectResponse, []wire.Nic) error { return nil }
