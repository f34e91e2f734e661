package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// errorType is what every refused request answers.
var errorType = Kind{
	Type: &schema.Type{
		Name:              "error",
		Doc:               "What every refused request answers.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.AgentRegister: "r", schema.Agent: "r"},
		Own: []*schema.Field{
			schema.New("code", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("detail", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("message", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.Int("status").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
		},
	},
}
