package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// portService publishes ports of instances on their hosts.
var portService = Kind{
	Type: &schema.Type{
		Name:              "portService",
		Doc:               "Publishes ports of instances on their hosts.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
