package explore

import (
	"fmt"

	"github.com/cattleio/cattle/shared/process"
)

// step is one event: what happens, to which place, and with which definition.
type step struct {
	kind kind
	at   uint8
	def  uint8
}

type kind uint8

const (
	read     kind = iota // an API server reads the resource to launch a process
	launch               // and writes the launch
	take                 // a worker takes a bell
	send                 // a run sends its command
	obey                 // the agent carries a command out
	hear                 // a reply arrives
	haunt                // a reply reaches a run that has lost its process
	giveUp               // a run gives up its slot and lets the process wait
	finish               // a run ends its process
	delegate             // a run goes on as the delegate
	chain                // a run hands over to another process
	ripen                // a pause is over
	sweep                // the reconciler finds a process that is due
	lapse                // a lease runs out
	// what goes wrong
	crash      // a worker dies
	fail       // logic fails
	compensate // logic fails, and launches the process that undoes it
	refuse     // the agent answers with an error
	loseBell
	doubleBell
	loseOrder
	doubleOrder
	loseReply
	doubleReply
	stall // a worker stands still until its lease runs out
	drop  // an API server dies between two transactions
)

func (k kind) wrong() bool { return k >= crash }

// needs says whom a step needs besides the servers of the project.
func (k kind) needs() need {
	switch k {
	case ripen, sweep, lapse:
		return clock
	case obey, hear:
		return agent
	}
	return nobody
}

type need uint8

const (
	nobody need = iota
	agent
	clock
)

// steps calls f with every step that may be taken.
func (m *machine) steps(w *world, f func(step)) {
	spare := int(w.faults) < m.plan.Faults
	m.clientSteps(w, spare, f)
	for i := range w.rows {
		if w.rows[i].def != 0 && w.rows[i].end == 0 {
			m.rowSteps(w, uint8(i+1), spare, f)
		}
	}
	for i := 0; i < m.plan.Workers; i++ {
		if w.runs[i].row != 0 {
			m.runSteps(w, uint8(i), spare, f)
		}
	}
	for i := range w.orders {
		if !w.orders[i].there {
			continue
		}
		f(step{kind: obey, at: uint8(i)})
		if spare {
			f(step{kind: loseOrder, at: uint8(i)})
			f(step{kind: doubleOrder, at: uint8(i)})
			f(step{kind: refuse, at: uint8(i)})
		}
	}
	for i := range w.replies {
		if !w.replies[i].there {
			continue
		}
		f(step{kind: hear, at: uint8(i)})
		if spare {
			f(step{kind: loseReply, at: uint8(i)})
			f(step{kind: doubleReply, at: uint8(i)})
		}
	}
}

func (m *machine) clientSteps(w *world, spare bool, f func(step)) {
	if w.client.def != 0 {
		f(step{kind: launch})
		if spare && w.client.part {
			f(step{kind: drop})
		}
		return
	}
	if int(w.launches) >= m.plan.Launches {
		return
	}
	for i, d := range m.defs {
		if _, reason := process.Decide(d, nil, m.states[w.state], m.find); reason == process.Scheduled {
			f(step{kind: read, def: uint8(i + 1)})
		}
	}
}

func (m *machine) rowSteps(w *world, i uint8, spare bool, f func(step)) {
	r := &w.rows[i-1]
	if r.rung {
		if slot(w, m.plan.Workers) >= 0 {
			f(step{kind: take, at: i})
			if spare {
				f(step{kind: doubleBell, at: i})
			}
		}
		if spare {
			f(step{kind: loseBell, at: i})
		}
	}
	if !r.due && r.lease == free {
		f(step{kind: ripen, at: i})
	}
	if r.due && r.lease != live && !r.rung && m.plan.broken != noSweep {
		f(step{kind: sweep, at: i})
	}
	if r.lease == live && m.plan.broken != eternalLease {
		if attended(w, i) {
			if spare {
				f(step{kind: stall, at: i})
			}
		} else {
			f(step{kind: lapse, at: i})
		}
	}
}

