package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// hostVnetMap says that a host carries a virtual network.
var hostVnetMap = Kind{
	Type: &schema.Type{
		Name:              "hostVnetMap",
		Doc:               "Says that a host carries a virtual network.",
		Table:             "host_vnet_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("hostId", "host").For(schema.Admin, "cru"),
			schema.Ref("vnetId", "vnet").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("hostVnetMap", nil),
	ActivatesByDefault: true,
}
