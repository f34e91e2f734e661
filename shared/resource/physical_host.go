package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// physicalHost is a machine, whatever runs on it.
var physicalHost = Kind{
	Type: &schema.Type{
		Name:              "physicalHost",
		Doc:               "A machine, whatever runs on it.",
		Table:             "physical_host",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own:    fields(owned | moving),
	},
	Processes:          lifecycle("physicalHost", nil),
	ActivatesByDefault: true,
}
