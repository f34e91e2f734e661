package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// databasechangelog is kept for clients that list it.
var databasechangelog = Kind{
	Type: &schema.Type{
		Name:              "databasechangelog",
		Doc:               "Kept for clients that list it.",
		Table:             "databasechangelog",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "rd", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.String("author", 255).For(schema.Admin, "r"),
			schema.String("comments", 255).For(schema.Admin, "r"),
			schema.Date("dateexecuted").NeverNull().For(schema.Admin, "r"),
			schema.String("description", 255).For(schema.Admin, "cru"),
			schema.String("exectype", 10).For(schema.Admin, "r"),
			schema.String("filename", 255).For(schema.Admin, "r"),
			schema.New("id", "string").Bare("").NeverNull().For(schema.Admin, "r"),
			schema.String("liquibase", 20).For(schema.Admin, "r"),
			schema.String("md5sum", 35).For(schema.Admin, "r"),
			schema.Int("orderexecuted").NeverNull().For(schema.Admin, "r"),
			schema.String("tag", 255).For(schema.Admin, "r"),
		},
	},
}
