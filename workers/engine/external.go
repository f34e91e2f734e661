package engine

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/store"
)

// externals knows the handlers from outside that are in effect. There are few or
// none of them and every list asks, so they are read at most once a second; news of
// a change, from this process or the bus, make them be read again at once.
type externals struct {
	mu      sync.Mutex
	version int64 // counts the news
	lists   map[string][]*process.Handler
	until   time.Time
}

// believed is how long a change may go unnoticed of which no news came.
const believed = time.Second

// ForgetExternal says that handlers from outside have changed.
func (e *Engine) ForgetExternal() {
	e.externals.mu.Lock()
	defer e.externals.mu.Unlock()
	e.externals.version++
	e.externals.lists = nil
}

// IsExternal tells whether rows of a type decide which handlers from outside are in
// effect.
func IsExternal(typ string) bool {
	return typ == "externalHandler" || typ == "externalHandlerProcess" || typ == "externalHandlerExternalHandlerProcessMap"
}

// external returns the handlers from outside of one list, in their order.
func (f *frame) external(ctx context.Context, stage process.Stage) ([]*process.Handler, error) {
	x := &f.r.e.externals
	x.mu.Lock()
	lists, version, fresh := x.lists, x.version, time.Now().Before(x.until)
	x.mu.Unlock()
	if lists == nil || !fresh {
		// Read in the run's own transaction: waiting for another connection while
		// holding one would let a full pool wait for itself.
		tx, err := f.r.unit(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := tx.ExternalHandlers(ctx)
		if err != nil {
			return nil, err
		}
		lists = externalLists(rows)
		x.mu.Lock()
		if x.version == version {
			x.lists, x.until = lists, time.Now().Add(believed)
		}
		x.mu.Unlock()
	}
	return lists[eventName(f.def.Name, stage)], nil
}

// eventName is what handlers from outside call one list of a process.
func eventName(name string, stage process.Stage) string {
	return [...]string{"pre.", "", "post."}[stage] + name
}

// externalLists makes handlers of rows, which are in their order, by the name that
// they are attached to.
func externalLists(rows []store.ExternalHandler) map[string][]*process.Handler {
	lists := map[string][]*process.Handler{}
	for _, row := range rows {
		lists[row.Process] = append(lists[row.Process], &process.Handler{Name: row.Name, Priority: row.Rank(), Run: askExternal(row)})
	}
	return lists
}

// askExternal sends the process data to whoever listens as the handler, and takes
// the reply as its result. It adds to the list: what comes behind it runs as well,
// unless the reply says otherwise.
func askExternal(h store.ExternalHandler) func(ctx context.Context, run process.Run) (*process.Answer, error) {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		raw, err := run.Call(ctx, process.Call{Name: h.Process + ";handler=" + h.Name, Resource: run.Resource(), Data: run.Data(),
			Attempts: int(h.Retries), Timeout: h.TimeoutMillis})
		if err != nil {
			return nil, err
		}
		result := map[string]any{}
		if json.Unmarshal(raw, &result) != nil {
			result = nil // what is no object counts as empty
		}
		goOn := result["shouldContinue"] != false
		delete(result, "shouldContinue")
		return &process.Answer{Data: result, Continue: &goOn}, nil
	}
}

// merged puts handlers from outside into a list, behind built-in ones of the same
// priority.
func merged(own, others []*process.Handler) []*process.Handler {
	if len(others) == 0 {
		return own
	}
	var out []*process.Handler
	for _, h := range own {
		for len(others) > 0 && others[0].Priority < h.Priority {
			out, others = append(out, others[0]), others[1:]
		}
		out = append(out, h)
	}
	return append(out, others...)
}
