package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// agentGroup spreads agents over gateways.
var agentGroup = Kind{
	Type: &schema.Type{
		Name:              "agentGroup",
		Doc:               "Spreads agents over gateways.",
		Table:             "agent_group",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own:    fields(owned),
	},
	Processes: lifecycle("agentGroup", nil),
}
