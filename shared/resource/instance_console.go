package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// instanceConsole says how to reach the console of an instance.
var instanceConsole = Kind{
	Type: &schema.Type{
		Name:              "instanceConsole",
		Doc:               "Says how to reach the console of an instance.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: []*schema.Field{
			schema.New("url", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.User, "r"),
			schema.New("kind", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cr").For(schema.User, "r"),
			schema.New("password", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.User, "r"),
		},
	},
}
