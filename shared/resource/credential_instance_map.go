package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// credentialInstanceMap puts a credential into an instance.
var credentialInstanceMap = Kind{
	Type: &schema.Type{
		Name:              "credentialInstanceMap",
		Doc:               "Puts a credential into an instance.",
		Table:             "credential_instance_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("credentialId", "credential").For(schema.Admin, "cru"),
			schema.Ref("instanceId", "instance").For(schema.Admin, "cru"),
		),
	},
	Processes: lifecycle("credentialInstanceMap", nil),
}
