package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// publish is an event given to the bus by a caller.
var publish = Kind{
	Type: &schema.Type{
		Name:              "publish",
		Doc:               "An event given to the bus by a caller.",
		Plural:            "publish",
		CollectionMethods: []string{"POST"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "cr", schema.Admin: "crud", schema.ReadAdmin: "r", schema.Agent: "cr"},
		Own: []*schema.Field{
			schema.New("data", "map[json]").Shown().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("id", "string").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("name", "string").Shown().Bare("c").NeverNull().Needed().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("previousIds", "array[string]").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("publisher", "string").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("resourceId", "string").Shown().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("resourceType", "string").Shown().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.Int("time").Shown().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("transitioning", "string").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("transitioningInternalMessage", "string").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.New("transitioningMessage", "string").Shown().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.Agent, "cr"),
			schema.Int("transitioningProgress").Shown().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr"),
		},
	},
}
