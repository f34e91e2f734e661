package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// configItemStatus says which version of an item an agent has and should have.
var configItemStatus = Kind{
	Type: &schema.Type{
		Name:              "configItemStatus",
		Doc:               "Says which version of an item an agent has and should have.",
		Table:             "config_item_status",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Ref("agentId", "agent").For(schema.Admin, "cru"),
			schema.Date("appliedUpdated").For(schema.Admin, "cru"),
			schema.Int("appliedVersion").NeverNull().Filled("-1").For(schema.Admin, "cru"),
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 255).Filled("").For(schema.Admin, "cru"),
			schema.Date("requestedUpdated").NeverNull().Filled("").For(schema.Admin, "cru"),
			schema.Int("requestedVersion").NeverNull().Filled("0").For(schema.Admin, "cru"),
			schema.String("sourceVersion", 255).For(schema.Admin, "cru"),
		},
	},
}
