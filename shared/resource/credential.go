package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// credential is a key that opens an account, or one that is put into instances.
var credential = Kind{
	Type: &schema.Type{
		Name:              "credential",
		Doc:               "A key that opens an account, or one that is put into instances.",
		Table:             "credential",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|moving|public,
			schema.String("publicValue", 4096).For(schema.Admin, "cru"),
			schema.String("secretValue", 4096).Sealed().For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("credential", nil),
	ActivatesByDefault: true,
}
