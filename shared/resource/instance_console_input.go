package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// instanceConsoleInput is the empty input of the console action.
var instanceConsoleInput = Kind{
	Type: &schema.Type{
		Name:              "instanceConsoleInput",
		Doc:               "The empty input of the console action.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r", schema.User: "r"},
	},
}
