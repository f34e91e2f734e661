package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// subnet is a range of addresses of a network.
var subnet = Kind{
	Type: &schema.Type{
		Name:              "subnet",
		Doc:               "A range of addresses of a network.",
		Table:             "subnet",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.Int("cidrSize").Default(int64(24)).Needed().Between(8, 28).For(schema.Admin, "cr"),
			schema.String("endAddress", 255).For(schema.Admin, "cr"),
			schema.String("gateway", 255).For(schema.Admin, "cr"),
			schema.Ref("ipPoolId", "ipPool").For(schema.Admin, "cru"),
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru"),
			schema.String("networkAddress", 255).Needed().For(schema.Admin, "cr"),
			schema.Ref("networkId", "network").Needed().For(schema.Admin, "cru").For(schema.User, "r"),
			schema.String("startAddress", 255).For(schema.Admin, "cr"),
		),
	},
	Processes:          lifecycle("subnet", nil),
	ActivatesByDefault: true,
}
