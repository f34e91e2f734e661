package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// apiVersion is the document at the root of the API.
var apiVersion = Kind{
	Type: &schema.Type{
		Name:              "apiVersion",
		Doc:               "The document at the root of the API.",
		CollectionMethods: nil, ResourceMethods: []string{"GET"},
		Access: schema.Access{schema.SuperAdmin: "r", schema.Admin: "crud", schema.ReadAdmin: "r"},
	},
}
