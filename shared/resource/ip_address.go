package resource

import (
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// ipAddress is one address.
var ipAddress = Kind{
	Type: &schema.Type{
		Name:              "ipAddress",
		Doc:               "One address.",
		Table:             "ip_address",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.String("address", 255).For(schema.Admin, "cr").For(schema.User, "r"),
			schema.String("hostname", 255).For(schema.Admin, "r"),
			schema.Ref("ipPoolId", "ipPool").For(schema.Admin, "cru"),
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru"),
			schema.Ref("networkId", "network").For(schema.Admin, "r").For(schema.User, "r"),
			schema.String("role", 128).For(schema.Admin, "r"),
			schema.Ref("subnetId", "subnet").For(schema.Admin, "cru").For(schema.User, "r"),
		),
	},
	Processes: chaining(lifecycle("ipAddress", nil,
		&process.Definition{Name: "ipaddress.associate", Start: []string{"active"},
			Through: process.To("associating"), Done: process.To("associated")},
		&process.Definition{Name: "ipaddress.disassociate", Start: []string{"associating", "associated"},
			Through: process.To("disassociating"), Done: process.To("active"),
			Forward: "what is half taken from its address is taken to its end; then it may be associated anew"},
	), "ipaddress.deactivate", "ipaddress.remove"),
	ActivatesByDefault: true,
	Actions: map[string]Action{
		"associate":    {Input: "ipAddressAssociateInput", Output: "ipPool", Capability: "associate"},
		"disassociate": {Capability: "associate"},
	},
}
