package engine

import (
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
)

// attemptLog is the log of one process, as clients read it. A process that ran
// inside a handler stands among the handler's children.
type attemptLog struct {
	UUID       string       `json:"uuid"`
	Executions []*execution `json:"executions"`
}

// execution is one definition that an attempt ran as. Of what other releases wrote it has no
// values of the resource before and after each logic, which hold secrets and are most of such
// a log, and no moments of locks: claiming is one statement, and one that finds the resource
// taken leaves no log. The API shows them as null, and as what follows from the rest.
type execution struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	ProcessName  string        `json:"processName"`
	ProcessID    *int64        `json:"processId"`
	ResourceType string        `json:"resourceType"`
	ResourceID   string        `json:"resourceId"`
	ServerID     string        `json:"processingServerId"`
	Start        int64         `json:"startTime"`
	Stop         *int64        `json:"stopTime"`
	ExitReason   *string       `json:"exitReason"`
	Lock         string        `json:"processLock"`
	Transitions  []transition  `json:"transitions"`
	Handlers     []*handlerLog `json:"processHandlerExecutions"`
	Exception    *exception    `json:"exception"`
	Children     []*attemptLog `json:"children"`
}

type transition struct {
	Old  string `json:"oldState"`
	New  string `json:"newState"`
	Kind string `json:"newProcessState"` // transitioning, done or chain
	Time int64  `json:"time"`
}

type handlerLog struct {
	Name     string         `json:"name"`
	Start    int64          `json:"startTime"`
	Stop     *int64         `json:"stopTime"`
	Continue *bool          `json:"shouldContinue"`
	Delegate bool           `json:"shouldDelegate"`
	Chain    *string        `json:"chainProcessName"`
	Result   map[string]any `json:"resultData"`
	Missing  []string       `json:"missingRequiredFields"`
	Error    *exception     `json:"exception"`
	Children []*attemptLog  `json:"children"`
}

type exception struct {
	Message string     `json:"message"`
	Class   string     `json:"clz"`
	Cause   *exception `json:"cause"`
	Trace   *string    `json:"stackTrace"`
}

func newLog() *attemptLog { return &attemptLog{UUID: uuid.NewString()} }

func (l *attemptLog) open(f *frame) *execution {
	x := &execution{ID: uuid.NewString(), Name: f.def.Name, ProcessName: f.def.Name,
		ResourceType: f.def.Type, ResourceID: f.row.Key(), ServerID: f.r.e.Server, Start: millis(),
		Lock: f.def.Type + "." + f.row.Key() + ".CHANGE", Transitions: []transition{}, Handlers: []*handlerLog{}, Children: []*attemptLog{}}
	if f.parent == nil {
		x.ProcessID = &f.r.p.ID
	}
	l.Executions = append(l.Executions, x)
	return x
}

func (x *execution) close(reason process.Reason, err error) {
	now, text := millis(), string(reason)
	x.Stop, x.ExitReason, x.Exception = &now, &text, failure(err)
}

func (h *handlerLog) close(a *process.Answer, err error) {
	now := millis()
	h.Stop, h.Error = &now, failure(err)
	if a != nil {
		h.Continue, h.Delegate, h.Result = a.Continue, a.Delegate, a.Data
		if a.Chain != "" {
			h.Chain = &a.Chain
		}
	}
}

func failure(err error) *exception {
	if err == nil {
		return nil
	}
	x := &exception{Message: err.Error(), Class: "error"}
	var f *process.Failure
	if errors.As(err, &f) {
		x.Class = "process.Failure"
		if f.Detail != "" { // for operators, who find it here by itself
			x.Cause = &exception{Message: f.Detail, Class: "process.Failure"}
		}
	}
	return x
}

// longestLog is how many characters a log may have.
const longestLog = 1_000_000

// text writes the log; a longer one keeps its uuid alone.
func (l *attemptLog) text() string {
	b, err := json.Marshal(l)
	if err != nil || len(b) > longestLog && utf8.RuneCount(b) > longestLog {
		b, _ = json.Marshal(&attemptLog{UUID: l.UUID, Executions: []*execution{}})
	}
	return string(b)
}

// millis is the wall clock, for showing only.
func millis() int64 { return time.Now().UnixMilli() }
