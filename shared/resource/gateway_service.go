package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// gatewayService leads out of a network.
var gatewayService = Kind{
	Type: &schema.Type{
		Name:              "gatewayService",
		Doc:               "Leads out of a network.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