func (m *machine) runSteps(w *world, i uint8, spare bool, f func(step)) {
	r := &w.runs[i]
	if spare {
		f(step{kind: crash, at: i})
	}
	switch r.at {
	case ready:
		f(step{kind: send, at: i})
	case waiting:
		f(step{kind: giveUp, at: i})
		if !r.owns {
			f(step{kind: haunt, at: i})
		}
	case parted:
		f(step{kind: finish, at: i})
	case answered:
		f(step{kind: finish, at: i})
		as := m.def(r.as)
		if process.HandOver(as, m.states[r.seen], m.find) != nil {
			f(step{kind: delegate, at: i})
		}
		for _, name := range as.Chains {
			f(step{kind: chain, at: i, def: m.number(m.find(name))})
		}
		if !spare {
			return
		}
		f(step{kind: fail, at: i})
		for n, d := range m.defs {
			if d != as && d.IsStart(m.states[r.seen]) {
				f(step{kind: compensate, at: i, def: uint8(n + 1)})
			}
		}
	}
}

// slot returns a free slot of a worker, or -1.
func slot(w *world, workers int) int {
	for i := 0; i < workers; i++ {
		if w.runs[i].row == 0 {
			return i
		}
	}
	return -1
}

// attended tells whether a run that believes to have the process is alive.
func attended(w *world, i uint8) bool {
	for k := range w.runs {
		if w.runs[k].row == i && w.runs[k].owns {
			return true
		}
	}
	return false
}

// take lets a step happen. It is always the whole of it: what cannot be written is
// not there at all.
func (m *machine) take(w *world, s step) {
	if s.kind.wrong() {
		w.faults++
	}
	switch s.kind {
	case read:
		w.launches++
		w.client = client{def: s.def, seen: w.state}
	case launch:
		m.launch(w)
	case drop:
		w.client = client{}
	case take:
		w.rows[s.at-1].rung = false
		m.claim(w, s.at)
	case doubleBell:
		m.claim(w, s.at) // and the bell is still there
	case send:
		m.send(w, s.at)
	case obey, refuse:
		m.obey(w, s.at, s.kind == refuse)
	case hear:
		m.hear(w, s.at)
	case haunt:
		w.runs[s.at].at = answered
	case giveUp:
		m.suspend(w, s.at)
	case finish:
		m.finish(w, s.at)
	case delegate:
		m.delegate(w, s.at)
	case chain:
		m.chain(w, s.at, s.def)
	case fail:
		m.failed(w, s.at, false)
	case compensate:
		m.compensate(w, s.at, s.def)
	case crash, loseBell, loseOrder, doubleOrder, loseReply, doubleReply, stall, lapse, ripen, sweep:
		m.happen(w, s)
	}
}

// happen is what concerns one place only.
func (m *machine) happen(w *world, s step) {
	switch s.kind {
	case crash:
		m.leave(w, s.at)
	case loseBell:
		w.rows[s.at-1].rung = false
	case loseOrder:
		w.orders[s.at] = order{}
	case doubleOrder:
		o := w.orders[s.at]
		m.post(w, o)
	case loseReply:
		w.replies[s.at] = reply{}
	case doubleReply:
		m.answer(w, w.replies[s.at])
	case stall, lapse:
		w.rows[s.at-1].lease = over
	case ripen:
		w.rows[s.at-1].due, w.rows[s.at-1].rung = true, true
	case sweep:
		w.rows[s.at-1].rung = true
	}
}

// wake makes a process due now, also if it is running: then it looks again.
func wake(r *row) { r.due, r.woken, r.rung = true, true, true }

