package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// instanceLink lets one instance find another by a name.
var instanceLink = Kind{
	Type: &schema.Type{
		Name:              "instanceLink",
		Doc:               "Lets one instance find another by a name.",
		Table:             "instance_link",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "ru", schema.ReadAdmin: "r", schema.User: "ru"},
		Own: fields(owned|moving|public,
			schema.Ref("instanceId", "instance").For(schema.Admin, "r").For(schema.User, "r"),
			schema.String("linkName", 255).For(schema.Admin, "r").For(schema.User, "r"),
			schema.Ref("targetInstanceId", "instance").TriggersUpdate().For(schema.Admin, "cru").For(schema.User, "ru"),
			schema.New("ports", "array[json]").Stored().Bare("").NeverNull().For(schema.Admin, "r"),
		),
	},
	Processes: lifecycle("instanceLink", nil),
}
