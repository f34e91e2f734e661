package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// schemaType describes a type to clients.
var schemaType = Kind{
	Type: &schema.Type{
		Name:              "schema",
		Doc:               "Describes a type to clients.",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "r", schema.ReadAdmin: "r", schema.User: "r", schema.AgentRegister: "r", schema.Agent: "r", schema.Register: "r"},
		Own: []*schema.Field{
			schema.New("collectionActions", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("collectionFields", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("collectionFilters", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("collectionMethods", "array[string]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("includeableLinks", "array[string]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("pluralName", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("resourceActions", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("resourceFields", "map[json]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
			schema.New("resourceMethods", "array[string]").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "r").For(schema.AgentRegister, "r"),
		},
	},
}
