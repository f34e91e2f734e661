package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// subnetVnetMap puts a subnet on a virtual network.
var subnetVnetMap = Kind{
	Type: &schema.Type{
		Name:              "subnetVnetMap",
		Doc:               "Puts a subnet on a virtual network.",
		Table:             "subnet_vnet_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("subnetId", "subnet").For(schema.Admin, "cru"),
			schema.Ref("vnetId", "vnet").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("subnetVnetMap", nil),
	ActivatesByDefault: true,
}
