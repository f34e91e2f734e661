package rest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// Viewer is who looks at resources outside of a request of their own: the reader
// of an event stream.
type Viewer struct {
	Caller  auth.Caller
	BaseURL string   // scheme and host of the URLs in what is shown
	Include []string // links to follow
}

// ViewerOf returns who opened an event stream; it is meant for the hook Subscribe.
func ViewerOf(c *fiber.Ctx) Viewer {
	v, _ := c.Locals(viewerKey).(Viewer)
	return v
}

// Resource returns a resource as a GET by the viewer would give it now, and nil if
// the viewer cannot see it.
func (a *API) Resource(ctx context.Context, v Viewer, typ string, id int64) (json.RawMessage, error) {
	r := a.viewing(ctx, v)
	k := resource.All.Kind(typ)
	if k == nil {
		return nil, nil
	}
	t := r.view.Type(k.Type.Name)
	if t == nil {
		return nil, nil
	}
	if t.Name == "setting" || t.Name == "activeSetting" {
		return r.setting(id)
	}
	if t.Table == "" {
		return nil, nil
	}
	row, err := r.visible(t, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.shapeOf(row) == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	includes, err := r.includes(row)
	if err != nil {
		return nil, err
	}
	return r.appendRow(nil, row, includes), nil
}

// ID writes a stored id the way the viewer reads it.
func (a *API) ID(v Viewer, typ, stored string) string {
	k := resource.All.Kind(typ)
	if k == nil || v.Caller.PlainIDs {
		return stored
	}
	return k.Type.Obfuscate(stored)
}

// StoredID reads an id the way the viewer writes it, 0 for what is none.
func (a *API) StoredID(v Viewer, id string) int64 {
	stored := id
	if !v.Caller.PlainIDs {
		stored, _ = schema.ParseID(id)
	}
	n, _ := strconv.ParseInt(stored, 10, 64)
	return n
}

// viewing is a request that nobody sent.
func (a *API) viewing(ctx context.Context, v Viewer) *request {
	r := &request{api: a, ctx: ctx, method: fiber.MethodGet, base: v.BaseURL, caller: v.Caller, view: v.Caller.View, plain: v.Caller.PlainIDs}
	r.baseJSON = inside(r.base)
	for _, name := range v.Include {
		r.query = append(r.query, param{"include", name})
	}
	return r
}

// inside writes text as it stands inside a JSON string.
func inside(text string) string {
	quoted := string(appendString(nil, text))
	return quoted[1 : len(quoted)-1]
}
