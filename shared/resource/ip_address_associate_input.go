package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// ipAddressAssociateInput is the input of the associate action.
var ipAddressAssociateInput = Kind{
	Type: &schema.Type{
		Name:              "ipAddressAssociateInput",
		Doc:               "The input of the associate action.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "cr"},
		Own: []*schema.Field{
			schema.Ref("ipAddressId", "ipAddress").Shown().Bare("c").NeverNull().For(schema.Admin, "cru").For(schema.User, "cr"),
		},
	},
}
