package rest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// whyAction is offered by every resource that is on its way. It reads and changes
// nothing, so that whoever sees the resource may ask; it is in no published schema. The
// contract lists the actions of each state without it: a client that knows only those
// never calls it, and one that looks at what is stuck finds it there.
const whyAction = "why"

// explains tells whether a type's resources say what they wait for.
func explains(t *auth.Type) bool {
	return t.Table != "" && t.Allows("GET") && len(resource.All.Processes(t.Type)) > 0
}

// explain answers POST /v1/TYPE/ID?action=why with every process of the resource that
// has not ended, in the order in which they will run.
func (r *request) explain(t *auth.Type, id int64) error {
	row, err := r.visible(t, id)
	if err != nil {
		return err
	}
	whys, err := r.api.Store.WhyOf(r.ctx, row)
	if err != nil {
		return err
	}
	o := open(nil)
	o.raw("id", "null")
	o.text("type", whyAction)
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.text("resourceType", resource.All.Of(row).Name)
	o.key("resourceId")
	o.b = r.appendID(o.b, row.Type().Prefix(), row.ID())
	o.text("state", row.State())
	o.text("for", r.inWords(t, row, whys))
	o.key("processes")
	o.b = append(o.b, '[')
	o.b = joined(o.b, whys, func(b []byte, w *process.Why) []byte { return r.appendWhy(b, w) })
	o.b = append(o.b, ']')
	return r.send(200, o.close())
}

// inWords says what a resource waits for: what its first process does, or why there
// is none.
func (r *request) inWords(t *auth.Type, row *schema.Row, whys []*process.Why) string {
	switch {
	case len(whys) > 0 && r.operates():
		return whys[0].For()
	case len(whys) > 0:
		return whys[0].Public()
	case !resource.All.Moving(row.Type(), row.State()):
		return "nothing: it is " + row.State() + r.silence(row)
	}
	text := "nothing that will come: it is " + row.State() + ", but no process is pending that would take it on, so its record was changed by hand"
	var possible []string
	for _, d := range resource.All.Processes(t.Type) {
		if d.StateField() == "state" && slices.Contains(d.FromStates(), row.State()) {
			possible = append(possible, d.Verb())
		}
	}
	if len(possible) > 0 {
		text += "; from here it can be taken on by " + strings.Join(possible, " or ")
	}
	return text
}

// silence says of an agent, or of a host or an instance behind one, that it cannot be
// reached now.
func (r *request) silence(row *schema.Row) string {
	agent, err := r.api.Store.AgentOf(r.ctx, row)
	if err != nil || agent == nil || agent.Int("disconnectedSince") == 0 || row.Removed() {
		return ""
	}
	what := "its host"
	if row.Type().Name == "agent" {
		what = "it"
	}
	return ", but " + what + " is disconnected since " + process.Moment(agent.Int("disconnectedSince"))
}

// operates tells whether the caller looks after the system: sees processes.
func (r *request) operates() bool { return r.view.Type("processInstance") != nil }

// addWaiting says of a process that has not ended what it waits for, and what can be
// done about it. A list tells less: not who holds what, and not how attempts failed.
func addWaiting(r *request, row *schema.Row, o *object) {
	if w := r.why(row); w != nil {
		o.key("waiting")
		o.b = r.appendWhy(o.b, w)
	}
}

// why reads what a process waits for, once for each that is shown.
func (r *request) why(row *schema.Row) *process.Why {
	if row.Get("endTime") != nil {
		return nil
	}
	if w, ok := r.whys[row.ID()]; ok {
		return w
	}
	w, err := r.api.Store.Why(r.ctx, row, r.focus == row)
	if err != nil { // the rest of the answer is good
		r.api.Log.WarnContext(r.ctx, "nobody can say what a process waits for", "process", row.Str("processName"), "id", row.ID(), "err", err)
	}
	if r.whys == nil {
		r.whys = map[int64]*process.Why{}
	}
	r.whys[row.ID()] = w
	return w
}

// appendWhy writes what a process waits for. To those who see no processes it names
// neither ids nor servers, and of errors only what was meant for them.
func (r *request) appendWhy(b []byte, w *process.Why) []byte {
	all := r.operates()
	o := open(b)
	o.text("kind", string(w.Kind))
	if all {
		o.text("for", w.For())
		o.key("processId")
		o.b = r.appendRef(o.b, resource.All.Type("processInstance").Prefix(), w.ID)
	} else {
		o.text("for", w.Public())
	}
	o.text("process", w.Process)
	o.text("as", w.As)
	o.value("attempts", w.Attempts)
	o.value("busy", w.Busy)
	r.addStep(&o, w, all)
	if w.Agent != nil {
		r.addAgent(&o, w.Agent, all)
	}
	if w.Lock != nil {
		o.key("lock")
		o.b = r.appendLock(o.b, w.Lock, all)
	}
	if w.Position > 0 {
		o.value("position", w.Position)
	}
	o.key("lastErrors")
	o.b = append(o.b, '[')
	o.b = joined(o.b, w.Errors, func(b []byte, e process.WhyError) []byte { return r.appendError(b, e, all) })
	o.b = append(o.b, ']')
	addMoment(&o, "since", w.Since)
	addMoment(&o, "next", w.Next)
	addMoment(&o, "deadline", w.Deadline)
	o.value("overdue", w.Overdue())
	if all {
		o.key("actions")
		o.b = append(o.b, '[')
		o.b = joined(o.b, r.waysOut(w), appendWayOut)
		o.b = append(o.b, ']')
	}
	return o.close()
}

