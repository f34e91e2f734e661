package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cattleio/cattle/api/client"
)

// asJSON tells whether the caller is a program.
func (c *command) asJSON() bool {
	return c.flags.first("o") == "json" || c.flags.first("output") == "json" || c.flags.first("format") == "json"
}

func (c *command) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// columns are those of a table, as far as a type has them and a row fills them.
var columns = []string{"name", "kind", "state", "transitioningMessage", "imageUuid", "hostname", "uri", "primaryIpAddress", "address", "value", "activeValue", "source", "processName", "exitReason", "publicValue", "description", "created"}

// showAll prints a list.
func (c *command) showAll(list []*map[string]any) error {
	if c.asJSON() {
		if list == nil {
			list = []*map[string]any{}
		}
		return c.printJSON(list)
	}
	used := []string{"id"}
	for _, name := range columns {
		if slices.ContainsFunc(list, func(one *map[string]any) bool { return text((*one)[name]) != "" }) {
			used = append(used, name)
		}
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(used, "\t"))
	for _, one := range list {
		cells := make([]string, len(used))
		for i, name := range used {
			cells[i] = short(text((*one)[name]))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// short keeps a cell on its line.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}

// show prints one resource: what it has, a field a line, then what it offers.
func (c *command) show(one *map[string]any) error {
	if c.asJSON() {
		return c.printJSON(one)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(*one)), func(name string) bool {
		return slices.Contains([]string{"id", "type", "links", "actions", "data"}, name) || strings.HasSuffix(name, "TS")
	})
	for _, name := range append([]string{"id", "type"}, names...) {
		if v := text((*one)[name]); v != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, v)
		}
	}
	if actions, _ := (*one)["actions"].(map[string]any); len(actions) > 0 {
		fmt.Fprintf(w, "actions\t%s\n", strings.Join(slices.Sorted(maps.Keys(actions)), " "))
	}
	return w.Flush()
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		b, _ := json.Marshal(v)
		return string(b)
	case []any:
		if len(v) == 0 {
			return ""
		}
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// can tells whether a type has a verb.
func can(s *client.Schema, verb string) bool {
	switch verb {
	case "list":
		return slices.Contains(s.CollectionMethods, "GET")
	case "create":
		return slices.Contains(s.CollectionMethods, "POST")
	case "get":
		return slices.Contains(s.ResourceMethods, "GET") && slices.Contains(s.CollectionMethods, "GET")
	case "update":
		return slices.Contains(s.ResourceMethods, "PUT")
	}
	return slices.Contains(s.ResourceMethods, "DELETE")
}

// list names all commands.
func (c *command) list() error {
	var all []string
	for _, s := range c.schemas {
		for _, v := range verbs {
			if can(s, v) {
				all = append(all, v+"-"+s.ID)
			}
		}
		for action := range s.ResourceActions {
			all = append(all, s.ID+"-"+action)
		}
	}
	slices.Sort(all)
	for _, name := range all {
		fmt.Fprintln(c.out, name)
	}
	return nil
}

// help says what a command takes.
func (c *command) help() error {
	name, takes := c.verb+"-"+c.typ.ID, map[string]string{}
	add := func(s *client.Schema, may func(client.Field) bool) {
		if s == nil {
			return
		}
		for field, f := range s.ResourceFields {
			if may(f) && field != "id" {
				takes[field] = describe(f)
			}
		}
	}
	switch c.verb {
	case "create":
		add(c.typ, func(f client.Field) bool { return f.Create })
	case "update":
		add(c.typ, func(f client.Field) bool { return f.Update })
	case "list":
		for field, f := range c.typ.CollectionFilters {
			takes[field] = "also with " + strings.Join(f.Modifiers, ", ") + " after a _"
		}
		takes["sort"], takes["order"], takes["limit"], takes["include"] = "a field", "asc or desc", "the most to list", "a link"
	case "get", "delete":
	default:
		name = c.typ.ID + "-" + c.verb
		add(c.schemas[c.typ.ResourceActions[c.verb].Input], func(f client.Field) bool { return f.Create })
	}
	if c.verb != "create" {
		takes["id"] = "which one"
	}
	takes["o json"], takes["wait"] = "JSON instead of a table", "until nothing is under way with it"
	fmt.Fprintf(c.out, "cattle %s\n", name)
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, flag := range slices.Sorted(maps.Keys(takes)) {
		dash := "--"
		if flag == "o json" {
			dash = "-"
		}
		fmt.Fprintf(w, "  %s%s\t%s\n", dash, flag, takes[flag])
	}
	return w.Flush()
}

func describe(f client.Field) string {
	s := f.Type
	if f.Required {
		s += ", required"
	}
	if len(f.Options) > 0 {
		s += ": " + strings.Join(f.Options, ", ")
	}
	if f.Default != nil {
		s += fmt.Sprintf(" (%v)", f.Default)
	}
	return s
}
