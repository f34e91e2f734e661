package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// externalHandlerExternalHandlerProcessMap attaches an external handler to a process name.
var externalHandlerExternalHandlerProcessMap = Kind{
	Type: &schema.Type{
		Name:              "externalHandlerExternalHandlerProcessMap",
		Doc:               "Attaches an external handler to a process name.",
		Table:             "external_handler_external_handler_process_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("externalHandlerId", "externalHandler").For(schema.Admin, "cru"),
			schema.Ref("externalHandlerProcessId", "externalHandlerProcess").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("externalHandlerExternalHandlerProcessMap", nil),
	ActivatesByDefault: true,
}
