package rest

import (
	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
)

// openConsole asks the host of an instance for its console.
func openConsole(r *request, _ *auth.Type, row *schema.Row) error {
	if r.api.Console == nil {
		return fault.Unavailable("no host can be asked for a console")
	}
	answer, err := r.api.Console(r.ctx, row)
	if err != nil {
		return err
	}
	o := open(nil)
	o.raw("id", "null")
	o.text("type", "instanceConsole")
	o.key("links")
	links := open(o.b)
	if view, ok := answer["view"].(string); ok && view != "" {
		links.text("view", view)
	}
	o.b = links.close()
	o.raw("actions", "{}")
	for _, name := range []string{"kind", "password", "url"} {
		o.value(name, answer[name])
	}
	return r.send(200, o.close())
}
