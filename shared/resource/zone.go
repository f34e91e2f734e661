package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// zone is where everything is; there is one.
var zone = Kind{
	Type: &schema.Type{
		Name:              "zone",
		Doc:               "Where everything is; there is one.",
		Table:             "zone",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud"},
		Own:    fields(owned),
	},
}