// broke notes a broken promise.
func (m *machine) broke(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

// move writes the state. Everybody else's copy is old from now on.
func (m *machine) move(w *world, seen, to uint8, by *run) {
	if w.state != seen {
		m.broke("it writes %s over %s, having read %s", m.states[to], m.states[w.state], m.states[seen])
	}
	if to != seen && !m.legal[[2]uint8{seen, to}] {
		m.broke("no process leads from %s to %s", m.states[seen], m.states[to])
	}
	w.state = to
	m.written(w, by)
	for i := range w.rows {
		if r := &w.rows[i]; r.def != 0 && r.end == 0 && to != seen && (by == nil || by.row != uint8(i+1)) && m.misfits[to][r.def-1] {
			r.taken = true
		}
	}
}

func (m *machine) written(w *world, by *run) {
	for i := range w.runs {
		if r := &w.runs[i]; r != by && r.row != 0 {
			r.stale = true
		}
	}
	w.client.stale = w.client.def != 0
}

// fenced tells whether a run has lost its right to write. If not, it renews the lease.
func (m *machine) fenced(w *world, i uint8) bool {
	r := &w.runs[i]
	row := &w.rows[r.row-1]
	mine := r.owns && row.end == 0
	if !mine && m.plan.broken != noFence {
		m.leave(w, i)
		return true
	}
	if !mine {
		m.broke("a run writes that has lost its process")
	}
	row.lease = live
	return false
}

// leave frees a slot. Replies to what was asked only in memory find nobody.
func (m *machine) leave(w *world, i uint8) {
	r := w.runs[i]
	w.runs[i] = run{}
	if r.owns && w.rows[r.row-1].asked != pending {
		m.forget(w, r.row)
	}
}

// forget makes the commands of a process unwanted and its replies vain.
func (m *machine) forget(w *world, row uint8) {
	for i := range w.orders {
		if w.orders[i].there && w.orders[i].row == row {
			w.orders[i].wanted = false
		}
	}
	for i := range w.replies {
		if w.replies[i].there && w.replies[i].row == row {
			w.replies[i] = reply{}
		}
	}
}

// born adds a process; the caller has looked for room.
func (m *machine) born(w *world, def uint8) {
	for i := range w.rows {
		if w.rows[i].def == 0 {
			w.rows[i] = row{def: def, due: true, rung: m.plan.broken != bellTooEarly}
			return
		}
	}
}

// wakeOthers makes the other processes of the resource look at once. If the state was
// moved, those that have no business in the new one are canceled. The bell of one that
// is running itself is spared.
func (m *machine) wakeOthers(w *world, before, mover, spared uint8) {
	for i := range w.rows {
		r := &w.rows[i]
		if n := uint8(i + 1); r.def == 0 || r.end != 0 || n == mover || m.plan.broken == noWakeOfOthers {
			continue
		} else if rung := r.rung; n == spared {
			defer func() { r.rung = rung }()
		}
		wake(r)
		r.canceled = r.canceled || before != w.state && m.misfits[w.state][r.def-1]
	}
}

func full(w *world) bool { return w.rows[mostRows-1].def != 0 }

// launch writes what an API server has decided, unless the resource was written since
// it was read.
func (m *machine) launch(w *world) {
	c := w.client
	if full(w) {
		w.client = client{}
		return
	}
	as, _ := process.Decide(m.def(c.def), nil, m.states[c.seen], m.find)
	to := m.state(process.Enter(as, nil, m.states[c.seen]))
	if c.part { // the second half of what should be one
		w.client = client{}
		m.wakeOthers(w, c.seen, 0, 0)
		m.born(w, c.def)
		return
	}
	before := w.state
	if to != c.seen {
		if c.stale && m.plan.broken != noCompareAtLaunch {
			w.client = client{} // 409
			return
		}
		m.move(w, c.seen, to, nil)
	}
	if m.plan.broken == launchInTwo {
		w.client.part = true
		return
	}
	w.client = client{}
	if w.state == to && m.plan.broken != timidWord {
		m.takeBack(w, c.def)
	}
	m.wakeOthers(w, before, 0, 0)
	m.born(w, c.def)
	w.rows[last(w)].word = w.state == to && len(m.def(c.def).Done) == 1
}

// last is the place of the youngest process.
func last(w *world) int {
	i := 0
	for i+1 < mostRows && w.rows[i+1].def != 0 {
		i++
	}
	return i
}

// takeBack cancels what waits and would undo what is launched now.
func (m *machine) takeBack(w *world, by uint8) {
	for i := range w.rows {
		r := &w.rows[i]
		if r.def != 0 && r.end == 0 && !r.holding && m.opposed[w.state][by-1][r.def-1] {
			r.canceled = true
		}
	}
}

// claim takes the process and its resource in one transaction.
func (m *machine) claim(w *world, i uint8) {
	r := &w.rows[i-1]
	if !r.due || r.lease == live {
		return
	}
	for k := range w.runs {
		if o := &w.runs[k]; o.row == i && o.owns {
			o.owns = m.plan.broken == sameEpoch
		}
	}
	if r.asked != pending {
		m.forget(w, i)
	}
	r.lease, r.holding, r.woken = live, true, false
	as, end := process.Settle(m.def(r.def), m.states[w.state], m.delegates)
	if r.canceled && m.plan.broken != forgetCanceled {
		end = process.Canceled
	}
	if m.plan.broken == noSettle && end == process.Canceled {
		as, end = m.def(r.def), ""
	}
	if end != "" {
		m.ended(w, i, end)
		return
	}
	if r.taken {
		m.broke("%s goes on though it was canceled", m.def(r.def).Name)
	}
	if h := w.holder; h != 0 && h != i && w.rows[h-1].end == 0 && w.rows[h-1].holding && m.plan.broken != noHold {
		r.lease, r.holding, r.due = free, false, false
		return
	}
	w.claim++
	w.holder = i
	k := slot(w, m.plan.Workers)
	w.runs[k] = run{row: i, as: m.number(as), seen: w.state, owns: true, claim: w.claim}
	if before, to := w.state, m.state(process.Enter(as, nil, m.states[w.state])); m.plan.broken != quietEntry {
		m.move(w, before, to, &w.runs[k])
		if to != before {
			m.heed(w, i)
			m.wakeOthers(w, before, i, 0)
		}
	} else {
		m.move(w, before, to, &w.runs[k])
	}
	w.runs[k].seen = w.state
	if r.as != m.number(as) { // what it asked as another is not asked for any more
		r.asked = nothing
		m.forget(w, i)
	}
	w.runs[k].known = r.asked
}

// heed looks whether a process that has waited undoes what was asked for after it.
func (m *machine) heed(w *world, i uint8) {
	for k := i; k < mostRows; k++ {
		if o := &w.rows[k]; o.def != 0 && o.end == 0 && o.word && !o.canceled && m.misfits[w.state][o.def-1] {
			m.broke("%s undoes %s, which was asked for after it", m.def(w.rows[i-1].def).Name, m.def(o.def).Name)
		}
	}
}

// ended closes a process and wakes the next in line.
func (m *machine) ended(w *world, i uint8, reason process.Reason) {
	r := &w.rows[i-1]
	if r.end != 0 {
		m.broke("%s ends a second time", m.def(r.def).Name)
	}
	r.end, r.lease, r.holding, r.rung, r.asked = ends(reason), free, false, false, nothing
	m.forget(w, i)
	if reason == process.Chain || m.plan.broken == noSuccessors {
		return // what is chained to has just woken them
	}
	for k := range w.rows {
		if o := &w.rows[k]; o.def != 0 && o.end == 0 && o.lease == free {
			wake(o)
			return
		}
	}
}

var reasons = []process.Reason{"", process.Done, process.AlreadyDone, process.Chain, process.Canceled}

func ends(reason process.Reason) uint8 {
	for i, r := range reasons {
		if r == reason {
			return uint8(i)
		}
	}
	return 0
}

// paused ends an attempt that is not the last.
func (m *machine) paused(w *world, i uint8, holding, soon bool) {
	r := &w.runs[i]
	row := &w.rows[r.row-1]
	row.lease, row.holding = free, holding
	row.due = soon || row.woken && m.plan.broken != wakeLost
	row.rung = row.rung || row.due
	m.leave(w, i)
}

func (m *machine) send(w *world, i uint8) {
	r := &w.runs[i]
	if r.dirty {
		if m.fenced(w, i) {
			return
		}
		if r.stale {
			m.failed(w, i, true)
			return
		}
		m.mine(w, r)
		seen := w.state
		m.move(w, seen, r.seen, r)
		r.dirty = false
	}
	switch r.known {
	case replied:
		r.at = answered
		return
	case refused:
		m.failed(w, i, false)
		return
	}
	o := order{row: r.row, claim: r.claim, as: r.as, leg: r.leg, there: true}
	row := &w.rows[r.row-1]
	o.wanted = row.end == 0 && (r.owns || r.known == pending && row.asked == pending && row.as == r.as)
	if m.post(w, o) || m.replace(w, o) {
		r.at = waiting
	}
}

// mine checks that the process of a run has the resource.
func (m *machine) mine(w *world, r *run) {
	if w.holder != r.row {
		m.broke("two processes work on the resource at once")
	}
}

func (m *machine) post(w *world, o order) bool {
	for i := range w.orders[:m.plan.OnWay] {
		if !w.orders[i].there {
			w.orders[i] = o
			return true
		}
	}
	return false
}

// replace puts a command in the place of an older one that nobody will miss, where no
// more can be under way.
func (m *machine) replace(w *world, o order) bool {
	for i := range w.orders[:m.plan.OnWay] {
		if old := &w.orders[i]; old.row == o.row && old.as == o.as || !old.wanted {
			*old = o
			return true
		}
	}
	return false
}

func (m *machine) answer(w *world, p reply) bool {
	for i := range w.replies[:m.plan.OnWay] {
		if !w.replies[i].there {
			w.replies[i] = p
			return true
		}
	}
	return false
}

// obey is the agent's part. It refuses what a newer claim has overtaken.
func (m *machine) obey(w *world, i uint8, fails bool) {
	o := w.orders[i]
	if o.claim < w.obeyed && m.plan.broken != noNumbers {
		w.orders[i] = order{} // refused: a newer claim has overtaken it
		return
	}
	if o.wanted && !m.answer(w, reply{row: o.row, as: o.as, there: true, fails: fails}) {
		return // no room: later
	}
	w.orders[i] = order{}
	if fails {
		return
	}
	if o.claim == w.obeyed && (w.leg || !o.leg) {
		return // what a run asks for once more, or had asked for before, is done already
	}
	w.obeyed, w.host, w.leg = o.claim, o.as, o.leg
}

// hear delivers a reply to the run that waits for it, or keeps it for the next one.
func (m *machine) hear(w *world, i uint8) {
	p := w.replies[i]
	w.replies[i] = reply{}
	for k := range w.runs {
		r := &w.runs[k]
		if r.row != p.row || r.as != p.as || !r.owns || r.at != waiting {
			continue
		}
		r.at = answered
		if p.fails {
			m.failed(w, uint8(k), false)
		}
		return
	}
	row := &w.rows[p.row-1]
	if row.end != 0 || row.asked != pending || row.as != p.as {
		return
	}
	row.asked = replied
	if p.fails {
		row.asked = refused
	}
	if m.plan.broken == noWakeByReply {
		return
	}
	wake(row)
}

// suspend gives up the slot; the claim on the resource stays.
func (m *machine) suspend(w *world, i uint8) {
	if m.fenced(w, i) {
		return
	}
	r := &w.runs[i]
	w.rows[r.row-1].asked, w.rows[r.row-1].as = pending, r.as
	m.paused(w, i, true, false)
}

// finish moves the resource to the done state and ends the process with it.
func (m *machine) finish(w *world, i uint8) {
	r := &w.runs[i]
	if m.fenced(w, i) {
		return
	}
	as := m.def(r.as)
	if m.plan.broken == endInTwo && r.at != parted {
		r.at = parted
		m.ended(w, r.row, process.Done)
		return
	}
	if r.stale && m.plan.broken != noCompareAtEnd {
		m.failed(w, i, true)
		return
	}
	m.mine(w, r)
	to, _ := as.Done.Get(m.states[r.seen])
	m.move(w, r.seen, m.state(to), r)
	w.last = r.as
	if r.at != parted {
		m.ended(w, r.row, process.Done)
	}
	w.runs[i] = run{}
}

// delegate goes on as another process. What that writes is written with its command.
func (m *machine) delegate(w *world, i uint8) {
	r := &w.runs[i]
	next := process.HandOver(m.def(r.as), m.states[r.seen], m.find)
	if to := m.state(process.Enter(next, nil, m.states[r.seen])); to != r.seen {
		r.seen, r.dirty = to, true
	}
	r.as, r.at, r.known, r.leg = m.number(next), ready, nothing, true
	w.rows[r.row-1].asked = nothing
	m.forget(w, r.row)
}

// chain ends the process with the birth of the next one.
func (m *machine) chain(w *world, i, def uint8) {
	r := &w.runs[i]
	if full(w) {
		return
	}
	if m.fenced(w, i) {
		return
	}
	if r.stale {
		m.failed(w, i, true)
		return
	}
	m.mine(w, r)
	if w.rows[r.row-1].child {
		m.broke("%s is chained to twice", m.def(def).Name)
	}
	from := m.def(r.as)
	if m.plan.broken == chainFromNowhere {
		from = nil
	}
	as, reason := process.Decide(m.def(def), from, m.states[r.seen], m.find)
	if reason != process.Scheduled {
		m.broke("%s cannot chain to %s", m.def(r.as).Name, m.def(def).Name)
		return
	}
	m.move(w, r.seen, m.state(process.Enter(as, m.def(r.as), m.states[r.seen])), r)
	m.wakeOthers(w, r.seen, 0, r.row)
	m.born(w, def)
	w.rows[r.row-1].child = true
	w.last = r.as
	if m.plan.broken == chainInTwo {
		r.at, r.seen = ready, w.state // and the end in a transaction of its own
		return
	}
	m.ended(w, r.row, process.Chain)
	w.runs[i] = run{}
}

// failed ends an attempt that went wrong: the process is over if the state was moved
// under it, and is tried again otherwise, at once if somebody only wrote at the same
// time.
func (m *machine) failed(w *world, i uint8, conflict bool) {
	if m.fenced(w, i) {
		return
	}
	r := &w.runs[i]
	if process.Fitting(m.def(r.as), m.states[w.state], m.delegates) == nil || m.plan.broken == failureEnds {
		m.ended(w, r.row, process.Canceled)
		w.runs[i] = run{}
		return
	}
	if !conflict {
		w.rows[r.row-1].asked = nothing
		m.forget(w, r.row)
	}
	m.paused(w, i, false, conflict)
}

// compensate launches what undoes the process, and fails.
func (m *machine) compensate(w *world, i, def uint8) {
	r := &w.runs[i]
	if full(w) {
		return
	}
	if m.fenced(w, i) {
		return
	}
	if r.stale {
		m.failed(w, i, true)
		return
	}
	m.mine(w, r)
	as, _ := process.Decide(m.def(def), nil, m.states[r.seen], m.find)
	m.move(w, r.seen, m.state(process.Enter(as, nil, m.states[r.seen])), r)
	m.wakeOthers(w, r.seen, 0, r.row)
	m.born(w, def)
	m.failed(w, i, false)
}

// check returns the promise that a world breaks, or "".
func (m *machine) check(w *world) string {
	cares := false
	owner := uint8(0)
	for i := range w.runs {
		switch r := &w.runs[i]; {
		case r.row == 0 || !r.owns || w.rows[r.row-1].end != 0:
		case owner == r.row:
			return "two runs have the same process"
		case owner != 0:
			return "two processes work on the resource at once"
		default:
			owner = r.row
		}
	}
	for i := range w.rows {
		r := &w.rows[i]
		if r.def == 0 {
			continue
		}
		if r.child != (r.end == ends(process.Chain)) {
			return fmt.Sprintf("%s and what is chained to it are not one", m.def(r.def).Name)
		}
		if r.end != 0 {
			continue
		}
		as, end := process.Settle(m.def(r.def), m.states[w.state], m.delegates)
		cares = cares || as != nil && end == "" && !r.canceled
	}
	switch {
	case m.moving[w.state] && !cares:
		return fmt.Sprintf("nobody will take the resource out of %s", m.states[w.state])
	case w.last != 0 && w.last != w.host && m.atRest(w):
		return "at rest the host has last obeyed another process than the one done last"
	}
	return ""
}
