// Package explore runs processes in every order of events there is, to find those in
// which one is lost, doubled or stuck.
//
// It models what SQL remembers of one resource and its processes: the state and who
// holds it, and of each process whether it has ended, is due, is leased, keeps its
// hold, was woken, and what it has asked. Around that it plays two or more workers,
// an API server, the bells of the queue and the messages to and from an agent. One
// step is one transaction or one message. A worker may die between any two steps or
// lose its lease without noticing; a bell, a command or a reply may be lost, come
// twice or overtake another; an agent or a handler may fail; other processes may be
// launched at any moment. Steps are taken in all orders, up to the bounds of a Plan,
// and each state is looked at once.
//
//	             ┌──────── launch, by an API server or by logic ────────┐
//	bell ──▶ claim ──▶ command ──▶ reply ──▶ end: done, delegate, chain, fail
//	            │          └─ no reply yet: the slot is given back ─┐
//	            └─ busy: later           bell ◀── reply, change ────┘
//
// In each state the promises are checked: a state moves as declared and from what its
// writer has read, an ended process never changes, only the run with the last claim
// writes, one process at a time has the resource, a resource under way has a process
// that takes it on, the chained process and the end of its predecessor are one. Then
// that from each state all can come to rest without another fault, and from those
// without any fault that nobody has to wait for a clock. And at rest the host does
// what the last process done has asked for.
//
// What a process decides is decided by package process, as in store and engine. That
// these do for the rest what is modelled here, a test compares with the real ones, step
// by step. Not modelled are the contents of rows, nested processes on other
// resources, priorities, and how long anything takes.
package explore

import (
	"fmt"
	"slices"

	"github.com/cattleio/cattle/shared/process"
)

// Plan says what to explore, and how far.
type Plan struct {
	Processes []*process.Definition // all of one type that move the same column
	Subject   *process.Definition   // is launched first
	From      string                // the state of the resource before
	Launches  int                   // other processes launched at any moment
	Faults    int                   // things that go wrong
	Workers   int                   // 0 means two
	OnWay     int                   // commands, and replies, under way at once; 0 means two
	Most      int                   // states looked at; 0 means all. Less than all proves no liveness.

	broken flaw // what is left out, to see that it is noticed
}

// Result is what an exploration has found.
type Result struct {
	States int
	Moves  int
	Whole  bool     // all states within the bounds were looked at
	Fault  string   // what is wrong, "" for nothing
	Story  []string // the shortest way there
}

// Run explores. The same plan always gives the same result.
func Run(p Plan) Result {
	x := &explorer{m: newMachine(p), ids: map[world]int32{}}
	x.add(x.m.first(), 0, step{})
	for i := 0; i < len(x.worlds) && x.fault == ""; i++ {
		if p.Most > 0 && len(x.worlds) >= p.Most {
			return Result{States: len(x.worlds), Moves: len(x.edges)}
		}
		x.expand(int32(i))
	}
	if x.fault == "" {
		x.settle()
	}
	return x.result()
}

type explorer struct {
	m      *machine
	ids    map[world]int32
	worlds []world
	from   []int32 // by which each was found first
	by     []step
	edges  []edge
	fault  string
	at     int32
	last   *step // the step from at that broke a promise, nil if at itself is the fault
}

type edge struct {
	from, to int32
	needs    need
}

func (x *explorer) add(w world, from int32, by step) int32 {
	if id, ok := x.ids[w]; ok {
		return id
	}
	id := int32(len(x.worlds))
	x.ids[w] = id
	x.worlds, x.from, x.by = append(x.worlds, w), append(x.from, from), append(x.by, by)
	if x.fault == "" {
		if fault := x.m.check(&w); fault != "" {
			x.fault, x.at = fault, id
		}
	}
	return id
}

func (x *explorer) expand(id int32) {
	w := x.worlds[id]
	x.m.steps(&w, func(s step) {
		if x.fault != "" {
			return
		}
		next := w
		x.m.fault = ""
		x.m.take(&next, s)
		if x.m.fault != "" {
			x.fault, x.at, x.last = x.m.fault, id, &s
			return
		}
		x.m.tidy(&next)
		if next == w {
			return
		}
		to := x.add(next, id, s)
		if next.faults == w.faults && next.launches == w.launches {
			x.edges = append(x.edges, edge{id, to, s.kind.needs()})
		}
	})
}

// settle looks for states from which something cannot be reached without another
// fault or launch: rest; rest without waiting for the clock, if nothing went wrong; and
// that a canceled process is over, then, without waiting for its agent either.
func (x *explorer) settle() {
	patient := x.reach(x.m.atRest, clock)
	prompt := x.reach(x.m.atRest, agent)
	alone := x.reach(x.m.noticed, nobody)
	for id := range x.worlds {
		x.at = int32(id)
		switch calm := x.worlds[id].faults == 0; {
		case !patient[id]:
			x.fault = "nothing brings this to rest"
			return
		case calm && !prompt[id]:
			x.fault = "somebody waits for the clock though nothing went wrong"
			return
		case calm && !alone[id]:
			x.fault = "a canceled process waits for its agent"
			return
		}
	}
}

// reach tells for each world whether a good one can be reached from it by steps that
// need no more than most.
func (x *explorer) reach(good func(*world) bool, most need) []bool {
	first := make([]int32, len(x.worlds)+1)
	for _, e := range x.edges {
		first[e.to+1]++
	}
	for i := range x.worlds {
		first[i+1] += first[i]
	}
	back := make([]edge, len(x.edges))
	fill := slices.Clone(first)
	for _, e := range x.edges {
		back[fill[e.to]] = e
		fill[e.to]++
	}
	reached := make([]bool, len(x.worlds))
	var todo []int32
	for id := range x.worlds {
		if good(&x.worlds[id]) {
			reached[id] = true
			todo = append(todo, int32(id))
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, e := range back[first[id]:first[id+1]] {
			if e.needs <= most && !reached[e.from] {
				reached[e.from] = true
				todo = append(todo, e.from)
			}
		}
	}
	return reached
}

func (x *explorer) result() Result {
	r := Result{States: len(x.worlds), Moves: len(x.edges), Whole: x.fault == "", Fault: x.fault}
	if x.fault == "" {
		return r
	}
	r.Story = append(r.Story, "Here "+x.fault+".")
	if x.last != nil {
		r.Story = append(r.Story, x.m.tell(&x.worlds[x.at], *x.last)+".")
	}
	for id := x.at; id != 0; id = x.from[id] {
		r.Story = append(r.Story, fmt.Sprintf("%s. %s", x.m.tell(&x.worlds[x.from[id]], x.by[id]), x.m.show(&x.worlds[id])))
	}
	r.Story = append(r.Story, x.m.show(&x.worlds[0]))
	slices.Reverse(r.Story)
	return r
}
