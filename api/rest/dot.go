package rest

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/diagram"
	"github.com/cattleio/cattle/shared/resource"
)

// sendDot answers with the graph of some processes: as Graphviz text, on a page that draws
// it where the caller reads pages, or as a picture where it asks for one.
func (r *request) sendDot(name string, processes []processDoc) error {
	g := r.graph(name, processes)
	r.c.Vary(fiber.HeaderAccept)
	switch {
	case r.wantsPicture():
		return r.sendText("image/svg+xml; charset=utf-8", g.SVG())
	case r.html:
		return r.sendText("text/html; charset=utf-8", "<!DOCTYPE html>\n<title>"+inMarkup.Replace(name)+"</title>\n"+g.SVG()+"<pre class=\"graphviz\">"+inMarkup.Replace(g.DOT())+"</pre>\n")
	}
	return r.sendText("text/plain; charset=utf-8", g.DOT())
}

// wantsPicture tells whether the caller accepts SVG by name and does not rather have
// text or a page. Whoever takes anything gets text.
func (r *request) wantsPicture() bool {
	if format := r.query.get("_format"); format != "" {
		return strings.EqualFold(format, "svg")
	}
	picture, words := 0.0, 0.0
	for _, part := range strings.Split(r.header(fiber.HeaderAccept), ",") {
		kind, rest, _ := strings.Cut(part, ";")
		switch q := quality(rest); strings.ToLower(strings.TrimSpace(kind)) {
		case "image/svg+xml", "image/*":
			picture = max(picture, q)
		case "text/html", "text/plain", "text/vnd.graphviz", "text/*":
			words = max(words, q)
		}
	}
	return picture > words
}

// quality reads the q of one part of an Accept header; it is 1 where none is given.
func quality(parameters string) float64 {
	for _, p := range strings.Split(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}

// graph has one edge for each transition: dotted ones begin a process, coloured ones
// end it and name the logic on the way.
func (r *request) graph(name string, processes []processDoc) diagram.Graph {
	g := diagram.Graph{Name: name, Marks: map[string]bool{}}
	for _, p := range processes {
		node := func(state string) string {
			if f := p.def.StateField(); f != "state" {
				return f + ":" + state
			}
			return state
		}
		url := r.base + "/v1/processdefinitions/" + resource.All.Type("processDefinition").Obfuscate(p.def.Name)
		for _, t := range p.def.Transitions() {
			e := diagram.Edge{From: node(t.From), To: node(t.To), Label: p.def.Name, URL: url, Dotted: t.Type == "TRANSITIONING"}
			if !e.Dotted {
				g.Marks[e.From] = true
				e.Note = r.logic(p.def.Name)
			}
			g.Edges = append(g.Edges, e)
		}
	}
	return g
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
	return name + "[" + strings.Join(parts, ",") + "]"
}
