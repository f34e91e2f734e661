package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// collection is the envelope of every list.
var collection = Kind{
	Type: &schema.Type{
		Name:              "collection",
		Doc:               "The envelope of every list.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("actions", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("createDefaults", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("createTypes", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("data", "array[resource]").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
			schema.New("filters", "map[array[json]]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("links", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("pagination", "json").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("resourceType", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("sort", "json").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("sortLinks", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("type", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
