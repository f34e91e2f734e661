package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// resourcePool records which item of a pool somebody holds.
var resourcePool = Kind{
	Type: &schema.Type{
		Name:              "resourcePool",
		Doc:               "Records which item of a pool somebody holds.",
		Table:             "resource_pool",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned,
			schema.String("item", 255).For(schema.Admin, "r"),
			schema.Int("ownerId").For(schema.Admin, "cru"),
			schema.String("ownerType", 255).For(schema.Admin, "r"),
			schema.Int("poolId").For(schema.Admin, "cru"),
			schema.String("poolType", 255).For(schema.Admin, "r"),
			schema.String("qualifier", 128).Filled("'default'").For(schema.Admin, "r"),
		),
	},
}
