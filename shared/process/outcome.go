package process

import (
	"errors"
	"fmt"
	"time"
)

// Reason says how an attempt to run a process ended. The texts are shown by the
// API and stored.
type Reason string

// The exit reasons of an attempt.
const (
	Done             Reason = "DONE"
	AlreadyDone      Reason = "ALREADY_DONE"
	Chain            Reason = "CHAIN"
	Canceled         Reason = "CANCELED"
	Delegated        Reason = "DELEGATE"
	Scheduled        Reason = "SCHEDULED"
	InProgress       Reason = "PROCESS_ALREADY_IN_PROGRESS"
	ResourceBusy     Reason = "RESOURCE_BUSY"
	StateChanged     Reason = "STATE_CHANGED"
	RetryException   Reason = "RETRY_EXCEPTION"
	UnknownException Reason = "UNKNOWN_EXCEPTION"
	Timeout          Reason = "TIMEOUT"
	MissingFields    Reason = "MISSING_HANDLER_RESULT_FIELDS"
	ServerTerminated Reason = "SERVER_TERMINATED"
	Forced           Reason = "FORCED" // an administrator ended it without its logic
)

// Ends tells whether the reason ends the process instance for good.
func (r Reason) Ends() bool {
	return r == Done || r == AlreadyDone || r == Chain || r == Canceled || r == Forced
}

// Result returns the result column that goes with an ending reason.
func (r Reason) Result() string {
	switch r {
	case Done, AlreadyDone, Chain:
		return "SUCCESS"
	case Canceled:
		return "CANCELED"
	}
	return ""
}

// Phases of a process instance, in order.
const (
	PhaseRequested = "REQUESTED"
	PhaseStarted   = "STARTED"
	PhasePre       = "PRE_LISTENERS"
	PhaseHandlers  = "HANDLERS"
	PhasePost      = "POST_LISTENERS"
	PhaseDone      = "DONE"
)

// Failure is an error that a user may see: the message is for users, the detail
// for operators. It reaches the resource only when a handler claims it by
// setting Shown.
type Failure struct {
	Message, Detail string
	Shown           bool // store it on the resource of the process as its transitioning error
}

func (f *Failure) Error() string {
	if f.Detail == "" {
		return f.Message
	}
	return f.Message + " : " + f.Detail
}

// CanceledError says that a nested process had no business in the state it found.
type CanceledError struct{ Process, Resource, State string }

func (e *CanceledError) Error() string {
	return fmt.Sprintf("cannot run %s on %s: it is %s", e.Process, e.Resource, e.State)
}

// IsCanceled tells whether err is a canceled nested process.
func IsCanceled(err error) bool {
	var c *CanceledError
	return errors.As(err, &c)
}

// BusyError says that another process holds a resource.
type BusyError struct {
	Resource string
	Holder   int64 // id of the process instance that holds it
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is held by process %d", e.Resource, e.Holder)
}

// TimeoutError says that a wait ran out.
type TimeoutError struct{ Waited string }

func (e *TimeoutError) Error() string { return "timeout waiting for " + e.Waited }

// RetryError asks for another attempt after a pause instead of the usual backoff.
type RetryError struct {
	After time.Duration
	Cause error
}

func (e *RetryError) Error() string { return e.Cause.Error() }
func (e *RetryError) Unwrap() error { return e.Cause }

// Retry returns an error that asks for another attempt after the pause.
func Retry(after time.Duration, cause error) error { return &RetryError{after, cause} }

// WaitingError says that the process gives up its slot until a reply, a change or
// a deadline comes. A handler returns it like any error, and runs again from the
// top.
type WaitingError struct {
	For   string        // in words
	Agent int64         // whose reply it is, 0 for none
	After time.Duration // when to look again at the latest
}

func (e *WaitingError) Error() string { return "waiting for " + e.For }

// IsWaiting tells whether err only says that the process waits.
func IsWaiting(err error) bool {
	var w *WaitingError
	return errors.As(err, &w)
}

// Bell says that a worker should look at a process instance now. It carries no
// truth: a bell rung twice or never changes nothing but time.
type Bell struct {
	ID, WakeSeq, RunEpoch, Priority int64
	// New says that it is rung by the launch: nobody can have tried the process. It is
	// known in the process of the server that launched it alone.
	New bool
}
