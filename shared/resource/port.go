package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// port publishes a port of an instance.
var port = Kind{
	Type: &schema.Type{
		Name:              "port",
		Doc:               "Publishes a port of an instance.",
		Table:             "port",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "ru", schema.ReadAdmin: "r", schema.User: "ru"},
		Own: fields(owned|moving|public,
			schema.Ref("instanceId", "instance").For(schema.Admin, "r").For(schema.User, "r"),
			schema.Ref("privateIpAddressId", "ipAddress").For(schema.Admin, "r").For(schema.User, "r"),
			schema.Int("privatePort").For(schema.Admin, "r").For(schema.User, "r"),
			schema.String("protocol", 128).Filled("").For(schema.Admin, "r").For(schema.User, "r"),
			schema.Ref("publicIpAddressId", "ipAddress").For(schema.Admin, "r").For(schema.User, "r"),
			schema.Int("publicPort").TriggersUpdate().For(schema.Admin, "ru").For(schema.User, "ru"),
		),
	},
	Processes: lifecycle("port", nil),
}
