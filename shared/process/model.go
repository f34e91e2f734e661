package process

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Model is the state machine that the processes of one type make together. It is
// checked where types are declared and where an extension adds a process, so that
// no resource can come to stand where nothing takes it on.
//
//	first ──▶ through ──▶ rest ──▶ through ──▶ … ──▶ end
//	             │          ▲
//	             └─ another ┘  or why not: Forward
type Model struct {
	Type      string
	Processes []*Definition
	First     map[string]string // where a new resource stands, by state column
	Ends      []string          // states that nothing has to lead out of
}

// Check returns all faults as one error, or nil.
func (m Model) Check() error {
	var errs []error
	for _, f := range m.Faults() {
		errs = append(errs, errors.New(f))
	}
	return errors.Join(errs...)
}

// Faults lists in words all that is wrong with the definitions, each naming the
// process and the state in question. There are none if every state is reached from
// the first one, every transitioning state has a way on to a state at rest, a way
// back or a reason for having none, and a deadline, every state at rest that is no
// end has a way out, and delegates and chains fit where they may be asked for.
func (m Model) Faults() []string {
	var out []string
	for _, d := range m.Processes {
		out = append(out, m.alone(d)...)
	}
	if len(out) > 0 {
		return out // what follows would only repeat it
	}
	reached := m.reached()
	for _, d := range m.Processes {
		out = append(out, m.unreached(d, reached)...)
		out = append(out, m.wayOn(d)...)
		out = append(out, m.wayBack(d)...)
		out = append(out, m.handover(d)...)
		out = append(out, m.chains(d)...)
	}
	return out
}

// alone checks a definition by itself, and that it is the only one of its name.
func (m Model) alone(d *Definition) []string {
	var out []string
	if err := d.Check(); err != nil {
		return []string{err.Error()}
	}
	same := 0
	for _, o := range m.Processes {
		if o.Name == d.Name {
			same++
		}
	}
	if same > 1 {
		out = append(out, "two processes are called "+d.Name)
	}
	if prefix := strings.ToLower(m.Type) + "."; !strings.HasPrefix(d.Name, prefix) || d.Name == prefix || d.Name != strings.ToLower(d.Name) {
		out = append(out, fmt.Sprintf("process %s is not called %sverb in lower case", d.Name, prefix))
	}
	if d.Type != m.Type {
		out = append(out, fmt.Sprintf("process %s is one of %s, not of %s", d.Name, d.Type, m.Type))
	}
	if _, ok := m.First[d.StateField()]; !ok {
		out = append(out, fmt.Sprintf("process %s moves %s, of which nobody says where it begins", d.Name, d.StateField()))
	}
	if d.Timeout < 0 || d.Deadline() <= 0 {
		out = append(out, fmt.Sprintf("process %s has no deadline in %s", d.Name, strings.Join(d.under(), " and ")))
	}
	for _, s := range d.under() {
		if d.IsDone(s) {
			out = append(out, fmt.Sprintf("process %s is under way and done in %s alike", d.Name, s))
		}
		if d.IsStart(s) {
			out = append(out, fmt.Sprintf("process %s starts in %s, where it is under way", d.Name, s))
		}
	}
	for s := range d.Through {
		if s != "" && !d.IsStart(s) {
			out = append(out, fmt.Sprintf("process %s says where it goes from %s and does not start there", d.Name, s))
		}
	}
	for s := range d.Done {
		if s != "" && !slices.Contains(d.under(), s) {
			out = append(out, fmt.Sprintf("process %s says where it ends from %s and never comes there", d.Name, s))
		}
	}
	slices.Sort(out)
	return out
}

