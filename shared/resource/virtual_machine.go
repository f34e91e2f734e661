package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// virtualMachine is an instance with a kernel of its own.
var virtualMachine = Kind{
	Type: &schema.Type{
		Name:              "virtualMachine",
		Doc:               "An instance with a kernel of its own.",
		Parent:            instance.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "crud"},
		Overrides: map[string]schema.Access{
			"compute":          {schema.Admin: "cr", schema.User: "cr"},
			"imageId":          {schema.Admin: "cr", schema.User: "cr"},
			"kind":             {schema.Admin: "r"},
			"memoryMb":         {schema.Admin: "cr", schema.User: "cr"},
			"imageUuid":        {schema.Admin: "cr", schema.User: "cr"},
			"networkIds":       {schema.Admin: "cr", schema.User: "cr"},
			"subnetIds":        {schema.Admin: "cr", schema.User: "cr"},
			"primaryIpAddress": {schema.User: "r"},
			"startOnCreate":    {schema.Admin: "cr", schema.User: "cr"},
		},
		Own: []*schema.Field{
			schema.Int("vcpu").Stored().Bare("c").For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.Ref("publicIpAddressPoolId", "ipPool").Stored().Bare("").For(schema.Admin, "cru"),
			schema.New("libvirtVncAddress", "string").Stored().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("libvirtVncPassword", "string").Stored().Sealed().Bare("").NeverNull().For(schema.Admin, "r"),
		},
	},
}
