package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// activeSetting is a setting as it is in force, wherever it comes from.
var activeSetting = Kind{
	Type: &schema.Type{
		Name:              "activeSetting",
		Doc:               "A setting as it is in force, wherever it comes from.",
		CollectionMethods: []string{"POST"}, ResourceMethods: []string{"GET", "PUT"},
		Access: schema.Access{schema.SuperAdmin: "cru", schema.Admin: "rud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("activeValue", "json").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.Bool("inDb").Shown().Bare("").For(schema.Admin, "r"),
			schema.New("name", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cr"),
			schema.New("source", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("value", "string").Shown().Bare("u").NeverNull().For(schema.Admin, "ru"),
		},
	},
}
