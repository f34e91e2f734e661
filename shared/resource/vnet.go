package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// vnet is a virtual network as hosts see it.
var vnet = Kind{
	Type: &schema.Type{
		Name:              "vnet",
		Doc:               "A virtual network as hosts see it.",
		Table:             "vnet",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.Ref("networkId", "network").Needed().For(schema.Admin, "cru"),
			schema.String("uri", 255).Needed().For(schema.Admin, "cr"),
		),
	},
	Processes:          lifecycle("vnet", nil),
	ActivatesByDefault: true,
}
