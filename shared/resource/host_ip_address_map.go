package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// hostIpAddressMap gives a host an address.
var hostIpAddressMap = Kind{
	Type: &schema.Type{
		Name:              "hostIpAddressMap",
		Doc:               "Gives a host an address.",
		Table:             "host_ip_address_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("hostId", "host").For(schema.Admin, "cru"),
			schema.Ref("ipAddressId", "ipAddress").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("hostIpAddressMap", nil),
	ActivatesByDefault: true,
}
