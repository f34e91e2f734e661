package explore

import (
	"fmt"
	"strings"
)

// tell says in words what a step does in a world.
func (m *machine) tell(w *world, s step) string {
	named := func(n uint8) string {
		if n == 0 || n == gone {
			return "a process of the past"
		}
		return fmt.Sprintf("%s (%d)", m.def(w.rows[n-1].def).Name, n)
	}
	who := func(i uint8) string { return "the run of " + named(w.runs[i].row) }
	switch s.kind {
	case read:
		return "somebody asks for " + m.def(s.def).Name + " and the resource is read"
	case launch:
		return "the launch of " + m.def(w.client.def).Name + " is written"
	case drop:
		return "the API server dies"
	case take:
		return "a worker takes the bell of " + named(s.at)
	case send:
		return who(s.at) + " sends its command"
	case obey:
		return "the agent gets the command of " + named(w.orders[s.at].row)
	case refuse:
		return "the agent cannot carry out the command of " + named(w.orders[s.at].row)
	case hear:
		return "the reply to " + named(w.replies[s.at].row) + " arrives"
	case haunt:
		return who(s.at) + ", long replaced, has its reply"
	case giveUp:
		return who(s.at) + " gives up its slot"
	case finish:
		return who(s.at) + " ends it"
	case delegate:
		return who(s.at) + " goes on as " + m.def(w.runs[s.at].as).Delegate
	case chain:
		return who(s.at) + " chains to " + m.def(s.def).Name
	case fail:
		return "the logic of " + named(w.runs[s.at].row) + " fails"
	case compensate:
		return "the logic of " + named(w.runs[s.at].row) + " fails and asks for " + m.def(s.def).Name
	case crash:
		return who(s.at) + " dies"
	case ripen:
		return "the pause of " + named(s.at) + " is over"
	case sweep:
		return "the reconciler rings for " + named(s.at)
	case lapse:
		return "the lease of " + named(s.at) + " runs out"
	case stall:
		return "the run of " + named(s.at) + " stands still until its lease has run out"
	case loseBell:
		return "a bell of " + named(s.at) + " is lost"
	case doubleBell:
		return "a bell of " + named(s.at) + " comes twice"
	case loseOrder:
		return "the command of " + named(w.orders[s.at].row) + " is lost"
	case doubleOrder:
		return "the command of " + named(w.orders[s.at].row) + " comes twice"
	case loseReply:
		return "the reply to " + named(w.replies[s.at].row) + " is lost"
	case doubleReply:
		return "the reply to " + named(w.replies[s.at].row) + " comes twice"
	}
	return "something happens"
}

// show says in words how a world stands.
func (m *machine) show(w *world) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s", m.states[w.state])
	for i := range w.rows {
		r := &w.rows[i]
		if r.def == 0 {
			continue
		}
		fmt.Fprintf(&b, "; %s (%d)", m.def(r.def).Name, i+1)
		if r.end != 0 {
			fmt.Fprintf(&b, " %s", reasons[r.end])
			continue
		}
		for _, mark := range []struct {
			is   bool
			word string
		}{{!r.due, "pauses"}, {r.lease == live, "leased"}, {r.lease == over, "lease over"}, {w.holder == uint8(i+1) && r.holding, "holds it"},
			{r.asked == pending, "waits for its agent"}, {r.asked >= replied, "has its reply"}, {r.canceled, "canceled"}, {r.rung, "rung"}} {
			if mark.is {
				b.WriteString(" " + mark.word)
			}
		}
	}
	b.WriteString("]")
	return b.String()
}
