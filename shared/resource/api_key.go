package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// apiKey is a credential for callers of the API.
var apiKey = Kind{
	Type: &schema.Type{
		Name:              "apiKey",
		Doc:               "A credential for callers of the API.",
		Parent:            credential.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "crud"},
		Overrides: map[string]schema.Access{
			"publicValue": {schema.User: "r"},
			"secretValue": {schema.User: "r"},
		},
	},
}
