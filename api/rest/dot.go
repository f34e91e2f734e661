package rest

import (
	"fmt"
	"strings"

	"github.com/cattleio/cattle/shared/resource"
)

// sendDot answers with the graph of some processes as Graphviz text.
func (r *request) sendDot(name string, processes []processDoc) error {
	text := r.dot(name, processes)
	if !r.html {
		return r.sendText("text/plain; charset=utf-8", text)
	}
	return r.sendText("text/html; charset=utf-8", "<!DOCTYPE html>\n<title>"+inMarkup.Replace(name)+"</title>\n<pre class=\"graphviz\">"+inMarkup.Replace(text)+"</pre>\n")
}

// dot draws one edge for each transition: dotted ones begin a process, orange ones
// end it and name the logic on the way.
func (r *request) dot(name string, processes []processDoc) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph \"%s\" {\n", name)
	moving := map[string]bool{}
	for _, p := range processes {
		node := func(state string) string {
			if f := p.def.StateField(); f != "state" {
				return f + ":" + state
			}
			return state
		}
		url := r.base + "/v1/processdefinitions/" + resource.All.Type("processDefinition").Obfuscate(p.def.Name)
		for _, t := range p.def.Transitions() {
			if t.Type == "TRANSITIONING" {
				fmt.Fprintf(&b, "  \"%s\" -> \"%s\" [label=\"%s\" style=dotted URL=\"%s\"];\n", node(t.From), node(t.To), p.def.Name, url)
				continue
			}
			if !moving[node(t.From)] {
				moving[node(t.From)] = true
				fmt.Fprintf(&b, "  \"%s\" [color=orange];\n", node(t.From))
			}
			fmt.Fprintf(&b, "  \"%s\" -> \"%s\" [label=\"%s\" color=orange URL=\"%s\"];\n", node(t.From), node(t.To), r.logic(p.def.Name), url)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// logic names a process with what is attached to it.
func (r *request) logic(name string) string {
	var parts []string
	for i, list := range processLists {
		names := []string{}
		for _, impl := range r.implementations(point{name, list}) {
			names = append(names, impl.Name)
		}
		if len(names) > 0 {
			parts = append(parts, []string{"pre", "logic", "post"}[i]+"="+strings.Join(names, ","))
		}
	}
	if len(parts) == 0 {
		return name + "[no-op]"
	}
	return name + "[" + strings.ReplaceAll(strings.Join(parts, ","), `"`, "'") + "]"
}
