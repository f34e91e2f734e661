package rest

import (
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/store"
)

// Error answers a request that the framework itself refused, such as one with a
// body beyond its limit. It is meant as the app's ErrorHandler.
func (a *API) Error(c *fiber.Ctx, err error) error {
	r := &request{api: a, c: c, ctx: c.UserContext()}
	r.read()
	var f *fiber.Error
	if errors.As(err, &f) {
		switch f.Code {
		case fiber.StatusRequestEntityTooLarge:
			return r.refuse(fault.TooLarge())
		case fiber.StatusNotFound:
			return r.refuse(fault.NotFound())
		case fiber.StatusMethodNotAllowed:
			return r.refuse(fault.NotAllowed())
		}
		if f.Code < 500 {
			return r.refuse(fault.Malformed("Bad Request", "%s", f.Message))
		}
	}
	return r.refuse(err)
}

// refuse answers with an error. A fault is the caller's business; anything else is
// ours: the caller gets a reference, the log the rest.
func (r *request) refuse(err error) error {
	f := asFault(err)
	id := uuid.NewString()
	if deliberate := new(fault.Fault); f.Status >= 500 && !errors.As(err, &deliberate) {
		r.api.Log.ErrorContext(r.ctx, "request failed", "err", err, "reference", id, "path", r.shownPath())
	}
	if f.Status == fiber.StatusUnauthorized {
		r.c.Set(fiber.HeaderWWWAuthenticate, `Basic realm="`+strings.ReplaceAll(
			r.api.text("api.auth.realm", "Enter API access key and secret key as username and password"), `"`, `'`)+`"`)
	}
	if after := f.RetryAfter(); after != "" {
		r.c.Set(fiber.HeaderRetryAfter, after)
	}
	return r.send(f.Status, appendFault(nil, id, f))
}

// shownPath is the path as the log may have it: what stands behind scripts lets a
// host join.
func (r *request) shownPath() string {
	for i, s := range r.segments {
		if strings.EqualFold(s, "scripts") && i+1 < len(r.segments) {
			return "/" + strings.Join(r.segments[:i+1], "/") + "/…"
		}
	}
	return r.path
}

// appendFault appends the error as callers get it. Only what is wrong with a field
// names one; its message is left to the caller's own words.
func appendFault(b []byte, id string, f *fault.Fault) []byte {
	field := f.Status == fiber.StatusUnprocessableEntity && !f.Bare
	o := open(b)
	o.text("id", id)
	o.text("type", "error")
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.value("status", f.Status)
	o.text("code", f.Code)
	switch {
	case field:
		o.raw("message", "null")
	case f.Message != "" && f.Status != fiber.StatusInternalServerError:
		o.text("message", f.Message)
	default:
		o.text("message", f.Code)
	}
	o.raw("detail", "null")
	if field {
		o.value("fieldName", optional(f.Field))
	}
	return o.close()
}

// asFault translates an error into the way in which callers hear of it.
func asFault(err error) *fault.Fault {
	var f *fault.Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, auth.ErrRefused):
		return fault.Unauthorized()
	case errors.Is(err, store.ErrNotFound):
		return fault.NotFound()
	case errors.Is(err, store.ErrCannotStart), errors.Is(err, store.ErrConflict):
		return fault.Conflict("%v", err)
	case errors.Is(err, store.ErrNotUnique): // the database's own words are not for callers
		return fault.Conflict("%v", store.ErrNotUnique)
	case store.Passing(err), store.Away(err), errors.Is(err, store.ErrUnsure):
		return &fault.Fault{Status: fiber.StatusServiceUnavailable, Code: "Service Unavailable"}
	}
	return &fault.Fault{Status: 500, Code: "Internal Server Error"}
}
