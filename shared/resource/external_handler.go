package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// externalHandler is logic outside the server that listens on the event stream.
var externalHandler = Kind{
	Type: &schema.Type{
		Name:              "externalHandler",
		Doc:               "Logic outside the server that listens on the event stream.",
		Table:             "external_handler",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r"},
		Own: fields(moving,
			schema.Int("priority").For(schema.Admin, "cru"),
			schema.Enum("priorityName", "pre", "specific", "default_override").Stored().Bare("").NeverNull().Default("specific").For(schema.Admin, "r"),
			schema.New("processNames", "array[string]").Stored().Bare("").NeverNull().Needed().Hidden().For(schema.Admin, "cr"),
			schema.Int("retries").Stored().Bare("").AtLeast(1).For(schema.Admin, "cru"),
			schema.Int("timeoutMillis").Stored().Bare("").AtLeast(1000).For(schema.Admin, "cru"),
		),
	},
	Processes:          lifecycle("externalHandler", nil),
	ActivatesByDefault: true,
}
