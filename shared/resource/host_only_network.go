package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// hostOnlyNetwork is a network whose virtual networks end at each host.
var hostOnlyNetwork = Kind{
	Type: &schema.Type{
		Name:              "hostOnlyNetwork",
		Doc:               "A network whose virtual networks end at each host.",
		Parent:            network.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("hostVnetUri", "string").Stored().Bare("").For(schema.Admin, "cr"),
			schema.Bool("dynamicCreateVnet").Stored().Bare("").Default(false).For(schema.Admin, "cr"),
		},
	},
}
