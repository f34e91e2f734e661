package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// processExecution is the log of one attempt of a process instance.
var processExecution = Kind{
	Type: &schema.Type{
		Name:              "processExecution",
		Doc:               "The log of one attempt of a process instance.",
		Table:             "process_execution",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.New("log", "map[json]").For(schema.Admin, "r"),
			schema.Ref("processInstanceId", "processInstance").NeverNull().Filled("").For(schema.Admin, "cru"),
			schema.String("uuid", 128).Filled("").For(schema.Admin, "cr"),
			schema.Date("created").Ours(),
		},
	},
}
