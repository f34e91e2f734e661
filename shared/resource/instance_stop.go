package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// instanceStop is the input of the stop action.
var instanceStop = Kind{
	Type: &schema.Type{
		Name:              "instanceStop",
		Doc:               "The input of the stop action.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "cr"},
		Own: []*schema.Field{
			schema.Bool("remove").Shown().Bare("c").For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.Bool("deallocateFromHost").Shown().Bare("c").For(schema.Admin, "cr"),
		},
	},
}
