package resource

import (
	"github.com/cattleio/cattle/shared/schema"
)

// processInstance is one accepted request to run a process.
var processInstance = Kind{
	Type: &schema.Type{
		Name:              "processInstance",
		Doc:               "One accepted request to run a process.",
		Table:             "process_instance",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "r", schema.ReadAdmin: "r"},
		Own: []*schema.Field{
			schema.New("data", "map[json]").For(schema.Admin, "cru"),
			schema.Date("endTime").For(schema.Admin, "r"),
			schema.String("exitReason", 128).For(schema.Admin, "r"),
			schema.Int("id").Bare("").For(schema.Admin, "r"),
			schema.String("phase", 128).For(schema.Admin, "r"),
			schema.Int("priority").Filled("0").For(schema.Admin, "r"),
			schema.String("processName", 128).For(schema.Admin, "r"),
			schema.String("resourceId", 128).For(schema.Admin, "cru"),
			schema.String("resourceType", 128).For(schema.Admin, "r"),
			schema.String("result", 128).For(schema.Admin, "r"),
			schema.String("runningProcessServerId", 128).For(schema.Admin, "cru"),
			schema.String("startProcessServerId", 128).For(schema.Admin, "cru"),
			schema.Date("startTime").Filled("").For(schema.Admin, "r"),

			schema.Int("runEpoch").Ours().Filled("0"),        // raised by every claim; every write of a run carries it
			schema.Int("leaseUntil").Ours(),                  // null unless an attempt runs
			schema.Int("dueAt").Ours().Filled("0"),           // not run before
			schema.Int("attempts").Ours().Filled("0"),        // counted at the claim, so that crashes count
			schema.Int("busyCount").Ours().Filled("0"),       // attempts given back because the resource was held
			schema.Int("wakeSeq").Ours().Filled("0"),         // raised by every bell, part of the job's id
			schema.Int("parentProcessId").Ours(),             // the process whose logic launched this one
			schema.Int("waitAgentId").Ours(),                 // the agent whose reply it waits for
			schema.Bool("holding").Ours().Filled("false"),    // its claims on resources are in force
			schema.Bool("terminated").Ours().Filled("false"), // the attempt before died without a word
			schema.String("lastError", 1024).Ours(),          // of the last attempt that failed, in plain words
			schema.String("step", 1024).Ours(),               // where the last attempt stood: processes and handlers from the top
			schema.String("waitResource", 255).Ours(),        // what was held by another when the last attempt wanted it
			schema.Bool("canceled").Ours().Filled("false"),   // another process has taken the resource over
			schema.Int("heldSince").Ours(),                   // since when holding has been true
		},
	},
	Actions: map[string]Action{
		"retry":  {},
		"cancel": {}, // reason
		"force":  {}, // reason and outcome, both needed
	},
}
