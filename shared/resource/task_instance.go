package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// taskInstance is one run of a task.
var taskInstance = Kind{
	Type: &schema.Type{
		Name:              "taskInstance",
		Doc:               "One run of a task.",
		Table:             "task_instance",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "rd", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Date("endTime").For(schema.Admin, "r"),
			schema.String("exception", 255).For(schema.Admin, "r"),
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 128).Filled("").For(schema.Admin, "cru"),
			schema.String("serverId", 128).Filled("").For(schema.Admin, "cru"),
			schema.Date("startTime").NeverNull().Filled("").For(schema.Admin, "r"),
			schema.Ref("taskId", "task").NeverNull().Filled("").For(schema.Admin, "cru"),
		},
	},
}
