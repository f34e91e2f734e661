package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// linkService carries links between instances.
var linkService = Kind{
	Type: &schema.Type{
		Name:              "linkService",
		Doc:               "Carries links between instances.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
