package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// databasechangeloglock is kept for clients that list it.
var databasechangeloglock = Kind{
	Type: &schema.Type{
		Name:              "databasechangeloglock",
		Doc:               "Kept for clients that list it.",
		Table:             "databasechangeloglock",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "rd", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.Bool("locked").Loose().For(schema.Admin, "r"),
			schema.String("lockedby", 255).For(schema.Admin, "r"),
			schema.Date("lockgranted").For(schema.Admin, "r"),
		},
	},
}
