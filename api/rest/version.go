package rest

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
)

// redirects sends a browser that asks for / to the user interface.
func (r *request) redirects() bool {
	if !r.html || r.method != fiber.MethodGet || !r.api.flag("api.redirect.to.ui", true) {
		return false
	}
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	return r.c.Redirect(r.api.text("api.redirect.ui.path", "/static/"), fiber.StatusFound) == nil
}

// versions answers GET /.
func (r *request) versions() error {
	if r.method != fiber.MethodGet {
		return fault.NotAllowed()
	}
	o := open(nil)
	o.text("type", "collection")
	o.text("resourceType", "apiVersion")
	o.key("links")
	links := open(o.b)
	links.text("self", r.base+"/")
	links.text("latest", r.base+"/v1")
	o.b = links.close()
	o.raw("createTypes", "{}")
	o.raw("actions", "{}")
	o.key("data")
	o.b = append(o.b, '[')
	one := open(o.b)
	one.text("id", "v1")
	one.text("type", "apiVersion")
	one.key("links")
	self := open(one.b)
	self.text("self", r.base+"/v1")
	one.b = self.close()
	one.raw("actions", "{}")
	o.b = append(one.close(), ']')
	o.raw("sortLinks", "{}")
	o.raw("pagination", "null")
	o.raw("sort", "null")
	o.raw("filters", "{}")
	o.raw("createDefaults", "{}")
	return r.send(200, o.close())
}

// version answers GET /v1 with a link to everything that can be listed.
func (r *request) version() error {
	if r.method != fiber.MethodGet {
		return fault.NotAllowed()
	}
	plurals := []string{"self"}
	for _, name := range r.view.Names() {
		if t := r.view.Type(name); t.Lists() {
			plurals = append(plurals, t.Plural)
		}
	}
	slices.Sort(plurals)
	o := open(nil)
	o.text("id", "v1")
	o.text("type", "apiVersion")
	o.raw("actions", "{}")
	o.key("links")
	links := open(o.b)
	for _, plural := range plurals {
		if plural == "self" {
			links.text("self", r.base+"/v1")
			continue
		}
		links.text(plural, r.base+"/v1/"+strings.ToLower(plural))
	}
	o.b = links.close()
	return r.send(200, o.close())
}

// sendDocs answers with a collection that is no page of a table. each appends its
// elements; nil stands for none.
func (r *request) sendDocs(t *auth.Type, each func([]byte) []byte) error {
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	l := &listing{typ: t, unfiltered: true}
	o := r.openList(l, (*held)[:0])
	o.key("data")
	o.b = append(o.b, '[')
	if each != nil {
		o.b = each(o.b)
	}
	o.b = append(o.b, ']')
	*held = r.closeList(l, &o, "")
	return r.sendPooled(*held)
}
