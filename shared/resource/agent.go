package resource

import (
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// agent is the program on a host that carries out commands, and the row that stands for it.
var agent = Kind{
	Type: &schema.Type{
		Name:              "agent",
		Doc:               "The program on a host that carries out commands, and the row that stands for it.",
		Table:             "agent",
		CollectionMethods: list, ResourceMethods: change,
		Access: schema.Access{schema.SuperAdmin: "crud", schema.Admin: "crud", schema.ReadAdmin: "r", schema.AgentRegister: "cr", schema.Agent: "r"},
		Own: fields(owned|zoned|moving,
			schema.Ref("accountId", "account").KeepNull().For(schema.Admin, "cru"),
			schema.Ref("agentGroupId", "agentGroup").For(schema.Admin, "cru"),
			schema.Int("id").Bare("").For(schema.Admin, "r").For(schema.Agent, "r"),
			schema.Bool("managedConfig").Filled("true").Default(true).For(schema.Admin, "cru"),
			schema.String("name", 255).For(schema.Admin, "cru").For(schema.Agent, "r"),
			schema.String("uri", 255).OnlyOne().For(schema.Admin, "cru").For(schema.AgentRegister, "cr"),
			schema.Int("disconnectedSince").Ours(), // when it was found that no gateway holds it; null while one does
			schema.New("user", "string").Stored().Bare("c").For(schema.Admin, "cr").For(schema.Agent, "cr").For(schema.AgentRegister, "cr"),
		),
	},
	Processes: lifecycle("agent", nil,
		&process.Definition{Name: "agent.deactivate", Delegate: "agent.remove",
			Start:   []string{"active", "activating", "reconnecting", "updating-active", "updating-inactive"},
			Through: process.To("deactivating"), Done: process.To("inactive")},
		&process.Definition{Name: "agent.reconnect", Start: []string{"active", "activating"},
			Through: process.To("reconnecting"), Done: process.To("active")},
	),
	ActivatesByDefault: true,
}
