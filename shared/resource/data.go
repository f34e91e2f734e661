package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// dataType is a small store of named values of the server's own.
var dataType = Kind{
	Type: &schema.Type{
		Name:              "data",
		Doc:               "A small store of named values of the server's own.",
		Table:             "data",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("name", 255).Filled("").For(schema.Admin, "cru"),
			schema.String("value", 65535).Sealed().Filled("").For(schema.Admin, "cru"),
			schema.Bool("visible").Filled("true").Default(true).Initial(true).For(schema.Admin, "r"),
		},
	},
}
