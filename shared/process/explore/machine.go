package explore

import (
	"cmp"
	"slices"

	"github.com/cattleio/cattle/shared/process"
)

// The bounds of a world. A step that would go beyond them is not taken.
const (
	mostRows  = 6
	mostRuns  = 3
	mostOnWay = 2 // commands, and replies, on their way at once
)

// world is everything at one moment. It is a value, so that two moments can be
// compared; tidy gives worlds that differ in names alone one form.
type world struct {
	state    uint8 // of the resource
	holder   uint8 // the process that has claimed the resource; 0 for none
	claim    uint8 // the number of that claim
	obeyed   uint8 // the highest number that the agent has seen
	host     uint8 // as which definition its last command was sent
	leg      bool  // and that after its run had gone on as a delegate
	last     uint8 // as which definition the last process was done
	faults   uint8 // so far
	launches uint8 // so far
	client   client
	rows     [mostRows]row
	runs     [mostRuns]run
	orders   [mostOnWay]order
	replies  [mostOnWay]reply
}

// row is a process instance. Places are counted from 1; 0 names none.
type row struct {
	def      uint8 // as launched; 0 if there is no row
	end      uint8 // the reason, 0 while it is pending
	due      bool
	lease    lease
	holding  bool // what it has claimed stays its own
	woken    bool // since it was claimed last
	child    bool // it has begotten the process chained to it
	word     bool // a client, who had read what was so, asked for the state it ends in
	canceled bool // the database knows that it is taken
	taken    bool // another process has taken the resource over
	asked    asked
	as       uint8 // the definition that asked
	rung     bool  // a bell is in the queue
}

type lease uint8

const (
	free lease = iota
	live
	over
)

// asked is what the database knows of a command that the process waits for.
type asked uint8

const (
	nothing asked = iota
	pending
	replied
	refused // the reply was an error
)

// run is one attempt in a worker's slot.
type run struct {
	row   uint8 // 0 for a free slot
	at    place
	as    uint8 // the definition as which it goes on
	seen  uint8 // the state that it has read or set
	stale bool  // the resource was written by somebody else since
	owns  bool  // it has the last claim of its process
	dirty bool  // seen is not written yet
	known asked // when claimed
	claim uint8 // the number that orders its commands
	leg   bool  // it has gone on as a delegate
}

// place is how far a run has come.
type place uint8

const (
	ready    place = iota // to send its command
	waiting               // for the reply
	answered              // and free to end
	parted                // the first of two transactions that should be one is written
)

// client is an API server between reading the resource and writing the launch.
type client struct {
	def   uint8 // 0 for none
	seen  uint8
	stale bool
	part  bool // the first of two transactions that should be one is written
}

// order is a command on its way, reply what comes back. A command is wanted as long
// as somebody knows its id.
type order struct {
	row, claim, as uint8
	there, wanted  bool
	leg            bool
}

type reply struct {
	row   uint8
	as    uint8 // who asked
	there bool
	fails bool
}

// gone stands for a process that has ended and is remembered by nobody.
const gone = 255

// machine knows the definitions behind the numbers in a world.
type machine struct {
	plan    Plan
	defs    []*process.Definition // place 1 is defs[0]
	states  []string
	legal   map[[2]uint8]bool
	moving  []bool     // by state
	misfits [][]bool   // by state and definition: has no business there
	opposed [][][]bool // by state and two definitions: the second would undo what the first joins there
	fault   string     // the promise broken by the step being taken
}

func newMachine(p Plan) *machine {
	if p.Workers == 0 {
		p.Workers = 2
	}
	if p.OnWay == 0 {
		p.OnWay = mostOnWay
	}
	m := &machine{plan: p, defs: p.Processes, legal: map[[2]uint8]bool{}}
	for _, d := range m.defs {
		for _, t := range d.Transitions() {
			m.legal[[2]uint8{m.state(t.From), m.state(t.To)}] = true
		}
	}
	for _, d := range m.defs { // a chain passes over the done state
		for _, t := range d.Transitions() {
			for _, name := range d.Chains {
				if next := m.find(name); t.Type == "DONE" && next != nil {
					m.legal[[2]uint8{m.state(t.From), m.state(process.Enter(next, d, t.From))}] = true
				}
			}
		}
	}
	m.moving, m.misfits = make([]bool, len(m.states)), make([][]bool, len(m.states))
	for i, s := range m.states {
		over := process.Misfits(m.defs, p.Subject.StateField(), s, m.delegates)
		for _, d := range m.defs {
			m.misfits[i] = append(m.misfits[i], slices.Contains(over, d.Name))
		}
		m.opposed = append(m.opposed, nil)
		for _, by := range m.defs {
			back, one := process.Opposed(m.defs, by, s, m.delegates), []bool{}
			for _, d := range m.defs {
				one = append(one, slices.Contains(back, d.Name))
			}
			m.opposed[i] = append(m.opposed[i], one)
		}
		m.moving[i] = slices.ContainsFunc(m.defs, func(d *process.Definition) bool { return d.IsTransitioning(s) })
	}
	return m
}

