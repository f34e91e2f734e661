package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// configItem is a named bundle of files that agents keep up to date.
var configItem = Kind{
	Type: &schema.Type{
		Name:              "configItem",
		Doc:               "A named bundle of files that agents keep up to date.",
		Table:             "config_item",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 255).Filled("").For(schema.Admin, "cru"),
			schema.String("sourceVersion", 1024).Filled("").For(schema.Admin, "cru"),
		},
	},
}
