package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// metadataService tells instances about themselves.
var metadataService = Kind{
	Type: &schema.Type{
		Name:              "metadataService",
		Doc:               "Tells instances about themselves.",
		Parent:            networkService.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.Bool("configDrive").Stored().Bare("").Default(false).For(schema.Admin, "cru"),
		},
	},
}
