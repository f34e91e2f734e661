package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// setting is a value kept in the database.
var setting = Kind{
	Type: &schema.Type{
		Name:              "setting",
		Doc:               "A value kept in the database.",
		Table:             "setting",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 255).Filled("").For(schema.Admin, "cr"),
			schema.String("value", 1024).Filled("").For(schema.Admin, "cru"),
		},
	},
}
