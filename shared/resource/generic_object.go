package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// genericObject is a row whose meaning its kind gives.
var genericObject = Kind{
	Type: &schema.Type{
		Name:              "genericObject",
		Doc:               "A row whose meaning its kind gives.",
		Table:             "generic_object",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.String("key", 255).For(schema.Admin, "r"),
		),
	},
	Processes:          lifecycle("genericObject", nil),
	ActivatesByDefault: true,
}
