package rest

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
)

// What the hooks read beside the request.
const (
	inputKey  = "cattle.input"
	viewerKey = "cattle.viewer"
)

// Input returns the fields of a request given to the hooks Subscribe and Publish:
// checked on POST, as they were sent on GET.
func Input(c *fiber.Ctx) map[string]any {
	m, _ := c.Locals(inputKey).(map[string]any)
	return m
}

// subscribeType hands subscriptions to the gateway. A GET that is no upgrade lists
// nothing.
func subscribeType(r *request, t *auth.Type) error {
	if len(r.segments) > 2 {
		return fault.NotFound()
	}
	switch {
	case r.method == "POST":
		values, err := r.values(t, 0, nil)
		if err != nil {
			return err
		}
		return r.hand(r.api.Subscribe, values)
	case strings.EqualFold(r.header(fiber.HeaderUpgrade), "websocket"):
		names := []any{}
		for _, n := range r.query.all("eventNames") {
			names = append(names, n)
		}
		return r.hand(r.api.Subscribe, map[string]any{"eventNames": names})
	}
	return r.sendDocs(t, nil)
}

// publishType hands events of callers to the gateway.
func publishType(r *request, t *auth.Type) error {
	if len(r.segments) > 2 {
		return fault.NotFound()
	}
	values, err := r.values(t, 0, nil)
	if err != nil {
		return err
	}
	return r.hand(r.api.Publish, values)
}

func (r *request) hand(hook func(*fiber.Ctx, auth.Caller) error, values map[string]any) error {
	if hook == nil {
		return fault.Unavailable("there is no event stream here")
	}
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	r.lend(values)
	return hook(r.c, r.caller)
}

// lend leaves for a hook what is known about the request.
func (r *request) lend(values map[string]any) {
	r.c.Locals(inputKey, values)
	caller := r.caller
	caller.PlainIDs = r.plain
	r.c.Locals(viewerKey, Viewer{Caller: caller, BaseURL: r.base, Include: r.query.all("include")})
}

// configContentType hands bundles of configuration to whoever makes them.
func configContentType(r *request, t *auth.Type) error {
	switch {
	case len(r.segments) == 2 && r.method == "GET":
		return r.sendDocs(t, nil)
	case len(r.segments) > 3:
		return fault.NotFound()
	case len(r.segments) == 2 || r.method == "DELETE": // published, as it always was, but nothing to remove
		return fault.NotAllowed()
	case r.api.ConfigContent == nil:
		return fault.NotFound()
	}
	in, err := r.readInput()
	if err != nil {
		return err
	}
	if text, ok := in.values["agentId"].(string); ok {
		if in.values["agentId"], err = r.id(text); err != nil {
			return fault.Invalid("InvalidReference", "agentId", "there is no agent %s", text)
		}
	}
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	r.lend(in.values)
	if err := r.api.ConfigContent(r.c, r.caller, r.segments[2]); err != nil {
		return err
	}
	if r.method == "PUT" {
		r.changed(t, strings.Clone(r.segments[2]), "", 200)
	}
	return nil
}