// ids in a path or an error are those of rows that a caller may not know.
var (
	pathIDs = regexp.MustCompile(`:\d+`)
	errIDs  = regexp.MustCompile(`\b([A-Za-z]+) (\d+)\b`)
)

func (r *request) addStep(o *object, w *process.Why, all bool) {
	step := w.Step
	if !all {
		step = pathIDs.ReplaceAllString(step, "")
	}
	for _, part := range [][2]string{{"step", step}, {"handler", w.Handler}} {
		if part[1] == "" {
			o.raw(part[0], "null")
		} else {
			o.text(part[0], part[1])
		}
	}
	if all && w.Server != "" {
		o.text("server", w.Server)
	}
}

func (r *request) addAgent(o *object, a *process.WhyAgent, all bool) {
	if all {
		o.value("agentId", a.ID)
	}
	o.key("agent")
	one := open(o.b)
	if all {
		one.key("id")
		one.b = r.appendRef(one.b, resource.All.Type("agent").Prefix(), a.ID)
		one.text("uuid", a.UUID)
		one.value("name", optional(a.Name))
	}
	one.text("state", a.State)
	addMoment(&one, "disconnectedSince", a.DisconnectedSince)
	o.b = one.close()
}

// appendLock names what is held. To those who see no processes it is a type alone:
// it may belong to somebody else.
func (r *request) appendLock(b []byte, l *process.WhyLock, all bool) []byte {
	o := open(b)
	o.text("resourceType", l.Type)
	if all {
		o.key("resourceId")
		o.b = r.appendRef(o.b, resource.All.Type(l.Type).Prefix(), l.ID)
		o.key("processId")
		o.b = r.appendRef(o.b, resource.All.Type("processInstance").Prefix(), l.Holder)
	}
	o.text("process", l.Name)
	addMoment(&o, "since", l.Since)
	return o.close()
}

func (r *request) appendError(b []byte, e process.WhyError, all bool) []byte {
	text, step := e.Message, e.Step
	if !all {
		step = pathIDs.ReplaceAllString(step, "")
		if !r.api.showInternal() {
			text = e.Public
		}
		if text = withoutIDs(text); text == "" {
			text = "an internal error, which the administrator can read"
		}
	}
	o := open(b)
	addMoment(&o, "time", e.At)
	o.text("step", step)
	o.text("message", text)
	return o.close()
}

// withoutIDs takes the numbers of rows out of a text.
func withoutIDs(text string) string {
	return errIDs.ReplaceAllStringFunc(text, func(found string) string {
		word, _, _ := strings.Cut(found, " ")
		if word == "process" || resource.All.Kind(word) != nil {
			return word
		}
		return found
	})
}

func addMoment(o *object, name string, millis int64) {
	if millis == 0 {
		o.raw(name, "null")
		return
	}
	o.key(name)
	o.b = appendDate(o.b, millis)
}

// waysOut lists what this caller may do about a process.
func (r *request) waysOut(w *process.Why) []process.WayOut {
	if t := r.view.Type("processInstance"); t == nil || len(t.Actions) == 0 {
		return nil
	}
	return resource.All.WaysOut(w)
}

func appendWayOut(b []byte, way process.WayOut) []byte {
	o := open(b)
	o.text("name", way.Name)
	o.text("does", way.Does)
	return o.close()
}

// offersWayOut tells whether an action on a process is safe now.
func offersWayOut(r *request, row *schema.Row, action string) bool {
	w := r.why(row)
	return w != nil && slices.ContainsFunc(r.waysOut(w), func(way process.WayOut) bool { return way.Name == action })
}

// whyNot says why an action on a process is not offered.
func whyNot(r *request, row *schema.Row, action string) string {
	w := r.why(row)
	switch {
	case w == nil:
		return "the process has ended"
	case action == "retry":
		return "an attempt is running"
	case action == "cancel":
		if d := resource.All.Process(w.As); d != nil && d.Forward != "" {
			return fmt.Sprintf("there is no way back from %s: %s", w.State, d.Forward)
		}
		return fmt.Sprintf("there is no way back from %s", w.State)
	}
	return "it neither keeps failing nor takes longer than it should"
}
