package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// offering is a named size; it is kept for its column in other types.
var offering = Kind{
	Type: &schema.Type{
		Name:              "offering",
		Doc:               "A named size; it is kept for its column in other types.",
		Table:             "offering",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud"},
		Own: fields(owned,
			schema.Bool("isPublic").Filled("false"),
		),
	},
}
