package openapi

// common describes what belongs to no single type.
func (d *document) common() {
	words := func(says string) object { return object{"type": "string", "description": says} }
	d.schemas["Links"] = object{"type": "object", "description": "Addresses, by name.", "additionalProperties": object{"type": []any{"string", "null"}}}
	d.schemas["Resource"] = object{"type": "object", "required": []string{"id", "type", "links", "actions"}, "properties": object{
		"id": object{"type": []any{"string", "null"}}, "type": words("The type, as among the schemas."), "links": ref("schemas", "Links"), "actions": ref("schemas", "Links")}}
	d.schemas["Collection"] = object{"type": "object",
		"required": []string{"type", "resourceType", "links", "createTypes", "actions", "createDefaults", "data", "sortLinks", "pagination", "sort", "filters"},
		"properties": object{
			"type":           object{"const": "collection"},
			"resourceType":   words("The type of what is listed; elements may be of types that are made of it."),
			"links":          ref("schemas", "Links"),
			"createTypes":    ref("schemas", "Links"),
			"actions":        ref("schemas", "Links"),
			"createDefaults": object{"type": "object"},
			"data":           object{"type": "array", "items": ref("schemas", "Resource")},
			"sortLinks":      ref("schemas", "Links"),
			"pagination": object{"type": []any{"object", "null"}, "description": "Null where the list is no page of a table.", "properties": object{
				"first": object{"type": "null"}, "previous": object{"type": "null"}, "next": object{"type": []any{"string", "null"}, "description": "The address of the next page."},
				"limit": object{"type": "integer"}, "total": object{"type": "null"}, "partial": object{"type": "boolean", "description": "Whether there is a next page."}}},
			"sort":    object{"type": []any{"object", "null"}},
			"filters": object{"type": "object", "description": "What was filtered by, by field."},
		}}
	d.schemas["Error"] = object{"type": "object", "required": []string{"id", "type", "status", "code", "message", "detail"}, "properties": object{
		"id": words("Names this error in the log of the server."), "type": object{"const": "error"}, "links": ref("schemas", "Links"), "actions": ref("schemas", "Links"),
		"status": object{"type": "integer"}, "code": words("What is wrong, for programs."), "message": object{"type": []any{"string", "null"}},
		"detail": object{"type": []any{"string", "null"}, "description": "What is wrong, for people."}, "fieldName": object{"type": []any{"string", "null"}, "description": "The field that is wrong; only of errors that are about one."}}}
	parameter := func(in, name, says string, schema object) object {
		return object{"name": name, "in": in, "required": in == "path", "description": says, "schema": schema}
	}
	for name, p := range (object{
		"id":      parameter("path", "id", "The id, as resources show it.", object{"type": "string"}),
		"limit":   parameter("query", "limit", "The most that a page may hold, up to 1000.", object{"type": "integer", "default": 100}),
		"marker":  parameter("query", "marker", "Where a page begins, as the address of the next page has it.", object{"type": "string"}),
		"sort":    parameter("query", "sort", "The field to sort by.", object{"type": "string"}),
		"order":   parameter("query", "order", "Which way to sort.", object{"type": "string", "enum": []string{"asc", "desc"}}),
		"include": parameter("query", "include", "A link whose resources are wanted along with each; may be sent more than once.", object{"type": "string"}),
	}) {
		d.parameters[name] = p
	}
}

func (d *document) responses() object {
	return object{"Error": content("It was refused, or failed.", ref("schemas", "Error"))}
}
