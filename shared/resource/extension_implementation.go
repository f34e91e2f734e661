package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// extensionImplementation is one piece of logic plugged into a point.
var extensionImplementation = Kind{
	Type: &schema.Type{
		Name:              "extensionImplementation",
		Doc:               "One piece of logic plugged into a point.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("className", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("name", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
			schema.New("properties", "map[string]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
