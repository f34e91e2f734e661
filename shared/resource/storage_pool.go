package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// storagePool is a place where volumes and images are kept.
var storagePool = Kind{
	Type: &schema.Type{
		Name:              "storagePool",
		Doc:               "A place where volumes and images are kept.",
		Table:             "storage_pool",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(owned|zoned|moving,
			schema.Ref("agentId", "agent").For(schema.Admin, "cru"),
			schema.Bool("external").Filled("false").For(schema.Admin, "cru"),
			schema.Int("physicalTotalSizeMb"),
			schema.Int("virtualTotalSizeMb"),
		),
	},
	Processes:          lifecycle("storagePool", nil),
	ActivatesByDefault: true,
}
