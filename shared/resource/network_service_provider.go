package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// networkServiceProvider carries out the services of a network.
var networkServiceProvider = Kind{
	Type: &schema.Type{
		Name:              "networkServiceProvider",
		Doc:               "Carries out the services of a network.",
		Table:             "network_service_provider",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.Ref("networkId", "network").NeverNull().Needed().For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("networkServiceProvider", nil),
	ActivatesByDefault: true,
}
