package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

func (r *request) isMetrics() bool { return len(r.segments) == 1 && r.segments[0] == "metrics" }

// metrics shows what this server counts to those who may see everything.
func (r *request) metrics() error {
	switch r.caller.Kind {
	case schema.Admin, schema.SuperAdmin, schema.ReadAdmin:
	default:
		return fault.NotFound()
	}
	if r.api.Metrics == nil {
		return fault.NotFound()
	}
	if r.method != fiber.MethodGet {
		return fault.NotAllowed()
	}
	kind, text, err := r.api.Metrics()
	if err != nil {
		return err
	}
	r.c.Set(fiber.HeaderContentType, kind)
	return r.c.Status(fiber.StatusOK).Send(text)
}

// answered tells how a request went. Its type is a declared one, or other, so that
// callers cannot make up new ones.
func (r *request) answered(since time.Time) {
	typ := "other"
	if len(r.segments) > 1 && r.segments[0] == "v1" {
		if k := resource.All.Kind(r.segments[1]); k != nil {
			typ = k.Type.Name
		}
	}
	r.api.Answered(r.method, typ, r.c.Response().StatusCode(), time.Since(since))
}
