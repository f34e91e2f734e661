package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// typeDocumentation describes a type.
var typeDocumentation = Kind{
	Type: &schema.Type{
		Name:              "typeDocumentation",
		Doc:               "Describes a type.",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "r", schema.ReadAdmin: "r", schema.User: "r"},
		Own: []*schema.Field{
			schema.New("description", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru").For(schema.User, "cru"),
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.User, "r"),
			schema.New("resourceFields", "map[fieldDocumentation]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
