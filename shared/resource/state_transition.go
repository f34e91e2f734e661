package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// stateTransition is one move of a process.
var stateTransition = Kind{
	Type: &schema.Type{
		Name:              "stateTransition",
		Doc:               "One move of a process.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("field", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("fromState", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("toState", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.Enum("type", "TRANSITIONING", "DONE").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
