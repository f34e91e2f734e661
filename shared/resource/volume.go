package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// volume is a disk of an instance.
var volume = Kind{
	Type: &schema.Type{
		Name:              "volume",
		Doc:               "A disk of an instance.",
		Table:             "volume",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "r", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|zoned|moving|public,
			schema.String("allocationState", 255).Initial("inactive").For(schema.Admin, "r"),
			schema.String("attachedState", 255).For(schema.Admin, "r"),
			schema.Int("deviceNumber").For(schema.Admin, "r").For(schema.User, "r"),
			schema.String("format", 255).For(schema.Admin, "r"),
			schema.Ref("imageId", "image").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Ref("instanceId", "instance").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Ref("offeringId", "offering"),
			schema.Int("physicalSizeMb"),
			schema.Int("virtualSizeMb").For(schema.Admin, "r").For(schema.User, "r"),
		),
	},
	Processes: lifecycle("volume", nil, allocate("volume"), deallocate("volume")),
}
