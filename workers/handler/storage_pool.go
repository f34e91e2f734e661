package handler

import (
	"context"
	"errors"

	"github.com/cattleio/cattle/shared/process"
)

func storagePoolHandlers() []process.Handler {
	sim := on("SimulatorPoolCreate", simulatorPool, "storagepool.create")
	sim.Priority = process.Specific
	return []process.Handler{
		sim,
		before("DockerStoragePoolCreate", process.Specific, dockerPool, "storagepool.create"),
	}
}

// simulatorPool makes the pool that stands for the source of all sim: images, with
// the first simulated pool.
func simulatorPool(ctx context.Context, run process.Run) (*process.Answer, error) {
	pool := run.Resource()
	if pool.Kind() != "sim" || pool.UUID() == "sim-ext-pool" {
		return nil, nil
	}
	if err := run.Lock(ctx, "SIM.EXT.POOL.CREATE"); err != nil {
		return nil, err
	}
	external, err := one(ctx, run, "storagePool", process.Match{"uuid": "sim-ext-pool"},
		map[string]any{"kind": "sim", "external": true, "accountId": pool.Get("accountId")})
	if err != nil {
		return nil, err
	}
	if external.State() != "active" {
		if err := run.Execute(ctx, "storagepool.create", external, nil); err != nil {
			// Another run makes it at this moment: this one need not wait.
			var busy *process.BusyError
			if !process.IsCanceled(err) && !errors.As(err, &busy) {
				return nil, err
			}
		}
	}
	return nil, nil
}

// dockerPool makes the pool that stands for the registries, with the first pool of
// a Docker host.
func dockerPool(ctx context.Context, run process.Run) (*process.Answer, error) {
	pool := run.Resource()
	if pool.Kind() != "docker" || pool.Bool("external") || run.Setting("docker.auto.create.external.pool") != "true" {
		return nil, nil
	}
	match := process.Match{"kind": "docker", "external": true}
	pools, err := find(ctx, run, "storagePool", match)
	if err != nil || len(pools) > 0 && pools[0].State() != "requested" {
		return nil, err
	}
	if err := run.Lock(ctx, "DOCKER.EXTERNAL.POOL.CREATE"); err != nil {
		return nil, err
	}
	external, err := one(ctx, run, "storagePool", match, map[string]any{"name": "Docker Index", "accountId": pool.Get("accountId")})
	if err != nil || external.State() != "requested" {
		return nil, err
	}
	return nil, run.Schedule(ctx, "storagepool.create", external, nil)
}
