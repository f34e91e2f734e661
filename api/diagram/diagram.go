// Package diagram draws directed graphs, as Graphviz text for programs and as SVG for
// people. It knows nothing of what it draws.
//
//	Graph ──▶ DOT, the text that Graphviz reads
//	  └─ ranks ─▶ order ─▶ places ─▶ SVG
//
// The graphs here have a few dozen nodes. For these a layered layout takes a
// millisecond and two hundred lines, where Graphviz itself, even compiled for Go,
// takes tens of megabytes of every server that never draws anything.
package diagram

import (
	"fmt"
	"strings"
)

// Graph is what is drawn. Nodes come into being where an edge names them.
type Graph struct {
	Name  string
	Marks map[string]bool // nodes that are set off by colour
	Edges []Edge
}

// Edge leads from one node to another.
type Edge struct {
	From, To string
	Label    string
	Note     string // more than fits beside the edge; DOT has it instead of the label
	URL      string
	Dotted   bool // else it is coloured
}

// DOT returns the graph as Graphviz reads it.
func (g Graph) DOT() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n", quoted(g.Name))
	marked := map[string]bool{}
	for _, e := range g.Edges {
		if g.Marks[e.From] && !e.Dotted && !marked[e.From] {
			marked[e.From] = true
			fmt.Fprintf(&b, "  %s [color=orange];\n", quoted(e.From))
		}
		label, style := e.Label, "style=dotted"
		if e.Note != "" {
			label = e.Note
		}
		if !e.Dotted {
			style = "color=orange"
		}
		fmt.Fprintf(&b, "  %s -> %s [label=%s %s URL=%s];\n", quoted(e.From), quoted(e.To), quoted(label), style, quoted(e.URL))
	}
	b.WriteString("}\n")
	return b.String()
}

// quoted writes a text as Graphviz reads it back. A backslash begins an escape there,
// in labels also before a quote has been read, so it is doubled; lines stay apart.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`, "\x00", "").Replace(text) + `"`
}
