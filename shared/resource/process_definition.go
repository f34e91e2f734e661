package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// processDefinition describes a process.
var processDefinition = Kind{
	Type: &schema.Type{
		Name:              "processDefinition",
		Doc:               "Describes a process.",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Bool("extensionBased").Shown().Bare("").For(schema.Admin, "r"),
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("name", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
			schema.New("postProcessListeners", "extensionPoint").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("preProcessListeners", "extensionPoint").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("processHandlers", "extensionPoint").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("resourceType", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("stateTransitions", "array[stateTransition]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
