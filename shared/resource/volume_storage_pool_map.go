package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// volumeStoragePoolMap says which pool a volume lies in.
var volumeStoragePoolMap = Kind{
	Type: &schema.Type{
		Name:              "volumeStoragePoolMap",
		Doc:               "Says which pool a volume lies in.",
		Table:             "volume_storage_pool_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("storagePoolId", "storagePool").For(schema.Admin, "cru"),
			schema.Ref("volumeId", "volume").For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("volumeStoragePoolMap", nil),
}
