package diagram

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func life() Graph {
	return Graph{Name: "disk", Marks: map[string]bool{"making": true, "erasing": true}, Edges: []Edge{
		{From: "asked", To: "making", Label: "disk.make", URL: "http://h/make", Dotted: true},
		{From: "making", To: "idle", Label: "disk.make", Note: "disk.make[logic=Make]", URL: "http://h/make"},
		{From: "idle", To: "erasing", Label: "disk.erase", Dotted: true},
		{From: "asked", To: "erasing", Label: "disk.erase", Dotted: true},
		{From: "erasing", To: "asked", Label: "disk.erase"},
		{From: "idle", To: "idle", Label: "disk.look"},
	}}
}

// parsed reads a picture and counts its elements.
func parsed(t *testing.T, svg string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return count
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
			for _, a := range e.Attr {
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "http") || strings.HasPrefix(strings.ToLower(a.Name.Local), "on") {
					t.Errorf("the picture does something: %s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestAPictureShowsEveryStateAndEveryMove(t *testing.T) {
	t.Parallel()
	svg := life().SVG()
	count := parsed(t, svg)
	if count["ellipse"] != 4 || count["path"] != 6+1 || count["a"] != 2 {
		t.Errorf("the picture has %v", count)
	}
	for _, want := range []string{">asked<", ">making<", ">disk.make<", "<title>disk.make[logic=Make]</title>", `stroke="orange"`, "stroke-dasharray"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is missing in\n%s", want, svg)
		}
	}
	if file := os.Getenv("CATTLE_TEST_SVG"); file != "" {
		_ = os.WriteFile(file, []byte(svg), 0o644)
	}
}

func TestNothingInAPictureLiesOnSomethingElse(t *testing.T) {
	t.Parallel()
	l := place(life())
	for _, layer := range l.layers {
		for k := 1; k < len(layer); k++ {
			a, b := l.spots[layer[k-1]], l.spots[layer[k]]
			if a.x+a.width/2 > b.x-b.width/2 {
				t.Errorf("%q and %q overlap", a.name, b.name)
			}
		}
	}
	for _, s := range l.spots {
		if s.x-s.width/2 < 0 || s.x+s.width/2 > l.width || s.y > l.height {
			t.Errorf("%q lies outside", s.name)
		}
	}
}

// Names come from handlers that anybody with the right may register.
func TestNamesAreShownAndDoNothing(t *testing.T) {
	t.Parallel()
	evil := "x\"]; a -> b [label=\"\\\n</text><script>alert(1)</script>&'\x00\x07\xff"
	g := Graph{Name: evil, Edges: []Edge{{From: evil, To: "b", Label: evil, Note: evil, URL: "javascript:alert(1)"}, {From: "b", To: "c", URL: `http://h/"><script>`}}}
	if count := parsed(t, g.SVG()); count["script"] != 0 || count["a"] != 0 {
		t.Errorf("the picture has %v", count)
	}
	dot := g.DOT()
	if lines := strings.Count(dot, "\n"); lines != 4 {
		t.Errorf("a name made %d lines:\n%s", lines, dot)
	}
	for _, line := range strings.Split(dot, "\n") {
		open := false
		for i := 0; i < len(line); i++ {
			switch {
			case line[i] == '\\':
				i++
			case line[i] == '"':
				open = !open
			}
		}
		if open {
			t.Errorf("a quote stays open in %s", line)
		}
	}
}

func TestLargeGraphsAndEmptyOnesAreDrawn(t *testing.T) {
	t.Parallel()
	parsed(t, Graph{}.SVG())
	var g Graph
	for i := range 200 {
		g.Edges = append(g.Edges, Edge{From: fmt.Sprint(i % 40), To: fmt.Sprint(i * 7 % 40), Label: "move"})
	}
	if n := parsed(t, g.SVG())["ellipse"]; n != 40 {
		t.Errorf("%d of 40 nodes are drawn", n)
	}
}
