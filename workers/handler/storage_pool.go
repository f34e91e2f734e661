package handler

import (
	"context"
	"errors"

	"github.com/cattleio/cattle/shared/process"
)

func storagePoolHandlers() []process.Handler {
	sim := on("SimulatorPoolCreate", simulatorPool, "storagepool.create")
	libvirt := on("AddLibvirtDefaultImages", machineImages, "storagepool.activate")
	sim.Priority, libvirt.Priority = process.Specific, process.Specific
	return []process.Handler{
		sim,
		before("DockerStoragePoolCreate", process.Specific, dockerPool, "storagepool.create"),
		libvirt,
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

// machines are the images that virtual machines can be made of without anybody having
// brought one. An instance names them by their uuid.
var machines = []struct{ uuid, name, url, checksum string }{
	{"cirros", "Cirros", "http://download.cirros-cloud.net/0.3.2/cirros-0.3.2-x86_64-disk.img", "64d7c1cd2b6f60c92c14662941cb7913"},
	{"coreos-stable-367.1.0", "CoreOS Stable 367.1.0",
		"http://stable.release.core-os.net/amd64-usr/367.1.0/coreos_production_openstack_image.img.bz2", "3230e2fb585c2a689547723f75da478386f98aea"},
}

// machineImages makes them with the first pool that has a use for them. One that was
// removed stays so.
func machineImages(ctx context.Context, run process.Run) (*process.Answer, error) {
	if run.Resource().Kind() != "libvirt" {
		return nil, nil
	}
	if err := run.Lock(ctx, "LIBVIRT.DEFAULT.LOCK"); err != nil {
		return nil, err
	}
	system, err := run.Find(ctx, "account", process.Match{"uuid": "system"})
	if err != nil || len(system) == 0 {
		return nil, err
	}
	for _, m := range machines {
		match := process.Match{"uuid": m.uuid}
		known, err := run.Find(ctx, "image", match)
		if err != nil {
			return nil, err
		}
		if len(known) > 0 && known[0].State() != "requested" {
			continue
		}
		image, err := one(ctx, run, "image", match, map[string]any{"name": m.name, "url": m.url, "checksum": m.checksum,
			"instanceKind": "virtualMachine", "isPublic": true, "accountId": system[0].ID()})
		if err != nil {
			return nil, err
		}
		if err := run.Schedule(ctx, "image.create", image, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
