package openapi

import (
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
)

// paths describes what may be asked of a type.
func (d *document) paths(paths object, t *auth.Type) {
	at := "/" + strings.ToLower(t.Plural)
	all := object{}
	if t.Lists() {
		all["get"] = d.operation(t, "list", "Lists "+t.Plural+" that the account may see.", d.listParameters(t), nil, answers("200", t.Name+"Collection"))
	}
	if t.Creates() {
		all["post"] = d.operation(t, "create", "Makes a "+t.Name+".", nil, ref("schemas", input(t.Name)), answers("201", t.Name))
	}
	switch post, _ := all["post"].(object); {
	case t.Name == "publish" && post != nil: // nothing comes back
		post["responses"] = object{"201": object{"description": "The event was published."}, "default": ref("responses", "Error")}
	case t.Name == "authorized":
		all["get"] = d.operation(t, "list", "Reads the server's SSH keys, a line each.", nil, nil, object{"200": text("The keys.")})
	case t.Name == "subscribe":
		all = d.subscribe(t)
	}
	if len(all) > 0 {
		paths[at] = all
	}
	one := object{}
	if t.Allows("GET") {
		one["get"] = d.operation(t, "get", "Reads one "+t.Name+".", []any{ref("parameters", "include")}, nil, answers("200", t.Name))
	}
	if t.Allows("PUT") {
		one["put"] = d.operation(t, "update", "Changes a "+t.Name+".", nil, ref("schemas", t.Name+"Changes"), answers("200", t.Name))
	}
	if t.Allows("DELETE") {
		one["delete"] = d.operation(t, "remove", "Removes a "+t.Name+".", nil, nil, answers("200", t.Name))
	}
	if len(t.Actions) > 0 && t.Table != "" {
		one["post"] = d.actions(t)
	}
	if len(one) == 0 || t.Name == "subscribe" || t.Name == "publish" {
		return
	}
	one["parameters"] = []any{ref("parameters", "id")}
	paths[at+"/{id}"] = one
	if len(t.Links) > 0 {
		paths[at+"/{id}/{link}"] = object{
			"parameters": []any{ref("parameters", "id"), object{"name": "link", "in": "path", "required": true,
				"description": "The name of a link of the resource.", "schema": object{"type": "string", "enum": linkNames(t)}}},
			"get": d.operation(t, "follow", "Reads what a link of a "+t.Name+" leads to.", []any{ref("parameters", "limit"), ref("parameters", "marker"), ref("parameters", "include")}, nil,
				object{"200": content("What the link leads to: one resource, or a collection.", object{"anyOf": []any{ref("schemas", "Resource"), ref("schemas", "Collection")}})}),
		}
	}
}

func linkNames(t *auth.Type) []string {
	var names []string
	for _, l := range t.Links {
		names = append(names, strings.ToLower(l.Name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d *document) operation(t *auth.Type, verb, says string, parameters []any, body object, responses object) object {
	responses["default"] = ref("responses", "Error")
	o := object{"operationId": verb + strings.ToUpper(t.Name[:1]) + t.Name[1:], "tags": []any{t.Name}, "summary": says, "responses": responses}
	if parameters != nil {
		o["parameters"] = parameters
	}
	if body != nil {
		o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": body}}}
	}
	return o
}

func answers(status, typ string) object {
	return object{status: content("The answer.", ref("schemas", typ))}
}

func text(says string) object {
	return object{"description": says, "content": object{"text/plain": object{"schema": object{"type": "string"}}}}
}

func content(says string, body object) object {
	return object{"description": says, "content": object{"application/json": object{"schema": body}}}
}

// actions describes the POST that starts one of the actions of a resource.
func (d *document) actions(t *auth.Type) object {
	var inputs, outputs []any
	for _, name := range t.Actions {
		a, _ := resource.All.Action(t.Type, name)
		if d.schemas[input(a.Input)] != nil {
			inputs = appendNew(inputs, input(a.Input))
		}
		out := a.Output
		if d.view.Type(out) == nil {
			out = t.Name
		}
		outputs = appendNew(outputs, out)
	}
	inputs = append(inputs, object{"type": "object"})
	says := "Starts an action that the resource offers among its `actions`: 202 when a process has begun, 200 when it is done."
	o := d.operation(t, "act", says, []any{object{"name": "action", "in": "query", "required": true, "description": "The name of the action.",
		"schema": object{"type": "string", "enum": t.Actions}}}, nil, object{
		"200": content("The action is done.", object{"anyOf": outputs}),
		"202": content("A process has begun.", object{"anyOf": outputs}),
	})
	o["requestBody"] = object{"content": object{"application/json": object{"schema": object{"anyOf": inputs}}}}
	return o
}

func appendNew(list []any, typ string) []any {
	for _, there := range list {
		if there.(object)["$ref"] == ref("schemas", typ)["$ref"] {
			return list
		}
	}
	return append(list, ref("schemas", typ))
}

// listParameters are the filters of a type, and what every list takes.
func (d *document) listParameters(t *auth.Type) []any {
	list := []any{}
	for _, name := range []string{"limit", "marker", "sort", "order", "include"} {
		list = append(list, ref("parameters", name))
	}
	for _, f := range t.Filters {
		for _, m := range f.Modifiers {
			name := f.Name
			if m != "eq" {
				name += "_" + m
			}
			if d.parameters[name] == nil {
				d.parameters[name] = filter(name, f.Name, m)
			}
			list = append(list, ref("parameters", name))
		}
	}
	return list
}

// meanings says what the modifiers of filters do.
var meanings = map[string]string{
	"eq": "is", "ne": "is not", "lt": "is less than", "lte": "is at most", "gt": "is more than", "gte": "is at least",
	"prefix": "begins with", "like": "is like (with %)", "notlike": "is not like (with %)", "null": "is null, whatever is sent", "notnull": "is not null, whatever is sent",
}

func filter(name, field, modifier string) object {
	o := object{"name": name, "in": "query", "description": "Lists those whose `" + field + "` " + meanings[modifier] + " this. Sent more than once, all hold.",
		"schema": object{"type": "string"}}
	if modifier == "null" || modifier == "notnull" {
		o["allowEmptyValue"] = true
		o["description"] = "Lists those whose `" + field + "` " + meanings[modifier] + "."
	}
	return o
}

// subscribe describes the stream of events.
func (d *document) subscribe(t *auth.Type) object {
	events := []any{object{"name": "eventNames", "in": "query", "required": true, "explode": true, "description": "The names of the events to hear; `*` may end one.",
		"schema": object{"type": "array", "items": object{"type": "string"}}}}
	stream := text("Events, a JSON object a line, for as long as the caller listens.")
	get := d.operation(t, "listen", "Upgrades to a WebSocket of events, one JSON object a message; without the upgrade it streams lines.", events, nil, object{"101": object{"description": "Events follow."}, "201": stream})
	post := d.operation(t, "subscribe", "Streams events as lines.", nil, object{"type": "object", "properties": object{"eventNames": object{"type": "array", "items": object{"type": "string"}}}}, object{"201": stream})
	return object{"get": get, "post": post}
}
