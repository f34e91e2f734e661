package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// resourceDefinition describes the states of a type.
var resourceDefinition = Kind{
	Type: &schema.Type{
		Name:              "resourceDefinition",
		Doc:               "Describes the states of a type.",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("name", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
		},
	},
}