func (m *machine) state(s string) uint8 {
	i := slices.Index(m.states, s)
	if i < 0 {
		i = len(m.states)
		m.states = append(m.states, s)
	}
	return uint8(i)
}

func (m *machine) find(name string) *process.Definition {
	for _, d := range m.defs {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// delegates finds the delegate of a process.
func (m *machine) delegates(name string) *process.Definition {
	if m.plan.broken == noDelegate {
		return nil
	}
	return m.find(name)
}

func (m *machine) def(n uint8) *process.Definition { return m.defs[n-1] }

func (m *machine) number(d *process.Definition) uint8 {
	for i, o := range m.defs {
		if o == d {
			return uint8(i + 1)
		}
	}
	return 0
}

// first is the world after the launch of the subject.
func (m *machine) first() world {
	w := world{}
	w.state = m.state(process.Enter(m.plan.Subject, nil, m.plan.From))
	w.rows[0] = row{def: m.number(m.plan.Subject), due: true, rung: true}
	return w
}

// atRest tells whether all have done what they had to do.
func (m *machine) atRest(w *world) bool {
	if w.client.def != 0 || m.moving[w.state] {
		return false
	}
	for i := range w.rows {
		if w.rows[i].def != 0 && w.rows[i].end == 0 {
			return false
		}
	}
	for i := range w.runs {
		if w.runs[i].row != 0 {
			return false
		}
	}
	return true
}

// noticed tells whether no process is left whose resource was taken from it.
func (m *machine) noticed(w *world) bool {
	for i := range w.rows {
		r := &w.rows[i]
		if r.def != 0 && r.end == 0 && (r.canceled || m.misfits[w.state][r.def-1]) {
			return false
		}
	}
	return true
}

// tidy forgets what can make no difference any more, and gives what is left its one
// order: processes by age, all else by its value.
func (m *machine) tidy(w *world) {
	var named [mostRows + 1]bool
	for i := range w.runs {
		named[w.runs[i].row] = true
	}
	if w.holder != 0 && w.rows[w.holder-1].end != 0 {
		w.holder = 0 // who has ended holds nothing
	}
	var to [mostRows + 1]uint8
	n := uint8(0)
	for i := range w.rows {
		r := w.rows[i]
		if r.def == 0 {
			continue
		}
		if r.end != 0 {
			r = row{def: r.def, end: r.end, child: r.child}
			if !named[i+1] {
				to[i+1] = gone
				continue
			}
		}
		w.rows[n] = r
		n++
		to[i+1] = n
	}
	for i := int(n); i < len(w.rows); i++ {
		w.rows[i] = row{}
	}
	if w.holder != 0 {
		w.holder = to[w.holder]
	}
	for i := range w.runs {
		w.runs[i].row = to[w.runs[i].row]
	}
	for i := range w.orders {
		if o := &w.orders[i]; o.there && o.row != gone {
			o.row = to[o.row]
		}
		if o := &w.orders[i]; !o.there || o.row == gone {
			o.wanted = false
		}
	}
	for i := range w.replies {
		p := &w.replies[i]
		if p.there && (p.row == gone || to[p.row] == gone) {
			*p = reply{}
		} else if p.there {
			p.row = to[p.row]
		}
	}
	m.count(w)
	slices.SortFunc(w.runs[:], compareRuns)
	slices.SortFunc(w.orders[:], func(a, b order) int {
		return cmp.Or(less(b.there, a.there), cmp.Compare(a.row, b.row), cmp.Compare(a.claim, b.claim), cmp.Compare(a.as, b.as), less(a.wanted, b.wanted), less(a.leg, b.leg))
	})
	slices.SortFunc(w.replies[:], func(a, b reply) int {
		return cmp.Or(less(b.there, a.there), cmp.Compare(a.row, b.row), cmp.Compare(a.as, b.as), less(a.fails, b.fails))
	})
}

// count replaces the numbers of claims by their ranks: only their order matters.
func (m *machine) count(w *world) {
	var used [64]bool
	used[0], used[w.claim], used[w.obeyed] = true, true, true
	for i := range w.runs {
		used[w.runs[i].claim] = true
	}
	for i := range w.orders {
		used[w.orders[i].claim] = true
	}
	var rank [64]uint8
	n := uint8(0)
	for i, u := range used {
		rank[i] = n
		if u {
			n++
		}
	}
	w.claim, w.obeyed = rank[w.claim], rank[w.obeyed]
	for i := range w.runs {
		w.runs[i].claim = rank[w.runs[i].claim]
	}
	for i := range w.orders {
		w.orders[i].claim = rank[w.orders[i].claim]
	}
}

func compareRuns(a, b run) int {
	return cmp.Or(less(b.row != 0, a.row != 0), cmp.Compare(a.row, b.row), cmp.Compare(a.at, b.at), cmp.Compare(a.as, b.as),
		cmp.Compare(a.seen, b.seen), less(a.stale, b.stale), less(a.owns, b.owns), less(a.dirty, b.dirty),
		cmp.Compare(a.known, b.known), cmp.Compare(a.claim, b.claim), less(a.leg, b.leg))
}

func less(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
