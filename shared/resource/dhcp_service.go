package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// dhcpService hands out addresses inside a network.
var dhcpService = Kind{
	Type: &schema.Type{
		Name:              "dhcpService",
		Doc:               "Hands out addresses inside a network.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
