package rest

import (
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/openapi"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
)

// typeDocumentationType answers /v1/typedocumentations: what the types are that the
// caller sees, and what their fields mean.
func typeDocumentationType(r *request, t *auth.Type) error {
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	if len(r.segments) > 3 {
		return fault.NotFound()
	}
	if len(r.segments) == 3 {
		about := r.view.Find(r.segments[2])
		if about == nil {
			return fault.NotFound()
		}
		return r.send(200, r.appendDocumentation(nil, t, about))
	}
	return r.sendDocs(t, func(b []byte) []byte {
		for i, name := range r.view.Names() {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.appendDocumentation(b, t, r.view.Type(name))
		}
		return b
	})
}

func (r *request) appendDocumentation(b []byte, t, about *auth.Type) []byte {
	o := open(b)
	o.text("id", about.Name)
	o.text("type", t.Name)
	o.key("links")
	links := open(o.b)
	links.text("self", r.base+"/v1/"+strings.ToLower(t.Plural)+"/"+about.Name)
	o.b = links.close()
	o.raw("actions", "{}")
	o.text("description", resource.Describe(about.Type))
	if t.Field("resourceFields") != nil {
		o.key("resourceFields")
		o.b = appendFieldDocumentation(o.b, about)
	}
	return o.close()
}

func appendFieldDocumentation(b []byte, about *auth.Type) []byte {
	o := open(b)
	for _, f := range about.Fields {
		o.key(f.Name)
		one := open(o.b)
		one.text("type", "fieldDocumentation")
		one.text("description", resource.DescribeField(about.Type, f.Name))
		one.value("placeholder", optional(resource.Example(about.Type, f.Name)))
		o.b = one.close()
	}
	return o.close()
}

// openAPI answers /v1/openapi.json: the API as the caller sees it, for tools. It is
// written anew for each that asks, who are few.
func (r *request) openAPI() error {
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	if len(r.segments) > 2 {
		return fault.NotFound()
	}
	text, err := openapi.Document(r.view, r.segments[0])
	if err != nil {
		return err
	}
	return r.sendText("application/json; charset=utf-8", string(text))
}
