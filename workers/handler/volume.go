package handler

import (
	"context"
	"fmt"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

func volumeHandlers() []process.Handler {
	return []process.Handler{
		on("VolumeAllocate", volumeAllocate, "volume.allocate"),
		on("VolumeDeallocate", volumeDeallocate, "volume.deallocate"),
		on("VolumeActivate", volumeActivate, "volume.activate"),
		on("VolumeDeactivate", volumeDeactivate, "volume.deactivate"),
		on("VolumePurge", volumePurge, "volume.purge"),
		on("VolumeStoragePoolMapActivate", volumeCommand(wire.StorageVolumeActivate), "volumestoragepoolmap.activate"),
		on("VolumeStoragePoolMapDeactivate", volumeCommand(wire.StorageVolumeDeactivate), "volumestoragepoolmap.deactivate"),
		on("VolumeStoragePoolMapRemove", volumeCommand(wire.StorageVolumeRemove), "volumestoragepoolmap.remove"),
	}
}

func volumeCommand(name string) logic {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		tie := run.Resource()
		pool, err := run.Get(ctx, "storagePool", tie.Int("storagePoolId"))
		if err != nil {
			return nil, err
		}
		volume, err := run.Get(ctx, "volume", tie.Int("volumeId"))
		if err != nil {
			return nil, err
		}
		if _, yes := left(tie); yes {
			if err := stopped(ctx, run, volume, pool.Int("agentId")); err != nil {
				return nil, err
			}
			return leftCommand(ctx, run, name, pool.Int("agentId"), volume, "storagePoolId")
		}
		return command(ctx, run, name, pool.Int("agentId"), volume, false)
	}
}

// pools returns the rows that tie a volume to its pools.
func pools(ctx context.Context, run process.Run, volume *schema.Row) ([]*schema.Row, error) {
	return find(ctx, run, "volumeStoragePoolMap", process.Match{"volumeId": volume.ID()})
}

// volumeAllocate confirms the pools that the placement of its instance has chosen.
func volumeAllocate(ctx context.Context, run process.Run) (*process.Answer, error) {
	ties, err := pools(ctx, run, run.Resource())
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		if err := run.Execute(ctx, "volumestoragepoolmap.create", tie, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
	}
	return done()
}

func volumeDeallocate(ctx context.Context, run process.Run) (*process.Answer, error) {
	ties, err := pools(ctx, run, run.Resource())
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		if err := deactivateThenRemove(ctx, run, tie, nil); err != nil {
			return nil, err
		}
	}
	return done()
}

func volumeActivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	volume := run.Resource()
	ties, err := pools(ctx, run, volume)
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		if image := volume.Int("imageId"); image != 0 {
			if err := stage(ctx, run, image, tie.Int("storagePoolId")); err != nil {
				return nil, err
			}
		}
		if err := run.Execute(ctx, "volumestoragepoolmap.activate", tie, nil); err != nil {
			return nil, err
		}
	}
	return done()
}

func volumeDeactivate(ctx context.Context, run process.Run) (*process.Answer, error) {
	ties, err := pools(ctx, run, run.Resource())
	if err != nil {
		return nil, err
	}
	if err := each(ctx, run, "volumestoragepoolmap.deactivate", ties, nil); err != nil {
		return nil, err
	}
	return done()
}

func volumePurge(ctx context.Context, run process.Run) (*process.Answer, error) {
	if err := run.Execute(ctx, "volume.deallocate", run.Resource(), nil); err != nil {
		return nil, err
	}
	return volumeDeallocate(ctx, run) // what a broken deallocation left
}

func lockName(parts ...any) string {
	return strings.ReplaceAll(strings.TrimSpace(fmt.Sprintln(parts...)), " ", ".")
}
