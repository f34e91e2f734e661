package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// subscribe opens the event stream.
var subscribe = Kind{
	Type: &schema.Type{
		Name:              "subscribe",
		Doc:               "Opens the event stream.",
		Plural:            "subscribe",
		CollectionMethods: []string{"GET", "POST"}, ResourceMethods: []string{"GET"},
		Access:  schema.Access{schema.SuperAdmin: "cr", schema.Admin: "cr", schema.ReadAdmin: "cr", schema.User: "cr", schema.Agent: "cr"},
		Filters: map[string][]string{"eventNames": {"eq"}},
		Own: []*schema.Field{
			schema.Ref("agentId", "agent").Shown().Bare("c").For(schema.Admin, "cru").For(schema.ReadAdmin, "cr").For(schema.Agent, "cr"),
			schema.New("eventNames", "array[string]").Shown().Bare("c").NeverNull().Shortest(1).Chars("*._0-9a-zA-Z;=").For(schema.Admin, "cr").For(schema.ReadAdmin, "cr").For(schema.User, "cr").For(schema.Agent, "cr"),
		},
	},
}
