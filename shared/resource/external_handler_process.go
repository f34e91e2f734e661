package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// externalHandlerProcess is a process name that external handlers are attached to.
var externalHandlerProcess = Kind{
	Type: &schema.Type{
		Name:              "externalHandlerProcess",
		Doc:               "A process name that external handlers are attached to.",
		Table:             "external_handler_process",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own:    fields(moving),
	},
	Processes:          lifecycle("externalHandlerProcess", nil),
	ActivatesByDefault: true,
}
