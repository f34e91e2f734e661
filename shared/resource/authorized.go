package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// authorized is the list of the server's own SSH keys.
var authorized = Kind{
	Type: &schema.Type{
		Name:              "authorized",
		Doc:               "The list of the server's own SSH keys.",
		Plural:            "authorized_keys",
		CollectionMethods: []string{"GET"}, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.AgentRegister: "r", schema.Agent: "r"},
	},
}
