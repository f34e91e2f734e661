package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// registrationToken is a credential with which a new host may join.
var registrationToken = Kind{
	Type: &schema.Type{
		Name:              "registrationToken",
		Doc:               "A credential with which a new host may join.",
		Parent:            credential.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Overrides: map[string]schema.Access{
			"publicValue": {schema.Admin: "-"},
			"secretValue": {schema.Admin: "-"},
		},
	},
}
