package rest

import (
	"fmt"

	"github.com/cattleio/cattle/shared/store"
)

// readExternal reads the handlers from outside that are in effect, once for a request
// that lists them beside the built-in ones.
func (r *request) readExternal() error {
	rows, err := r.api.Store.ExternalHandlers(r.ctx)
	if err != nil {
		return fmt.Errorf("cannot read the handlers from outside: %w", err)
	}
	r.external = map[string][]store.ExternalHandler{}
	for _, h := range rows {
		r.external[h.Process] = append(r.external[h.Process], h)
	}
	return nil
}

// outside is what handlers from outside call the lists of a process.
var outside = map[string]string{"pre.listeners": "pre.", "handlers": "", "post.listeners": "post."}

// implementations lists the logic of one list in the order in which it runs: that from
// outside stands behind what is built in with the same priority.
func (r *request) implementations(p point) []Implementation {
	others := r.external[outside[p.list]+p.process]
	var own []Implementation
	if r.api.Handlers != nil {
		own = r.api.Handlers(p.process, p.list)
	}
	var out []Implementation
	for _, i := range own {
		for len(others) > 0 && others[0].Rank() < i.Priority {
			out, others = append(out, dynamic(others[0])), others[1:]
		}
		out = append(out, i)
	}
	for _, h := range others {
		out = append(out, dynamic(h))
	}
	return out
}

func dynamic(h store.ExternalHandler) Implementation {
	given := func(n int64) any {
		if n == 0 {
			return nil
		}
		return fmt.Sprint(n)
	}
	return Implementation{Name: "Dynamic : " + h.Name, ClassName: "external." + h.Name, Priority: h.Rank(), Properties: map[string]any{
		"name": h.Name, "eventName": h.Process + ";handler=" + h.Name, "priority": fmt.Sprint(h.Rank()),
		"retry": given(h.Retries), "timeoutMillis": given(h.TimeoutMillis)}}
}
