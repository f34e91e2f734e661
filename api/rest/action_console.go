package rest

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

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
	if view := r.viewOf(answer); view != "" {
		links.text("view", view)
	}
	o.b = links.close()
	o.raw("actions", "{}")
	for _, name := range []string{"kind", "password", "url"} {
		o.value(name, answer[name])
	}
	return r.send(200, o.close())
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// viewOf is the page that shows a console: a setting says for each kind how its address is
// made of what the host says. The host itself names none: people follow it.
func (r *request) viewOf(answer map[string]any) string {
	kind, _ := answer["kind"].(string)
	view := placeholder.ReplaceAllStringFunc(r.api.text("console.url.format."+kind, ""), func(name string) string {
		v, ok := answer[strings.Trim(name, "{}")]
		if !ok || v == nil {
			return ""
		}
		return strings.ReplaceAll(url.QueryEscape(fmt.Sprint(v)), "+", "%20") // not all pages take a plus for a space
	})
	if strings.HasPrefix(view, "/") {
		return r.base + view
	}
	return view
}
