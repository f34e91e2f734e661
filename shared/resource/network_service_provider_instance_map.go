package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// networkServiceProviderInstanceMap names the system containers of a provider.
var networkServiceProviderInstanceMap = Kind{
	Type: &schema.Type{
		Name:              "networkServiceProviderInstanceMap",
		Doc:               "Names the system containers of a provider.",
		Table:             "network_service_provider_instance_map",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Ref("instanceId", "instance").For(schema.Admin, "cru"),
			schema.Ref("networkServiceProviderId", "networkServiceProvider").For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("networkServiceProviderInstanceMap", nil),
	ActivatesByDefault: true,
}
