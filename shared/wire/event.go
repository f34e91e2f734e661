// Package wire holds the messages that travel between servers and agents, and
// the names both sides agree on. It imports nothing of the project: the host
// agent, the gateway and the workers all stand on it.
package wire

import (
	"bytes"
	"encoding/json"
	"time"
)

// Transitioning says whether a reply is final: "" and "no" are final, "yes" is
// progress, "error" is a failure.
const (
	Progress = "yes"
	Final    = "no"
	Failure  = "error"
)

// Event is the one message of the bus and of every agent connection. Absent
// fields are written as null, because readers in other languages index them
// without asking.
type Event struct {
	ID                           string            `json:"id"`
	Name                         string            `json:"name"`
	ReplyTo                      *string           `json:"replyTo"`
	PreviousIDs                  []string          `json:"previousIds"`
	PreviousNames                []string          `json:"previousNames"`
	ResourceType                 *string           `json:"resourceType"`
	ResourceID                   *string           `json:"resourceId"`
	Publisher                    *string           `json:"publisher"`
	Data                         json.RawMessage   `json:"data"`
	TimeMillis                   int64             `json:"time"`
	TimeoutMillis                *int64            `json:"timeoutMillis"`
	Transitioning                *string           `json:"transitioning"`
	TransitioningMessage         *string           `json:"transitioningMessage"`
	TransitioningInternalMessage *string           `json:"transitioningInternalMessage"`
	TransitioningProgress        *int              `json:"transitioningProgress"`
	Context                      map[string]string `json:"context"`
	Fence                        *Fence            `json:"fence,omitempty"`
	Cursor                       string            `json:"cursor,omitempty"` // only for those who ask for one
}

// StaleCommand is what an agent says to a command with a lower fence than it has seen.
const StaleCommand = "stale command"

// Fence orders the commands for one resource. An agent keeps the highest epoch
// it has seen for a uuid and refuses a command that carries a lower one.
type Fence struct {
	Resource  string `json:"resource"` // uuid of the resource whose claim was counted
	Epoch     int64  `json:"epoch"`
	ProcessID int64  `json:"processId"`
	RunEpoch  int64  `json:"runEpoch"`
}

// Text returns a pointer to s, or nil for the empty text.
func Text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Value returns the text behind p, or "" for nil.
func Value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// Reply builds the answer to e. Data may be nil. The id of the reply is left to
// the sender.
func (e *Event) Reply(data any) (*Event, error) {
	raw, err := Encode(data)
	if err != nil {
		return nil, err
	}
	return &Event{
		Name: Value(e.ReplyTo), PreviousIDs: []string{e.ID},
		ResourceType: e.ResourceType, ResourceID: e.ResourceID,
		Data: raw, TimeMillis: time.Now().UnixMilli(),
	}, nil
}

// Fail builds the answer that says why the command of e could not be done. The
// message is for users, the detail for operators.
func (e *Event) Fail(message, detail string) *Event {
	r, _ := e.Reply(nil)
	failure := Failure
	r.Transitioning = &failure
	r.TransitioningMessage = Text(message)
	r.TransitioningInternalMessage = Text(detail)
	return r
}

// Advance builds a progress answer to e. A negative percent is left out.
func (e *Event) Advance(message string, percent int) *Event {
	r, _ := e.Reply(nil)
	progress := Progress
	r.Transitioning = &progress
	r.TransitioningMessage = Text(message)
	if percent >= 0 {
		r.TransitioningProgress = &percent
	}
	return r
}

// IsFinal tells whether the reply ends its request.
func (e *Event) IsFinal() bool { return Value(e.Transitioning) != Progress }

// Encode writes v as JSON without escaping what need not be escaped, so that a
// shell that reads the line gets it whole. A nil v gives nil.
func Encode(v any) (json.RawMessage, error) {
	switch x := v.(type) {
	case nil:
		return nil, nil
	case *Event:
		if x != nil {
			return x.append(make([]byte, 0, 1024+len(x.Data))), nil
		}
	case map[string]any:
		if x != nil {
			return appendMap(make([]byte, 0, 4096), x), nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
