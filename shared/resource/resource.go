package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// resourceType is the envelope of every row.
var resourceType = Kind{
	Type: &schema.Type{
		Name:              "resource",
		Doc:               "The envelope of every row.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("actions", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("links", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("type", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
