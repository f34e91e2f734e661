package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// imageStoragePoolMap says that a pool holds an image.
var imageStoragePoolMap = Kind{
	Type: &schema.Type{
		Name:              "imageStoragePoolMap",
		Doc:               "Says that a pool holds an image.",
		Table:             "image_storage_pool_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("imageId", "image").For(schema.Admin, "cru"),
			schema.Ref("storagePoolId", "storagePool").For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("imageStoragePoolMap", nil),
}
