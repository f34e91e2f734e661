package explore

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
)

// column is the processes that move one column of a type.
type column struct {
	name string
	defs []*process.Definition
}

func columns() []column {
	var out []column
	for _, k := range resource.All.Kinds() {
		for _, d := range k.Processes {
			name := k.Type.Name + " " + d.StateField()
			if n := len(out); n == 0 || out[n-1].name != name {
				i := slices.IndexFunc(out, func(c column) bool { return c.name == name })
				if i < 0 {
					out = append(out, column{name: name})
				} else {
					out[i].defs = append(out[i].defs, d)
					continue
				}
			}
			out[len(out)-1].defs = append(out[len(out)-1].defs, d)
		}
	}
	return out
}

// beginnings lists the states from which a process begins, one for each transitioning
// state: what differs before the launch alone makes no difference after it.
func beginnings(d *process.Definition) []string {
	var out, through []string
	for _, s := range d.Start {
		if t, _ := d.Through.Get(s); !slices.Contains(through, t) {
			out, through = append(out, s), append(through, t)
		}
	}
	return out
}

// explore runs a plan for every process of a column and tells how many states it saw.
func (c column) explore(t *testing.T, p Plan) (states, processes int) {
	for _, d := range c.defs {
		processes++
		for _, from := range beginnings(d) {
			p.Processes, p.Subject, p.From = c.defs, d, from
			r := Run(p)
			states += r.States
			if r.Fault != "" || !r.Whole {
				t.Fatalf("%s from %s, with %d launches and %d faults:\n%s", d.Name, from, p.Launches, p.Faults, strings.Join(r.Story, "\n"))
			}
		}
	}
	return states, processes
}

// Every process of every type runs in all orders of events with one thing going
// wrong at any moment, and in all orders with another process launched at any moment.
func TestNoProcessIsLostDoubledOrStuck(t *testing.T) {
	t.Parallel()
	var states, processes atomic.Int64
	t.Run("all", func(t *testing.T) {
		for _, c := range columns() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				one, n := c.explore(t, Plan{Faults: 1})
				other, _ := c.explore(t, Plan{Launches: 1, OnWay: 1})
				states.Add(int64(one + other))
				processes.Add(int64(n))
			})
		}
	})
	t.Logf("%d states of %d processes", states.Load(), processes.Load())
	if processes.Load() != 254 {
		t.Errorf("%d processes were explored, not 254", processes.Load())
	}
	if states.Load() < 1_000_000 {
		t.Errorf("only %d states were explored", states.Load())
	}
}

// The types whose states differ from the standard ones get both at once: something
// goes wrong, and another process is launched.
func TestNoProcessIsStuckBetweenAFaultAndAnother(t *testing.T) {
	t.Parallel()
	for _, c := range columns() {
		if c.name == "instance state" || c.name == "ipAddress state" || c.name == "volume allocationState" {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				n, _ := c.explore(t, Plan{Faults: 1, Launches: 1, OnWay: 1})
				t.Logf("%d states", n)
			})
		}
	}
}

// Three workers, three launches and many faults at once are too much to be gone through;
// a few hundred thousand random steps of it are not.
func TestNoProcessIsLostOnLongRandomWalks(t *testing.T) {
	t.Parallel()
	for _, c := range columns() {
		if c.name != "instance state" && c.name != "agent state" && c.name != "volume state" {
			continue
		}
		for seed, d := range c.defs {
			p := Plan{Processes: c.defs, Subject: d, From: d.Start[0], Launches: 3, Faults: 8, Workers: 3}
			if r := Walk(p, uint64(seed), 30_000); r.Fault != "" {
				t.Fatalf("%s, seed %d:\n%s", d.Name, seed, strings.Join(r.Story, "\n"))
			}
			p.broken = noHold
			if r := Walk(p, uint64(seed), 30_000); r.Fault == "" {
				t.Errorf("%s, seed %d: a walk notices nothing where a claim minds nobody", d.Name, seed)
			}
		}
	}
}

