package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// subnetIpPool is a pool of all addresses of one subnet.
var subnetIpPool = Kind{
	Type: &schema.Type{
		Name:              "subnetIpPool",
		Doc:               "A pool of all addresses of one subnet.",
		Parent:            ipPool.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.String("gateway", 255).Stored().Bare("c").For(schema.Admin, "cr"),
			schema.String("endAddress", 255).Stored().Bare("c").For(schema.Admin, "cr"),
			schema.Int("cidrSize").Stored().Bare("c").Default(int64(24)).Needed().Between(8, 28).For(schema.Admin, "cr"),
			schema.String("networkAddress", 255).Stored().Bare("c").Needed().For(schema.Admin, "cr"),
			schema.String("startAddress", 255).Stored().Bare("c").For(schema.Admin, "cr"),
		},
	},
}
