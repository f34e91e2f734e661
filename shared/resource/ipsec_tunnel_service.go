package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// ipsecTunnelService joins the hosts of a network by tunnels.
var ipsecTunnelService = Kind{
	Type: &schema.Type{
		Name:              "ipsecTunnelService",
		Doc:               "Joins the hosts of a network by tunnels.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
