package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// extensionPoint is a place where logic is plugged in.
var extensionPoint = Kind{
	Type: &schema.Type{
		Name:              "extensionPoint",
		Doc:               "A place where logic is plugged in.",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("excludeSetting", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("implementations", "array[extensionImplementation]").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("includeSetting", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("listSetting", "string").Shown().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("name", "string").Shown().Bare("").NeverNull().For(schema.Admin, "cru"),
		},
	},
}
