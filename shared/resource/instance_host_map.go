package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// instanceHostMap says on which host an instance is placed.
var instanceHostMap = Kind{
	Type: &schema.Type{
		Name:              "instanceHostMap",
		Doc:               "Says on which host an instance is placed.",
		Table:             "instance_host_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("hostId", "host").For(schema.Admin, "cru"),
			schema.Ref("instanceId", "instance").For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("instanceHostMap", nil),
}
