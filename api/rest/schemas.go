package rest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// document is the published schemas of a view, written once. The base URL, which
// differs between requests, is left out: it goes between the pieces.
type document struct {
	schemas map[string][][]byte // by type
	names   []string
}

// baseMark stands for the base URL while a document is written. No text of a
// declaration holds it.
const baseMark = "\x7fBASE\x7f"

func schemasOf(v *auth.View) *document {
	d := &document{schemas: map[string][][]byte{}, names: v.Names()}
	for _, name := range d.names {
		text := appendSchema(nil, v.Type(name))
		d.schemas[name] = bytes.Split(text, []byte(baseMark))
	}
	return d
}

func (d *document) append(b []byte, name, base string) []byte {
	for i, piece := range d.schemas[name] {
		if i > 0 {
			b = append(b, base...)
		}
		b = append(b, piece...)
	}
	return b
}

func appendSchema(b []byte, t *auth.Type) []byte {
	o := open(b)
	o.text("id", t.Name)
	o.text("type", "schema")
	o.key("links")
	links := open(o.b)
	links.text("self", baseMark+"/v1/schemas/"+strings.ToLower(t.Name))
	if t.Lists() {
		links.text("collection", baseMark+"/v1/"+strings.ToLower(t.Plural))
	}
	o.b = links.close()
	o.raw("actions", "{}")
	o.text("pluralName", t.Plural)
	o.key("resourceMethods")
	o.b = appendStrings(o.b, t.Resource)
	o.key("collectionMethods")
	o.b = appendStrings(o.b, t.Collection)
	o.key("resourceFields")
	o.b = appendFields(o.b, t)
	o.key("resourceActions")
	o.b = appendActionTypes(o.b, t)
	o.raw("collectionActions", "{}")
	o.raw("collectionFields", "{}")
	o.key("collectionFilters")
	filters := open(o.b)
	for _, f := range t.Filters {
		filters.key(f.Name)
		one := open(filters.b)
		one.key("modifiers")
		one.b = appendStrings(one.b, f.Modifiers)
		filters.b = one.close()
	}
	o.b = filters.close()
	o.key("includeableLinks")
	names := make([]string, 0, len(t.Links))
	for _, l := range t.Links {
		names = append(names, strings.ToLower(l.Name))
	}
	slices.Sort(names)
	o.b = appendStrings(o.b, slices.Compact(names))
	return o.close()
}

func appendFields(b []byte, t *auth.Type) []byte {
	fields := slices.Clone(t.Fields)
	slices.SortFunc(fields, func(a, b *auth.Field) int { return strings.Compare(a.Name, b.Name) })
	o := open(b)
	for _, f := range fields {
		o.key(f.Name)
		o.b = appendField(o.b, f)
	}
	return o.close()
}

func appendField(b []byte, f *auth.Field) []byte {
	o := open(b)
	o.text("type", f.Type)
	o.value("default", f.Fallback)
	o.value("validChars", optional(f.ValidChars))
	o.value("invalidChars", nil)
	o.value("create", f.Create)
	o.value("update", f.Update)
	o.value("nullable", f.Nullable)
	o.value("unique", f.Unique)
	o.value("required", f.Required)
	o.key("min")
	o.b = appendNumber(o.b, f.Min)
	o.key("max")
	o.b = appendNumber(o.b, f.Max)
	o.key("minLength")
	o.b = appendNumber(o.b, f.MinLength)
	o.key("maxLength")
	o.b = appendNumber(o.b, maxLength(f.Field))
	o.key("options")
	if f.Options == nil {
		o.b = append(o.b, "null"...)
	} else {
		o.b = appendStrings(o.b, f.Options)
	}
	return o.close()
}

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func appendNumber[T int | int64](b []byte, n *T) []byte {
	if n == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, int64(*n), 10)
}

var columnLength = 255

// maxLength returns the published bound on a text: columns of unspecified length
// have that of a text column.
func maxLength(f *schema.Field) *int {
	if f.MaxLength == nil && f.Place == schema.Column && f.Name != "id" {
		return &columnLength
	}
	return f.MaxLength
}

func appendActionTypes(b []byte, t *auth.Type) []byte {
	o := open(b)
	for _, name := range t.Actions {
		a, _ := resource.All.Action(t.Type, name)
		output := a.Output
		if output == "" {
			output = t.Base().Name
		}
		o.key(name)
		one := open(o.b)
		one.value("input", optional(a.Input))
		one.text("output", output)
		o.b = one.close()
	}
	return o.close()
}

// schemaType answers /v1/schemas and /v1/schemas/ID.
func schemaType(r *request, t *auth.Type) error {
	if len(r.segments) > 3 {
		return fault.NotFound()
	}
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	d := r.api.schemas[r.view]
	if len(r.segments) == 3 {
		found := r.view.Find(r.segments[2])
		if found == nil {
			return fault.NotFound()
		}
		return r.send(200, d.append(nil, found.Name, r.baseJSON))
	}
	return r.sendDocs(t, func(b []byte) []byte {
		for i, name := range d.names {
			if i > 0 {
				b = append(b, ',')
			}
			b = d.append(b, name, r.baseJSON)
		}
		return b
	})
}
