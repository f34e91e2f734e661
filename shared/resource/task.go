package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// task is something the clock starts.
var task = Kind{
	Type: &schema.Type{
		Name:              "task",
		Doc:               "Something the clock starts.",
		Table:             "task",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 128).Filled("").For(schema.Admin, "cru"),
		},
	},
	Actions: map[string]Action{
		"execute": {},
	},
}