// A part of the protocol is left out in each story, and that is noticed.
func TestWhatIsLeftOutIsMissed(t *testing.T) {
	t.Parallel()
	instances := columns()[slices.IndexFunc(columns(), func(c column) bool { return c.name == "instance state" })].defs
	for _, story := range []struct {
		name, process, from string
		broken              flaw
		faults, launches    int
		want                string
	}{
		{"a write does not carry the number of its claim", "instance.start", "stopped", noFence, 1, 0, "a run writes that has lost its process"},
		{"a claim leaves the process to the run before", "instance.start", "stopped", sameEpoch, 1, 0, "two runs have the same process"},
		{"leases never run out", "instance.start", "stopped", eternalLease, 1, 0, "nothing brings this to rest"},
		{"lost bells are not rung again", "instance.start", "stopped", noSweep, 1, 0, "nothing brings this to rest"},
		{"a claim does not look at the state", "instance.start", "stopped", noSettle, 0, 1, "instance.start goes on though it was canceled"},
		{"a claim does not mind who holds the resource", "instance.start", "stopped", noHold, 0, 1, "two processes work on the resource at once"},
		{"the done state is written whatever the state is", "instance.start", "stopped", noCompareAtEnd, 0, 1, "it writes running over stopping, having read starting"},
		{"a launch is written whatever the state is", "instance.start", "stopped", noCompareAtLaunch, 0, 1, "it writes stopping over running, having read starting"},
		{"a launch moves the state before it records the process", "instance.start", "stopped", launchInTwo, 0, 1, "nobody will take the resource out of stopping"},
		{"a process ends before its resource moves", "instance.start", "stopped", endInTwo, 0, 0, "nobody will take the resource out of starting"},
		{"a chained process is born before the other ends", "instance.restart", "running", chainInTwo, 0, 0, "instance.restart and what is chained to it are not one"},
		{"a chain does not count from the done state", "instance.restart", "running", chainFromNowhere, 0, 0, "instance.restart cannot chain to instance.stop"},
		{"who ends wakes nobody", "instance.start", "stopped", noSuccessors, 0, 1, "somebody waits for the clock though nothing went wrong"},
		{"a canceled process begins again", "instance.start", "stopped", forgetCanceled, 0, 1, "instance.start goes on though it was canceled"},
		{"a claim that moves the state cancels nobody", "instance.stop", "running", quietEntry, 0, 1, "instance.start goes on though it was canceled"},
		{"a launch takes nothing back", "instance.restart", "running", timidWord, 0, 2, "instance.stop undoes instance.start, which was asked for after it"},
		{"a launch wakes nobody", "instance.start", "stopped", noWakeOfOthers, 0, 1, "instance.start goes on though it was canceled"},
		{"a reply is stored and wakes nobody", "instance.start", "stopped", noWakeByReply, 0, 0, "somebody waits for the clock though nothing went wrong"},
		{"a pause forgets the wake that came before it", "instance.start", "stopped", wakeLost, 0, 1, "a canceled process waits for its agent"},
		{"a bell is rung before the commit", "instance.start", "stopped", bellTooEarly, 0, 1, "somebody waits for the clock though nothing went wrong"},
		{"the agent obeys commands of any number", "instance.start", "stopped", noNumbers, 1, 1, "at rest the host has last obeyed another process than the one done last"},
		{"a process does not go on as its delegate", "instance.create", "requested", noDelegate, 1, 0, "nobody will take the resource out of starting"},
		{"a failed attempt ends the process", "instance.start", "stopped", failureEnds, 1, 0, "nobody will take the resource out of starting"},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			p := Plan{Processes: instances, From: story.from, Faults: story.faults, Launches: story.launches}
			for _, d := range instances {
				if d.Name == story.process {
					p.Subject = d
				}
			}
			if r := Run(p); r.Fault != "" {
				t.Fatalf("with nothing left out:\n%s", strings.Join(r.Story, "\n"))
			}
			p.broken = story.broken
			r := Run(p)
			if !strings.Contains(r.Fault, story.want) {
				t.Fatalf("it was noticed as %q, not %q:\n%s", r.Fault, story.want, strings.Join(r.Story, "\n"))
			}
			t.Logf("noticed after %d states:\n%s", r.States, strings.Join(r.Story, "\n"))
		})
	}
}
