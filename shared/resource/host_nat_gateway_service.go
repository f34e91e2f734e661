package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// hostNatGatewayService leads out of a network through its host.
var hostNatGatewayService = Kind{
	Type: &schema.Type{
		Name:              "hostNatGatewayService",
		Doc:               "Leads out of a network through its host.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
