package diagram

import (
	"fmt"
	"html"
	"net/url"
	"strings"
)

// SVG returns the graph as a picture: no scripts, nothing loaded from elsewhere.
func (g Graph) SVG() string {
	l := place(g)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">
<title>%s</title>
<defs><marker id="tip" markerWidth="9" markerHeight="7" refX="8" refY="3.5" orient="auto"><path d="M0,0 L9,3.5 L0,7 z" fill="context-stroke"/></marker></defs>
<rect width="100%%" height="100%%" fill="white"/>
`, l.width, l.height, l.width, l.height, text(g.Name))
	for i, e := range g.Edges {
		l.drawEdge(&b, e, l.paths[i])
	}
	for i := range l.spots {
		if s := &l.spots[i]; s.edge < 0 {
			drawNode(&b, s, g.Marks[s.name])
		}
	}
	for i, e := range g.Edges {
		l.drawLabel(&b, e, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawNode(b *strings.Builder, s *spot, marked bool) {
	stroke := "black"
	if marked {
		stroke = "orange"
	}
	fmt.Fprintf(b, `<g class="node"><ellipse cx="%.1f" cy="%.1f" rx="%.1f" ry="%.1f" fill="white" stroke="%s"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text></g>`+"\n",
		s.x, s.y, s.width/2, nodeHigh/2, stroke, s.x, s.y+4, text(s.name))
}

func (l *layout) drawEdge(b *strings.Builder, e Edge, path []int) {
	style := `stroke="orange"`
	if e.Dotted {
		style = `stroke="black" stroke-dasharray="2 3"`
	}
	fmt.Fprintf(b, `<path class="edge" fill="none" %s marker-end="url(#tip)" d="%s"/>`+"\n", style, l.curve(path))
}

// curve leads through the spots of a path, straight up or down at each of them.
func (l *layout) curve(path []int) string {
	var b strings.Builder
	for k, i := range path {
		s := &l.spots[i]
		x, y := s.x, s.y
		if s.edge < 0 { // from and to the rim of a node, on the side of the next spot
			other := path[max(k-1, 0)]
			if k == 0 {
				other = path[1]
			}
			y += nodeHigh / 2
			if l.spots[other].y < s.y {
				y -= nodeHigh
			}
			if k == len(path)-1 && path[0] == i {
				x += s.width / 4 // a loop comes back beside where it left
			}
		}
		if k == 0 {
			fmt.Fprintf(&b, "M%.1f,%.1f", x, y)
			continue
		}
		before := &l.spots[path[k-1]]
		middle := (before.y + s.y) / 2
		fmt.Fprintf(&b, " C%.1f,%.1f %.1f,%.1f %.1f,%.1f", before.x, middle, x, middle, x, y)
	}
	return b.String()
}

func (l *layout) drawLabel(b *strings.Builder, e Edge, i int) {
	for _, k := range l.paths[i] {
		s := &l.spots[k]
		if s.edge < 0 || s.width <= 2 {
			continue
		}
		note := e.Note
		if note == "" {
			note = e.Label
		}
		open, end := "", ""
		if link(e.URL) {
			open, end = `<a href="`+text(e.URL)+`">`, "</a>"
		}
		fmt.Fprintf(b, `%s<g class="label"><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="16" fill="white" fill-opacity="0.8"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text></g>%s`+"\n",
			open, text(note), s.x-s.width/2, s.y-9, s.width, s.x, s.y+4, text(e.Label), end)
		return
	}
}

// link tells whether an address leads to a page, and not to a script.
func link(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// text writes a text into a picture: escaped, and without what XML has no place for.
func text(t string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(t, "\uFFFD")))
}
