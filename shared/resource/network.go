package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// network is what nics are plugged into.
var network = Kind{
	Type: &schema.Type{
		Name:              "network",
		Doc:               "What nics are plugged into.",
		Table:             "network",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.String("domain", 128).For(schema.Admin, "r"),
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru"),
			schema.New("macPrefix", "string").Stored().Bare("").NeverNull().For(schema.Admin, "r"),
		),
	},
	Processes:          lifecycle("network", nil),
	ActivatesByDefault: true,
}
