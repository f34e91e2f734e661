package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// container is an instance that shares its host's kernel.
var container = Kind{
	Type: &schema.Type{
		Name:              "container",
		Doc:               "An instance that shares its host's kernel.",
		Parent:            instance.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "crud"},
		Overrides: map[string]schema.Access{
			"compute":          {schema.Admin: "cr"},
			"imageId":          {schema.Admin: "cr", schema.User: "cr"},
			"kind":             {schema.Admin: "r"},
			"uuid":             {schema.Admin: "r"},
			"imageUuid":        {schema.Admin: "cr", schema.User: "cr"},
			"networkIds":       {schema.Admin: "cr", schema.User: "cr"},
			"subnetIds":        {schema.Admin: "cr", schema.User: "cr"},
			"primaryIpAddress": {schema.User: "r"},
			"startOnCreate":    {schema.Admin: "cr", schema.User: "cr"},
		},
		Own: []*schema.Field{
			schema.String("hostname", 255).Shortest(1).For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("environment", "map[string]").Stored().Bare("c").NeverNull().For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("command", "string").Stored().Bare("c").Shortest(1).For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("commandArgs", "array[string]").Stored().Bare("c").For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("directory", "string").Stored().Bare("c").Shortest(1).For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("user", "string").Stored().Bare("c").Shortest(1).For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.Bool("privileged").Stored().Bare("").Default(false).For(schema.Admin, "cr"),
			schema.New("instanceLinks", "map[reference[instance]]").Stored().Bare("c").Hidden().For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("dockerPorts", "map[string]").Stored().Bare("").NeverNull(),
			schema.New("dockerHostIp", "string").Stored().Bare("").NeverNull(),
			schema.New("dockerIp", "string").Stored().Bare("").NeverNull(),
			schema.New("dockerVolumes", "array[string]").Stored().Bare("").For(schema.Admin, "cr"),
		},
	},
}
