package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// account owns resources and may log in; its kind decides what its callers see.
var account = Kind{
	Type: &schema.Type{
		Name:              "account",
		Doc:               "Owns resources and may log in; its kind decides what its callers see.",
		Table:             "account",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.String("externalId", 255).For(schema.Admin, "cru"),
			schema.String("externalIdType", 128).For(schema.Admin, "cru"),
			schema.String("kind", 255).Filled("").Initial("user").For(schema.Admin, "cr"),
			schema.New("defaultCredentialIds", "array[reference[credential]]").Stored().Bare("").For(schema.Admin, "cru"),
			schema.New("defaultNetworkIds", "array[reference[network]]").Stored().Bare("").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("account", nil),
	ActivatesByDefault: true,
}
