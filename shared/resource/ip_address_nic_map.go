package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// ipAddressNicMap gives a nic an address.
var ipAddressNicMap = Kind{
	Type: &schema.Type{
		Name:              "ipAddressNicMap",
		Doc:               "Gives a nic an address.",
		Table:             "ip_address_nic_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("ipAddressId", "ipAddress").For(schema.Admin, "cru"),
			schema.Ref("nicId", "nic").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("ipAddressNicMap", nil),
	ActivatesByDefault: true,
}
