package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// storagePoolHostMap says that a host can use a pool.
var storagePoolHostMap = Kind{
	Type: &schema.Type{
		Name:              "storagePoolHostMap",
		Doc:               "Says that a host can use a pool.",
		Table:             "storage_pool_host_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("hostId", "host").For(schema.Admin, "cru"),
			schema.Ref("storagePoolId", "storagePool").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("storagePoolHostMap", nil),
	ActivatesByDefault: true,
}
