package resource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
)

// undoes names for each verb the one that leads back from its transitioning state.
// A verb that is missing has no way back: what is being stopped, removed, purged or
// restored goes on, and what is being updated would have to be stopped.
var undoes = map[string]string{
	"create":    "remove",
	"start":     "stop",
	"activate":  "deactivate",
	"reconnect": "deactivate",
	"associate": "disassociate",
	"allocate":  "deallocate",
}

// WayBack returns the process that cancels another from the present state of its
// resource, nil if there is none. What was asked for decides: a resource that is
// being created goes away again, whatever else its creation went on as.
func (c *Catalogue) WayBack(def *process.Definition, state string) *process.Definition {
	now := process.Fitting(def, state, c.Process)
	if now == nil || !now.IsTransitioning(state) {
		return nil
	}
	back := c.Process(strings.ToLower(def.Type) + "." + undoes[def.Verb()])
	if back == nil || back.StateField() != now.StateField() || !back.IsStart(state) {
		return nil
	}
	return back
}

// Origin returns the state at rest from which a process came to a transitioning
// state, "" if there is none: what is being created was nothing before.
func (c *Catalogue) Origin(def *process.Definition, state string) string {
	for _, s := range def.Start {
		to, _ := def.Through.Get(s)
		if to == state && s != "requested" && !c.transits(def, s) {
			return s
		}
	}
	return ""
}

// transits tells whether a state of the field that def moves is one on the way.
func (c *Catalogue) transits(def *process.Definition, state string) bool {
	return slices.ContainsFunc(c.byName[strings.ToLower(def.Type)].Processes, func(d *process.Definition) bool {
		return d.StateField() == def.StateField() && d.IsTransitioning(state)
	})
}

// Forced returns where an outcome puts a resource whose process is ended without its
// logic, and whether that can be. A state that the process does not move is left.
func (c *Catalogue) Forced(name, state, outcome string) (to string, ok bool) {
	def := c.Process(name)
	if def == nil {
		return "", false
	}
	now := process.Fitting(def, state, c.Process)
	switch {
	case now == nil || now.IsDone(state) && !now.IsTransitioning(state):
		return state, true
	case outcome == process.OutcomeError && !now.IsTransitioning(state):
		return state, true
	case outcome == process.OutcomeError:
		to = c.Origin(now, state)
		return to, to != ""
	case now.IsStart(state) && !now.IsTransitioning(state):
		state, _ = now.Through.Get(state)
	}
	return now.Done.Get(state)
}

// WaysOut lists what an administrator can safely do about a process that has not
// ended, each with what it will do.
func (c *Catalogue) WaysOut(w *process.Why) []process.WayOut {
	var out []process.WayOut
	if !w.Active() {
		out = append(out, process.WayOut{Name: "retry", Does: retryDoes(w)})
	}
	if back := c.backFrom(w); back != nil {
		out = append(out, process.WayOut{Name: "cancel", Does: c.cancelDoes(w, back)})
	}
	if w.Forceable() {
		out = append(out, process.WayOut{Name: "force", Does: c.forceDoes(w)})
	}
	return out
}

func (c *Catalogue) backFrom(w *process.Why) *process.Definition {
	if def := c.Process(w.Process); def != nil {
		return c.WayBack(def, w.State)
	}
	return nil
}

func retryDoes(w *process.Why) string {
	kept := fmt.Sprintf(" The %d attempts counted so far stay counted.", w.Attempts)
	switch w.Kind {
	case process.ForAgent:
		return "Asks the agent again now, under the same id, so that it does nothing twice. This costs none of the times that it is asked." + kept
	case process.ForHandler:
		return "Asks the handler outside again now, under the same id." + kept
	case process.ForResource:
		return "Looks now whether the resource is free. It is not taken from whoever holds it." + kept
	case process.ForRetry:
		return "Makes the next attempt now instead of at " + process.Moment(w.Next) + "." + kept
	case process.ForServer:
		return "Looks now for a server that knows the process." + kept
	}
	return "Calls a worker once more. It changes nothing else." + kept
}

func (c *Catalogue) cancelDoes(w *process.Why, back *process.Definition) string {
	through, _ := back.Through.Get(w.State)
	done, _ := back.Done.Get(through)
	text := fmt.Sprintf("Launches %s, which takes the %s from %s by %s to %s and undoes with its own steps what has been done. %s ends as CANCELED; the reason is kept with both.",
		back.Name, w.Type, w.State, through, done, w.Process)
	if w.Active() {
		text += fmt.Sprintf(" %s begins once the attempt that runs has let go of the %s.", back.Name, w.Type)
	}
	return text
}

func (c *Catalogue) forceDoes(w *process.Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Ends %s without running its logic; an attempt that still runs may write nothing more. Needs a reason, which is kept, and an outcome.", w.Process)
	def := c.Process(w.Process)
	if def == nil || process.Fitting(def, w.State, c.Process) == nil {
		fmt.Fprintf(&b, " The %s stays %s.", w.Type, w.State)
	} else {
		if to, ok := c.Forced(w.Process, w.State, process.OutcomeDone); ok {
			fmt.Fprintf(&b, " With done the %s is shown as %s although nothing has made sure that it is.", w.Type, to)
		}
		if to, ok := c.Forced(w.Process, w.State, process.OutcomeError); ok {
			fmt.Fprintf(&b, " With error it is %s and shows the reason as its error.", to)
		} else {
			fmt.Fprintf(&b, " The outcome error is refused: it was nothing before it was %s.", w.State)
		}
	}
	b.WriteString(" No agent is told: one that has been given a command may carry it out yet, and keeps what it holds")
	if w.Agent != nil {
		fmt.Fprintf(&b, " (agent %d was asked for %s)", w.Agent.ID, or(w.Asked, "something"))
	}
	b.WriteString(". Look at its host, and stop or remove what should not be there.")
	return b.String()
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
