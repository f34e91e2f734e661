package handler

import (
	"context"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

func imageHandlers() []process.Handler {
	return []process.Handler{
		on("ImageStoragePoolMapActivate", imageCommand(wire.StorageImageActivate, true), "imagestoragepoolmap.activate"),
		on("ImageStoragePoolMapDeactivate", imageCommand(wire.StorageImageDeactivate, false), "imagestoragepoolmap.deactivate"),
	}
}

func imageCommand(name string, patient bool) logic {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		pool, err := run.Get(ctx, "storagePool", run.Resource().Int("storagePoolId"))
		if err != nil {
			return nil, err
		}
		return command(ctx, run, name, pool.Int("agentId"), nil, patient)
	}
}

// stage makes sure that a pool holds an image.
func stage(ctx context.Context, run process.Run, image, pool int64) error {
	row, err := run.Get(ctx, "image", image)
	if err != nil {
		return err
	}
	if row.State() != "active" {
		if err := run.Execute(ctx, "image.activate", row, nil); err != nil {
			return err
		}
	}
	tie, err := staged(ctx, run, image, pool)
	if err != nil || tie.State() == "active" {
		return err
	}
	return createThenActivate(ctx, run, tie, nil)
}

// staged finds or makes the row that ties an image to a pool.
func staged(ctx context.Context, run process.Run, image, pool int64) (*schema.Row, error) {
	match := process.Match{"imageId": image, "storagePoolId": pool}
	ties, err := find(ctx, run, "imageStoragePoolMap", match)
	if err != nil {
		return nil, err
	}
	if len(ties) > 0 {
		return ties[0], nil
	}
	if err := run.Lock(ctx, lockName("STAGE", image, pool)); err != nil {
		return nil, err
	}
	return one(ctx, run, "imageStoragePoolMap", match, nil)
}
