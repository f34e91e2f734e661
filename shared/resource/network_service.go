package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// networkService is something a network does for its instances.
var networkService = Kind{
	Type: &schema.Type{
		Name:              "networkService",
		Doc:               "Something a network does for its instances.",
		Table:             "network_service",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.Ref("networkId", "network").NeverNull().Needed().For(schema.Admin, "cru"),
			schema.Ref("networkServiceProviderId", "networkServiceProvider").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("networkService", nil),
	ActivatesByDefault: true,
}
