package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// agentInstanceProvider carries out services in system containers.
var agentInstanceProvider = Kind{
	Type: &schema.Type{
		Name:              "agentInstanceProvider",
		Doc:               "Carries out services in system containers.",
		Parent:            networkServiceProvider.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("agentInstanceImageUuid", "string").Stored().Bare("").NeverNull().For(schema.Admin, "cru"),
		},
	},
}
