package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// nic plugs an instance into a network.
var nic = Kind{
	Type: &schema.Type{
		Name:              "nic",
		Doc:               "Plugs an instance into a network.",
		Table:             "nic",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.Int("deviceNumber").For(schema.Admin, "r"),
			schema.Ref("instanceId", "instance").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.String("macAddress", 128).For(schema.Admin, "r").For(schema.User, "r"),
			schema.Ref("networkId", "network").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Ref("subnetId", "subnet").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Ref("vnetId", "vnet").For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("nic", nil),
}
