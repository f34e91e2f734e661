package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// ipAssociation lets a public address lead to a private one.
var ipAssociation = Kind{
	Type: &schema.Type{
		Name:              "ipAssociation",
		Doc:               "Lets a public address lead to a private one.",
		Table:             "ip_association",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|moving,
			schema.Ref("childIpAddressId", "ipAddress").For(schema.Admin, "cru"),
			schema.Ref("ipAddressId", "ipAddress").For(schema.Admin, "cru"),
			schema.String("role", 255).For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("ipAssociation", nil),
}
