package resource

import (
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// instance is a container or a virtual machine.
var instance = Kind{
	Type: &schema.Type{
		Name:              "instance",
		Doc:               "A container or a virtual machine.",
		Table:             "instance",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "r", schema.ReadAdmin: "r", schema.User: "r"},
		Own: fields(owned|zoned|moving|public,
			schema.Ref("agentId", "agent").For(schema.Admin, "cru"),
			schema.String("allocationState", 255).Initial("inactive").For(schema.Admin, "r"),
			schema.Int("compute").For(schema.Admin, "r"),
			schema.String("domain", 128).For(schema.Admin, "r"),
			schema.Date("firstRunning").For(schema.Admin, "r"),
			schema.String("hostname", 255).For(schema.Admin, "r"),
			schema.Ref("imageId", "image").For(schema.Admin, "cru").For(schema.User, "r"),
			schema.Enum("instanceTriggeredStop", "stop", "remove", "restart").Longest(128).Default("stop").Initial("stop").For(schema.Admin, "cru").For(schema.User, "cru"),
			schema.Int("memoryMb").Default(int64(256)).For(schema.Admin, "r"),
			schema.Ref("offeringId", "offering"),
			schema.String("token", 255).For(schema.Admin, "r"),
			schema.String("userdata", 65535).For(schema.Admin, "cru").For(schema.User, "cru"),
			schema.Ref("requestedHostId", "host").Stored().For(schema.Admin, "cru").For(schema.User, "cr"),
			schema.New("imageUuid", "string").Stored().Bare("c").For(schema.Admin, "r"),
			schema.New("networkIds", "array[reference[network]]").Stored().Bare("").Hidden().For(schema.Admin, "r"),
			schema.New("credentialIds", "array[reference[credential]]").Stored().Bare("").Hidden().For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("ports", "array[string]").Stored().Bare("c").Hidden().For(schema.Admin, "cr").For(schema.User, "cr"),
			schema.New("subnetIds", "array[reference[subnet]]").Stored().Bare("").Hidden().For(schema.Admin, "r"),
			schema.New("vnetIds", "array[reference[vnet]]").Stored().Bare("").Hidden().For(schema.Admin, "cr"),
			schema.New("primaryIpAddress", "string").Stored().Bare("").NeverNull().For(schema.Admin, "r"),
			schema.Bool("startOnCreate").Stored().Bare("c").Default(true).For(schema.Admin, "r"),
			schema.New("validHostIds", "array[reference[host]]").Stored().For(schema.Admin, "cru"),
		),
	},
	Processes: onward(chaining(lifecycle("instance", rename{
		"registering": "creating", "inactive": "stopped", "activating": "starting", "active": "running",
		"updating-active": "updating-running", "deactivating": "stopping", "updating-inactive": "updating-stopped",
		"activate": "start", "deactivate": "stop",
	},
		&process.Definition{Name: "instance.migrate", Start: []string{"running"}, Through: process.To("migrating"), Done: process.To("running"),
			Forward: "it has to be known first on which host the instance runs; then it may be stopped"},
		&process.Definition{Name: "instance.restart", Start: []string{"running"}, Through: process.To("restarting"), Done: process.To("running"), Chains: []string{"instance.stop"},
			Forward: "it goes on as a stop at once, which may be overtaken"},
		allocate("instance"), deallocate("instance"),
	), "instance.stop", "instance.start", "instance.remove"), "instance.stop", map[string]string{"remove": "instance.remove"}),
	Actions: map[string]Action{
		"console": {Input: "instanceConsoleInput", Output: "instanceConsole", Capability: "console", State: "running"},
		"stop":    {Input: "instanceStop"},
	},
}

// Imported is where the data of an instance says that others have begun it.
const Imported = "imported"

// InstanceOptions is where the data of an instance's process says what is to follow:
// HARestart, or start; LostHost is the id of the host that it leaves, which is gone.
const (
	InstanceOptions = "io.cattle.platform.process.instance.InstanceProcessOptions"
	HARestart       = "haRestart"
	LostHost        = "lostHost"
)

// InstanceOption reads one of these out of the data of a process, nil if it is not there.
func InstanceOption(data map[string]any, name string) any {
	options, _ := data[InstanceOptions].(map[string]any)
	return options[name]
}
