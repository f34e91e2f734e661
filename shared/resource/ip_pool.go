package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// ipPool hands out addresses.
var ipPool = Kind{
	Type: &schema.Type{
		Name:              "ipPool",
		Doc:               "Hands out addresses.",
		Table:             "ip_pool",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("ipPool", nil),
	ActivatesByDefault: true,
	Actions: map[string]Action{
		"acquire": {Output: "ipAddress", State: "active"},
	},
}
