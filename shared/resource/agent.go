package resource

import (
	"strings"
	"unicode/utf8"

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

// refusedReports is where the data of an agent says what of its reports is not taken in.
const refusedReports = "refusedReports"

// mostRefused is how many an agent remembers.
const mostRefused = 20

// Judge notes on an agent why something that it reports is not taken in, or with "" that it
// is, and tells whether that is new and has to be saved.
func Judge(agent *schema.Row, typ, uuid, why string) (news bool) {
	what := typ + " " + strings.ToValidUTF8(uuid[:min(len(uuid), 128)], "")
	refused, _ := agent.Data()[refusedReports].(map[string]any)
	old, known := refused[what]
	if !known && (why == "" || len(refused) >= mostRefused) || known && old == why {
		return false
	}
	if refused == nil {
		refused = map[string]any{}
		agent.Data()[refusedReports] = refused
	}
	if refused[what] = why; why == "" {
		delete(refused, what)
	}
	agent.Touch()
	return true
}

// Misfit tells why what an agent reports cannot be taken in with these values, "" if it can:
// known is the row that has its uuid, nil if none has.
func Misfit(agent, known *schema.Row, typ string, values map[string]any) string {
	t := All.Type(typ)
	for _, name := range []string{"uuid", "kind", "name", "description"} {
		text, _ := values[name].(string)
		if utf8.RuneCountInString(text) > *t.Field(name).MaxLength {
			return "its " + name + " is too long"
		}
	}
	kind, said := values["kind"].(string)
	switch {
	case known == nil:
	case t.HasColumn("agentId") && known.Int("agentId") != agent.ID():
		return "it belongs to another agent"
	case said && kind != known.Kind():
		return "it is of kind " + known.Kind()
	}
	return ""
}
