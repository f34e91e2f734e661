package process

import (
	"fmt"
	"time"
)

// Kind of what a process waits for.
type Kind string

// What a process that has not ended may wait for.
const (
	ForNothing  Kind = "running"  // an attempt runs
	ForAgent    Kind = "agent"    // the reply of an agent, or the return of one that is gone
	ForHandler  Kind = "handler"  // the answer of a handler from outside
	ForResource Kind = "resource" // mostly one that another process holds
	ForRetry    Kind = "retry"    // the time of the next attempt, after one that failed
	ForWorker   Kind = "queue"
	ForServer   Kind = "parked" // a server that knows it
)

// Why says of a process that has not ended where it stands and what it waits for.
// Moments are milliseconds since 1970 by the clock of the database, 0 for none.
type Why struct {
	ID         int64
	Process    string // as launched
	As         string // the definition as which it goes on from the state of its resource
	Type       string // of the resource
	ResourceID int64
	State      string // of the resource; "" if there is none any more
	Field      string // where that state stands

	Kind     Kind
	Attempts int64  // that failed, died or run
	Busy     int64  // attempts given back because a resource was held
	Step     string // processes and handlers from the top, as agents are told
	Handler  string // the innermost of them
	Server   string // that runs the attempt, or died in it
	Last     string // what the last attempt left in words
	Wanted   string // the resource that another held when the last attempt wanted it
	Asked    string // the command or event whose reply is awaited
	Agent    *WhyAgent
	Lock     *WhyLock
	Position int // among those that wait for a worker only, from 1; 0 for the others
	Errors   []WhyError

	Now      int64
	Next     int64 // the next attempt, at the latest
	Since    int64 // the resource is in its state, or the process there
	Deadline int64 // when the process should have ended
	Epoch    int64
}

// WhyAgent is the agent whose reply is awaited.
type WhyAgent struct {
	ID                int64
	UUID, Name, State string
	DisconnectedSince int64 // 0 while a gateway holds it
}

// WhyLock is a resource that another process holds.
type WhyLock struct {
	Type   string
	ID     int64
	Holder int64
	Name   string // of the holder's process
	Since  int64
}

// WhyError is how one attempt failed.
type WhyError struct {
	At      int64
	Step    string
	Message string // in full
	Public  string // what its user may read; "" if the error was meant for nobody
}

// Overdue tells whether the process takes longer than its definition allows.
func (w *Why) Overdue() bool { return w.Deadline > 0 && w.Now > w.Deadline }

// Active tells whether an attempt runs.
func (w *Why) Active() bool { return w.Kind == ForNothing }

// Forceable tells whether the process may be ended without its logic: it has failed
// and does not run, or takes too long.
func (w *Why) Forceable() bool {
	return w.Kind != ForServer && w.State != "" && (w.Overdue() || w.Attempts > 0 && !w.Active())
}

// For says in words what the process waits for, to whoever looks after the system.
func (w *Why) For() string {
	switch w.Kind {
	case ForNothing:
		return w.late("nothing: an attempt is running on " + w.Server)
	case ForAgent:
		text := or(w.Last, "an agent")
		if w.Agent != nil && w.Agent.DisconnectedSince > 0 {
			text += "; the agent is disconnected since " + Moment(w.Agent.DisconnectedSince)
		}
		return w.late(text)
	case ForHandler:
		return w.late(or(w.Last, "waiting for a handler from outside to answer "+w.Asked))
	case ForResource:
		if l := w.Lock; l != nil {
			return w.late(fmt.Sprintf("%s %d, which process %d (%s) holds since %s", l.Type, l.ID, l.Holder, l.Name, Moment(l.Since)))
		}
		if w.Wanted != "" {
			return w.late(fmt.Sprintf("%s, which was in use when it last looked", w.Wanted))
		}
		return w.late(or(w.Last, "a resource"))
	case ForRetry:
		return w.late(fmt.Sprintf("the next attempt; %s: %s", failures(w.Attempts), or(w.Last, "nobody said why")))
	case ForServer:
		return fmt.Sprintf("a server that knows %s; the one that looked last does not", w.Process)
	}
	return w.late(w.queued())
}

// Public says the same to the owner of the resource: without other accounts' ids and
// without the names of commands.
func (w *Why) Public() string {
	switch w.Kind {
	case ForNothing:
		return w.late("nothing: it is being worked on")
	case ForAgent:
		if w.Agent != nil && w.Agent.DisconnectedSince > 0 {
			return w.late("a host, which is disconnected since " + Moment(w.Agent.DisconnectedSince))
		}
		return w.late("a host to answer")
	case ForHandler:
		return w.late("a program outside to answer")
	case ForResource:
		if l := w.Lock; l != nil {
			return w.late(fmt.Sprintf("its %s, which is in use by another process (%s) since %s", l.Type, l.Name, Moment(l.Since)))
		}
		return w.late("something that it needs, which is not ready or in use")
	case ForRetry:
		return w.late("the next attempt; " + failures(w.Attempts))
	case ForServer:
		return "a server of another version"
	}
	return w.late(w.queued())
}

func (w *Why) queued() string {
	switch {
	case w.Server != "":
		return "a worker: the one that had it has not been heard of any more"
	case w.Position == 2:
		return "a worker: 1 process comes before it"
	case w.Position > 2:
		return fmt.Sprintf("a worker: %d processes come before it", w.Position-1)
	}
	return "a worker"
}

func (w *Why) late(text string) string {
	if w.Overdue() {
		text += "; this takes longer than it should"
	}
	return text
}

func failures(n int64) string {
	switch n {
	case 0:
		return "the one before was cut short"
	case 1:
		return "one attempt has failed"
	}
	return fmt.Sprintf("%d attempts have failed", n)
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// Moment writes a moment as the API does.
func Moment(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05Z")
}

// WayOut is something that an administrator can do about a process, and what it
// will do.
type WayOut struct{ Name, Does string }

// How a process that is forced ends.
const (
	OutcomeDone  = "done"
	OutcomeError = "error"
)
