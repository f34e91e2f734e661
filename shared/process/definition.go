// Package process says what a process is: a named move of a resource from a
// start state through a transitioning state to a done state, and what the logic
// attached to it may ask for and answer.
//
//	start ──launch──▶ transitioning ──all logic ran──▶ done
//	                    ▲       └─ retry, crash ─┐
//	                    └────────────────────────┘
//
// It decides in values and writes nothing; running processes is the engine's
// business, declaring them the business of package resource.
package process

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Definition is the static description of a process.
type Definition struct {
	Name     string // type.verb in lower case
	Type     string // base type of the resource, in camel case
	Field    string // the column it moves; "" means state
	Start    []string
	Through  Map      // start state to transitioning state
	Done     Map      // transitioning state to done state
	Delegate string   // continues as this process when its own states do not fit, or when logic asks for it
	Chains   []string // processes that its logic may go on as, instead of the done state
	// Onward names, by what is true in the data of the process, one of Chains that it goes
	// on as also where another has done its own work: that is not all that was asked for.
	Onward map[string]string
	// Forward says in words why no other process may take the resource over while
	// this one is under way. Without it one must be able to.
	Forward string
	Timeout time.Duration // how long the move may take before it is overdue; 0 means DefaultDeadline. See Deadline
}

// DefaultDeadline is how long a process may take whose definition says nothing
// else. Nearly every move ends within seconds; the longest that is in good order
// pulls an image onto a host, or waits for an agent that is being restarted, and
// both are over well within ten minutes. A shorter one would cry over slow
// networks, a longer one would tell of a stuck resource only after its user has.
const DefaultDeadline = 10 * time.Minute

// Map takes a state to the next one. The entry with key "" stands for any state
// that has no entry of its own.
type Map map[string]string

// To maps every state to one.
func To(state string) Map { return Map{"": state} }

// Get returns the state that follows s.
func (m Map) Get(s string) (string, bool) {
	if t, ok := m[s]; ok && s != "" {
		return t, true
	}
	t, ok := m[""]
	return t, ok
}

// Next returns what the process goes on as where its own work is found done, "" for
// nothing.
func (d *Definition) Next(data map[string]any) string {
	for name, next := range d.Onward {
		if asked, _ := data[name].(bool); asked {
			return next
		}
	}
	return ""
}

// StateField returns the column the process moves.
func (d *Definition) StateField() string {
	if d.Field == "" {
		return "state"
	}
	return d.Field
}

// Verb returns the part of the name after the dot: the name of its action.
func (d *Definition) Verb() string { return d.Name[strings.IndexByte(d.Name, '.')+1:] }

// Deadline is how long a resource may stand in a transitioning state of the
// process. One that stands there longer is overdue: the watchdog counts and names
// it, so that somebody looks. Nothing is stopped by it: the process goes on until
// it is done or says why not.
func (d *Definition) Deadline() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return DefaultDeadline
}

// IsStart tells whether the process may begin in s.
func (d *Definition) IsStart(s string) bool { return slices.Contains(d.Start, s) }

// IsTransitioning tells whether s is a state in which this process is under way.
func (d *Definition) IsTransitioning(s string) bool {
	for _, t := range d.Through {
		if t == s {
			return true
		}
	}
	_, ok := d.Done[s]
	return ok && s != ""
}

// IsDone tells whether s is a state in which this process ends.
func (d *Definition) IsDone(s string) bool {
	for _, t := range d.Done {
		if t == s {
			return true
		}
	}
	return false
}

// Fits tells whether the process has any business in s.
func (d *Definition) Fits(s string) bool { return d.IsStart(s) || d.IsTransitioning(s) || d.IsDone(s) }

// Transitions lists the moves of the process, transitioning first, in a fixed
// order.
func (d *Definition) Transitions() []Transition {
	var out []Transition
	through := map[string]bool{}
	for _, s := range d.Start {
		to, _ := d.Through.Get(s)
		out = append(out, Transition{"TRANSITIONING", s, to, d.StateField()})
		through[to] = true
	}
	names := make([]string, 0, len(through))
	for s := range through {
		names = append(names, s)
	}
	slices.Sort(names)
	for _, s := range names {
		to, _ := d.Done.Get(s)
		out = append(out, Transition{"DONE", s, to, d.StateField()})
	}
	return out
}

// Transition is one move of a process.
type Transition struct{ Type, From, To, Field string }

// FromStates lists the states in which the action of the process is offered: its
// start states and its own transitioning states.
func (d *Definition) FromStates() []string {
	var out []string
	for _, t := range d.Transitions() {
		if !slices.Contains(out, t.From) {
			out = append(out, t.From)
		}
	}
	return out
}

// Check returns what is wrong with a definition by itself.
func (d *Definition) Check() error {
	for _, s := range d.Start {
		t, ok := d.Through.Get(s)
		if !ok {
			return fmt.Errorf("process %s has no transitioning state from %s", d.Name, s)
		}
		if _, ok := d.Done.Get(t); !ok {
			return fmt.Errorf("process %s has no done state from %s", d.Name, t)
		}
	}
	if len(d.Start) == 0 {
		return fmt.Errorf("process %s starts nowhere", d.Name)
	}
	return nil
}
