package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// configContent is the bundle of files behind a configuration item.
var configContent = Kind{
	Type: &schema.Type{
		Name:              "configContent",
		Doc:               "The bundle of files behind a configuration item.",
		Plural:            "configContent",
		CollectionMethods: []string{"GET", "POST"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "cr", schema.Admin: "crud", schema.ReadAdmin: "r", schema.Agent: "ru"},
		Own: []*schema.Field{
			schema.Ref("agentId", "agent").Shown().Bare("c").For(schema.Admin, "cru").For(schema.Agent, "ru"),
			schema.New("current", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("id", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("version", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Agent, "ru"),
		},
	},
}
