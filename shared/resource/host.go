package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// host is a machine, as one hypervisor on it sees it.
var host = Kind{
	Type: &schema.Type{
		Name:              "host",
		Doc:               "A machine, as one hypervisor on it sees it.",
		Table:             "host",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|zoned|moving|public,
			schema.Ref("agentId", "agent").For(schema.Admin, "cru"),
			schema.Int("computeFree").Initial(int64(1000000)).For(schema.Admin, "cru"),
			schema.Int("computeTotal").Initial(int64(1000000)).For(schema.Admin, "cru"),
			schema.Bool("isPublic").Filled("false").For(schema.Admin, "cru"),
			schema.Ref("physicalHostId", "physicalHost").For(schema.Admin, "cru"),
			schema.String("uri", 255).For(schema.Admin, "r"),
		),
	},
	Processes:          lifecycle("host", nil),
	ActivatesByDefault: true,
}
