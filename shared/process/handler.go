package process

import (
	"context"
	"encoding/json"

	"github.com/cattleio/cattle/shared/schema"
)

// Stage says in which of the three lists of a process a handler stands.
type Stage int

const (
	Pre Stage = iota
	Main
	Post
)

func (s Stage) String() string { return [...]string{"pre.listeners", "handlers", "post.listeners"}[s] }

// Priorities order a list, low first; equal ones by name.
const (
	First           = 0
	Early           = 500
	Specific        = 1000
	DefaultOverride = 1500
	Default         = 2000
	Last            = 1<<31 - 1
)

// Answer is what a handler returns. A nil *Answer merges nothing and lets the
// list go on.
type Answer struct {
	Data     map[string]any // merged into the resource
	Continue *bool          // unset: go on in the listener lists, stop in the handlers list
	Delegate bool           // continue as the delegate of the process instead of ending
	Chain    string         // instead of the done state, go on as this process; of several names the last counts
}

// Handler is logic attached to processes. It may run any number of times, also
// after it succeeded: it looks before it acts. It writes no state, takes no lock
// and starts no goroutine.
type Handler struct {
	Name      string
	Stage     Stage
	Priority  int
	Processes []string // names; *.verb stands for every type
	Run       func(ctx context.Context, run Run) (*Answer, error)
}

// Run is the view that a handler has of the process it works for. Reads see what
// the run has written; writes become durable together, before the next command
// goes to an agent and at the end of the attempt.
type Run interface {
	Process() *Definition
	Resource() *schema.Row
	// Data is the process data: launch input plus what logic adds. It is kept
	// with the process and shared with nested processes that are given it.
	Data() map[string]any
	Get(ctx context.Context, typ string, id int64) (*schema.Row, error)
	// Find returns the rows whose columns have the given values, oldest first.
	Find(ctx context.Context, typ string, match Match) ([]*schema.Row, error)
	// Preload reads at once what Get and Find are about to ask for, one by one.
	Preload(ctx context.Context, wants ...Want) error
	// Create inserts a row in state requested.
	Create(ctx context.Context, typ string, values map[string]any) (*schema.Row, error)
	// Save writes the changed columns of a row other than its state.
	Save(ctx context.Context, row *schema.Row) error
	// Merge puts a result into the row by the rules of results: columns, fields,
	// +key to merge, names of references to descend.
	Merge(ctx context.Context, row *schema.Row, result map[string]any) error
	// Execute runs a process on row now, inside this one. row is reloaded.
	Execute(ctx context.Context, name string, row *schema.Row, data map[string]any) error
	// Schedule records a process to be run by itself later.
	Schedule(ctx context.Context, name string, row *schema.Row, data map[string]any) error
	// Call sends a command to an agent and returns the data of its reply. It may
	// return the engine's waiting error: return it, and the handler runs again
	// when the reply is there.
	Call(ctx context.Context, c Call) (json.RawMessage, error)
	// Graph expands a row and what it is related to, as agents get it.
	Graph(ctx context.Context, row *schema.Row) (map[string]any, error)
	// Progress tells the user what the top process has come to.
	Progress(ctx context.Context, at Checkpoint)
	// Setting returns the value in force, "" if there is none.
	Setting(name string) string
	// Lock serialises with other runs on name until this run's writes are durable.
	Lock(ctx context.Context, name string) error
	// Now is the database's clock in milliseconds since 1970.
	Now() int64
	// Top is the process instance that this run belongs to.
	Top() (id int64, definition *Definition)
}

// Match names columns and the values they must have; nil stands for null.
type Match map[string]any

// Want is a question that Find will ask; with the id as its only value, Get.
type Want struct {
	Type  string
	Match Match
}

// Call is a command to an agent, or without one a request to whoever listens for
// events of its name.
type Call struct {
	AgentID  int64 // 0 for a handler from outside
	Name     string
	Resource *schema.Row // named in the event
	Fence    *schema.Row // whose claim orders the commands; nil means Resource
	Epoch    int64       // of that claim; 0 means that of now
	Data     any
	Attempts int   // sends; 0 means the setting
	Timeout  int64 // milliseconds each; 0 means the setting
	Patient  bool  // progress prolongs the wait and is shown to the user
	OrGone   bool  // nobody serving the agent is as good as a reply
}