// under lists the transitioning states of the process in the order of its starts.
func (d *Definition) under() []string {
	var out []string
	for _, s := range d.Start {
		if t, ok := d.Through.Get(s); ok && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// reached lists by column the states to which the processes lead.
func (m Model) reached() map[string][]string {
	out := map[string][]string{}
	for field, s := range m.First {
		out[field] = []string{s}
	}
	for grown := true; grown; {
		grown = false
		for _, d := range m.Processes {
			f := d.StateField()
			for _, t := range d.Transitions() {
				if slices.Contains(out[f], t.From) && !slices.Contains(out[f], t.To) {
					out[f] = append(out[f], t.To)
					grown = true
				}
			}
		}
	}
	return out
}

// unreached checks that something leads to each state in which the process starts.
// To those that follow leads the process itself.
func (m Model) unreached(d *Definition, reached map[string][]string) []string {
	var out []string
	for _, s := range d.Start {
		if !slices.Contains(reached[d.StateField()], s) {
			out = append(out, fmt.Sprintf("process %s starts in %s, to which nothing leads from %s", d.Name, s, m.First[d.StateField()]))
		}
	}
	return out
}

// wayOn checks that the process ends at rest, and that something leads on from there.
func (m Model) wayOn(d *Definition) []string {
	var out []string
	for _, s := range d.under() {
		to, _ := d.Done.Get(s)
		left := slices.Contains(m.Ends, to)
		for _, o := range m.Processes {
			if o.StateField() != d.StateField() {
				continue
			}
			if o.IsTransitioning(to) {
				out = append(out, fmt.Sprintf("process %s has no way on from %s: it ends in %s, where %s is under way", d.Name, s, to, o.Name))
			}
			left = left || o.IsStart(to)
		}
		if !left {
			out = append(out, fmt.Sprintf("process %s ends in %s, out of which nothing leads", d.Name, to))
		}
	}
	return out
}

// wayBack checks that another process can take over in each transitioning state, or
// that it is said why none can. What goes only forward is tried again until it is
// done, and turned back by another process from where it ends: the removal of what
// is half removed is the case in point.
func (m Model) wayBack(d *Definition) []string {
	var out []string
	for _, s := range d.under() {
		other := m.Other(d, s)
		switch {
		case other == nil && d.Forward == "":
			out = append(out, fmt.Sprintf("process %s has no way back from %s: no other process starts there, and it does not say why it goes only forward", d.Name, s))
		case other != nil && d.Forward != "":
			out = append(out, fmt.Sprintf("process %s says that it goes only forward, but %s starts in %s", d.Name, other.Name, s))
		}
	}
	return out
}

// Other returns a process other than d that may start in a transitioning state of d
// and take the resource over, or nil.
func (m Model) Other(d *Definition, state string) *Definition {
	for _, o := range m.Processes {
		if o.Name != d.Name && o.StateField() == d.StateField() && o.IsStart(state) {
			return o
		}
	}
	return nil
}

// handover checks that the delegate has business wherever it may be asked for, and
// that delegates do not go round.
func (m Model) handover(d *Definition) []string {
	if d.Delegate == "" {
		return nil
	}
	next := m.find(d.Delegate)
	if next == nil || next.StateField() != d.StateField() {
		return []string{fmt.Sprintf("process %s has the delegate %s, which does not move %s of %s", d.Name, d.Delegate, d.StateField(), m.Type)}
	}
	seen := []string{d.Name}
	for o := next; o != nil; o = m.find(o.Delegate) {
		if slices.Contains(seen, o.Name) {
			return []string{fmt.Sprintf("process %s is its own delegate: %s", d.Name, strings.Join(append(seen, o.Name), ", "))}
		}
		seen = append(seen, o.Name)
	}
	var out []string
	for _, s := range d.under() {
		if HandOver(d, s, m.find) == nil {
			out = append(out, fmt.Sprintf("process %s may go on as %s, which has no business in %s", d.Name, d.Delegate, s))
		}
	}
	return out
}

// chains checks that what the process may chain to begins where it would have ended.
func (m Model) chains(d *Definition) []string {
	var out []string
	for _, name := range d.Chains {
		next := m.find(name)
		if next == nil || next.StateField() != d.StateField() {
			out = append(out, fmt.Sprintf("process %s chains to %s, which does not move %s of %s", d.Name, name, d.StateField(), m.Type))
			continue
		}
		for _, s := range d.under() {
			if as, reason := Decide(next, d, s, m.find); as != next || reason != Scheduled {
				out = append(out, fmt.Sprintf("process %s chains to %s, which does not start in what follows %s", d.Name, name, s))
			}
		}
	}
	return out
}

func (m Model) find(name string) *Definition {
	for _, d := range m.Processes {
		if d.Name == name {
			return d
		}
	}
	return nil
}
