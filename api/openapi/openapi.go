// Package openapi describes /v1 for tools: an OpenAPI 3.1 document, drawn from the same
// declarations as the API itself, of what one kind of account may see and do.
package openapi

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// object is a JSON object; encoding/json writes it in the order of its keys.
type object map[string]any

// Document writes the description of a view. It is the same for as long as the program
// runs.
func Document(v *auth.View, version string) ([]byte, error) {
	d := &document{view: v, schemas: object{}, parameters: object{}}
	paths := object{}
	for _, name := range v.Names() {
		t := v.Type(name)
		d.types(t)
		d.paths(paths, t)
	}
	d.common()
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Cattle",
			"version":     version,
			"description": "What an account of kind " + v.Kind + " may see and do. Each thing is a resource with a state; an action starts a process, and the resource is `transitioning` until that has ended.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []any{object{"url": "/v1"}},
		"security":   []any{object{"keys": []any{}}, object{}},
		"paths":      paths,
		"components": object{"schemas": d.schemas, "parameters": d.parameters, "responses": d.responses(), "securitySchemes": object{"keys": object{"type": "http", "scheme": "basic", "description": "An API key: its public value as the user, its secret value as the password."}}},
	})
}

// document is one while it is written.
type document struct {
	view       *auth.View
	schemas    object
	parameters object
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// types describes a resource of the type, and the bodies that make and change one.
func (d *document) types(t *auth.Type) {
	shown := object{"id": orNull(object{"type": "string"}), "type": orNull(object{"type": "string"}), "links": ref("schemas", "Links"), "actions": ref("schemas", "Links")}
	for _, f := range t.Fields {
		if f.WriteOnly {
			continue
		}
		if _, there := shown[f.Name]; !there {
			shown[f.Name] = described(d.shown(f.Field), t, f.Name)
		}
		if f.Type == "date" {
			shown[f.Name+"TS"] = object{"type": "integer", "description": "`" + f.Name + "` in milliseconds since 1970; absent where that is null."}
		}
	}
	said := object{"type": "object", "description": resource.Describe(t.Type), "properties": shown}
	if t.Table != "" || t.Lists() { // others are only found inside of these
		said["required"] = []string{"id", "type", "links", "actions"}
	}
	d.schemas[t.Name] = said
	if t.Creates() {
		d.schemas[input(t.Name)] = d.body(t, "What makes a "+t.Name+".", func(f *auth.Field) bool { return f.Create }, true)
	}
	if t.Allows("PUT") {
		d.schemas[t.Name+"Changes"] = d.body(t, "What of a "+t.Name+" may change. What is left out stays.", func(f *auth.Field) bool { return f.Update }, false)
	}
	d.inputs(t)
	if t.Lists() {
		d.schemas[t.Name+"Collection"] = d.collection(t)
	}
}

func input(typ string) string { return typ + "Input" }

// inputs describes the bodies of actions that no other path takes.
func (d *document) inputs(t *auth.Type) {
	for _, name := range t.Actions {
		a, _ := resource.All.Action(t.Type, name)
		in := d.view.Type(a.Input)
		if in == nil || in.Creates() {
			continue
		}
		d.schemas[input(in.Name)] = d.body(in, "What the action "+name+" takes.", func(f *auth.Field) bool { return f.Create }, true)
	}
}

func (d *document) body(t *auth.Type, says string, takes func(*auth.Field) bool, required bool) object {
	fields := object{}
	var must []string
	for _, f := range t.Fields {
		if !takes(f) {
			continue
		}
		fields[f.Name] = described(d.taken(f.Field), t, f.Name)
		if required && f.Required {
			must = append(must, f.Name)
		}
	}
	out := object{"type": "object", "description": says, "properties": fields}
	if len(must) > 0 {
		out["required"] = must
	}
	return out
}

func described(o object, t *auth.Type, field string) object {
	if text := resource.DescribeField(t.Type, field); text != "" {
		o["description"] = text
	}
	return o
}

// collection is a list of the type and of its sub types.
func (d *document) collection(t *auth.Type) object {
	return object{"allOf": []any{ref("schemas", "Collection"), object{
		"properties": object{"data": object{"type": "array", "items": d.any(t)}},
	}}}
}

// any is a resource of the type, or of one that is made of it.
func (d *document) any(t *auth.Type) object {
	kinds := []any{ref("schemas", t.Name)}
	for _, name := range d.view.Names() {
		if sub := d.view.Type(name); sub.Parent == t.Type {
			kinds = append(kinds, ref("schemas", name))
		}
	}
	if len(kinds) == 1 {
		return kinds[0].(object)
	}
	return object{"anyOf": kinds}
}

// shown is a field as it is read: whatever was never set is null.
func (d *document) shown(f *schema.Field) object {
	o := d.value(f.Type, f.Options)
	if f.Name == "id" { // it reads as a text, whatever is stored
		o = object{"type": "string"}
	}
	if f.Type == "date" {
		o["format"] = "date-time"
	}
	return orNull(o)
}

// taken is a field as it may be sent.
func (d *document) taken(f *schema.Field) object {
	o := d.value(f.Type, f.Options)
	if o["type"] == "string" {
		number(o, "minLength", f.MinLength)
		number(o, "maxLength", f.MaxLength)
		if f.ValidChars != "" {
			o["pattern"] = "^[" + f.ValidChars + "]*$"
		}
	}
	if o["type"] == "integer" || o["type"] == "number" {
		number(o, "minimum", f.Min)
		number(o, "maximum", f.Max)
	}
	if f.Nullable {
		o = orNull(o)
	}
	if f.Fallback != nil {
		o["default"] = f.Fallback
	}
	return o
}

func number[T int | int64](o object, name string, n *T) {
	if n != nil {
		o[name] = *n
	}
}

// value translates the type of a field.
func (d *document) value(typ string, options []string) object {
	outer, inner, nested := strings.Cut(strings.TrimSuffix(typ, "]"), "[")
	switch {
	case nested && outer == "array":
		return object{"type": "array", "items": orNull(d.value(inner, options))}
	case nested && outer == "map":
		return object{"type": "object", "additionalProperties": orNull(d.value(inner, options))}
	case nested && outer == "reference":
		return object{"type": "string"}
	}
	switch typ {
	case "string", "password", "blob", "date":
		return object{"type": "string"}
	case "int":
		return object{"type": "integer"}
	case "float":
		return object{"type": "number"}
	case "boolean":
		return object{"type": "boolean"}
	case "enum":
		o := object{"type": "string"}
		if options != nil {
			o["enum"] = slices.Clone(options)
		}
		return o
	}
	if d.view.Type(typ) != nil {
		return ref("schemas", typ)
	}
	return object{} // anything
}

// orNull lets a value be null as well.
func orNull(o object) object {
	switch {
	case o["$ref"] != nil:
		return object{"anyOf": []any{o, object{"type": "null"}}}
	case o["type"] == nil:
		return o
	}
	o["type"] = []any{o["type"], "null"}
	if options, ok := o["enum"].([]string); ok {
		o["enum"] = append(slices.Collect(anys(options)), nil)
	}
	return o
}

func anys(list []string) func(func(any) bool) {
	return func(yield func(any) bool) {
		for _, s := range list {
			if !yield(s) {
				return
			}
		}
	}
}
