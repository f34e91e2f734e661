package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// fieldDocumentation describes a field.
var fieldDocumentation = Kind{
	Type: &schema.Type{
		Name:              "fieldDocumentation",
		Doc:               "Describes a field.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("description", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
			schema.New("placeholder", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
