package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// register is the request of one host to join.
var register = Kind{
	Type: &schema.Type{
		Name:   "register",
		Doc:    "The request of one host to join.",
		Plural: "register", Parent: genericObject.Type,
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.Register: "crd"},
		Overrides: map[string]schema.Access{
			"accountId":             {schema.Register: "-"},
			"created":               {schema.Register: "r"},
			"data":                  {schema.Register: "-"},
			"description":           {schema.Register: "cru"},
			"id":                    {schema.Register: "r"},
			"kind":                  {schema.Register: "r"},
			"name":                  {schema.Register: "cru"},
			"removeTime":            {schema.Register: "-"},
			"removed":               {schema.Register: "r"},
			"state":                 {schema.Register: "r"},
			"uuid":                  {schema.Register: "r"},
			"transitioning":         {schema.Register: "r"},
			"transitioningMessage":  {schema.Register: "r"},
			"transitioningProgress": {schema.Register: "r"},
		},
		Filters: map[string][]string{"token": {"eq"}},
		Own: []*schema.Field{
			schema.String("key", 255).Needed().For(schema.Admin, "cr").For(schema.Register, "cr"),
			schema.New("authToken", "string").Stored().Sealed().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.New("accessKey", "string").Stored().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Register, "r"),
			schema.New("secretKey", "string").Stored().Sealed().Bare("").NeverNull().For(schema.Admin, "r").For(schema.Register, "r"),
		},
	},
	Actions: map[string]Action{
		"stop": {Input: "instanceStop", Output: "instance"},
	},
}
