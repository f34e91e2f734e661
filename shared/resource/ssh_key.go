package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// sshKey is a key pair for logging in to instances.
var sshKey = Kind{
	Type: &schema.Type{
		Name:              "sshKey",
		Doc:               "A key pair for logging in to instances.",
		Parent:            credential.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
