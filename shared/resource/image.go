package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// image is what instances are made from.
var image = Kind{
	Type: &schema.Type{
		Name:              "image",
		Doc:               "What instances are made from.",
		Table:             "image",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "cru", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.String("checksum", 255).For(schema.Admin, "cr").For(schema.User, "r"),
			schema.String("format", 255).For(schema.Admin, "r"),
			schema.Enum("instanceKind", "container", "virtualMachine").Longest(255).For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Int("physicalSizeMb").For(schema.Admin, "r"),
			schema.String("url", 255).For(schema.Admin, "cr").For(schema.User, "r"),
			schema.Int("virtualSizeMb").For(schema.Admin, "r"),
		),
	},
	Processes:          lifecycle("image", nil),
	ActivatesByDefault: true,
}
