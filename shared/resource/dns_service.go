package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// dnsService answers names inside a network.
var dnsService = Kind{
	Type: &schema.Type{
		Name:              "dnsService",
		Doc:               "Answers names inside a network.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("dns", "array[string]").Stored().Bare("").NeverNull().For(schema.Admin, "cru"),
		},
	},
}
