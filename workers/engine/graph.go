package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// Graph expands a row by the setting event.data.TYPE: names of links separated by
// | or commas, a[b|c] or a.b to go deeper. Removed rows are left out of lists.
// Credentials keep their secrets to themselves.
func (f *frame) Graph(ctx context.Context, row *schema.Row) (map[string]any, error) {
	typ := row.Type().Name
	tree, err := parseGraph(f.Setting("event.data." + typ))
	if err != nil {
		return nil, fmt.Errorf("cannot read the setting event.data.%s: %w", typ, err)
	}
	m, err := f.expand(ctx, row, tree, false)
	if err != nil {
		return nil, err
	}
	return map[string]any{typ: m}, nil
}

// expand describes a row and what is below it. Only of the instance that is to run is told
// what nobody else may know; the others are there for their names.
func (f *frame) expand(ctx context.Context, row *schema.Row, tree graph, runs bool) (map[string]any, error) {
	m := row.Map()
	if row.Type().Name == "credential" {
		delete(m, "secretValue")
	}
	if row.Type().Name == "instance" {
		trim(m)
		if !runs {
			m["token"], m["userdata"] = nil, nil
		} else if err := f.furnish(ctx, row, m); err != nil {
			return nil, err
		}
	}
	for name, below := range tree {
		link := linkOf(row.Type(), name)
		if link == nil {
			return nil, fmt.Errorf("%s has no link %s", row.Type().Name, name)
		}
		v, err := f.follow(ctx, row, *link, below)
		if err != nil {
			return nil, err
		}
		m[link.Name] = v
	}
	return m, nil
}

// trim leaves out what an earlier run reported and the next has no use for.
func trim(m map[string]any) {
	if data, ok := m["data"].(map[string]any); ok {
		delete(data, "dockerContainer")
		delete(data, "dockerInspect")
		if l, ok := data["libvirt"].(map[string]any); ok {
			l = maps.Clone(l)
			delete(l, "xml")
			data["libvirt"] = l
		}
		if fields, ok := data["fields"].(map[string]any); ok && fields["libvirtVncPassword"] != nil {
			delete(copied(data, "fields"), "libvirtVncPassword")
		}
	}
}

func linkOf(t *schema.Type, name string) *resource.Link {
	for _, l := range resource.All.Links(t) {
		if strings.EqualFold(l.Name, name) {
			return &l
		}
	}
	return nil
}

func (f *frame) follow(ctx context.Context, row *schema.Row, l resource.Link, below graph) (any, error) {
	if l.Reference {
		id := row.Int(l.Column)
		if id == 0 {
			return nil, nil
		}
		other, err := f.Get(ctx, l.Target, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return f.expand(ctx, other, below, row.Type().Name == "instanceHostMap")
	}
	rows, err := f.related(ctx, row, l)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(rows))
	for _, other := range rows {
		if other.Removed() {
			continue
		}
		m, err := f.expand(ctx, other, below, false)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (f *frame) related(ctx context.Context, row *schema.Row, l resource.Link) ([]*schema.Row, error) {
	if l.Via == "" {
		return f.Find(ctx, l.Target, process.Match{l.Column: row.ID()})
	}
	ties, err := f.Find(ctx, l.Via, process.Match{l.Column: row.ID()})
	if err != nil {
		return nil, err
	}
	var out []*schema.Row
	for _, tie := range ties {
		if tie.Removed() {
			continue
		}
		other, err := f.Get(ctx, l.Target, tie.Int(l.There))
		if err != nil {
			return nil, err
		}
		out = append(out, other)
	}
	return out, nil
}

// graph is a parsed expression: link names and what lies below each.
type graph map[string]graph

func parseGraph(text string) (graph, error) {
	p := &graphParser{text: strings.ReplaceAll(text, " ", "")}
	g, err := p.list()
	if err == nil && p.at < len(p.text) {
		err = fmt.Errorf("unexpected %q", p.text[p.at:])
	}
	return g, err
}

type graphParser struct {
	text string
	at   int
}

func (p *graphParser) list() (graph, error) {
	g := graph{}
	for p.at < len(p.text) && p.text[p.at] != ']' {
		if err := p.item(g); err != nil {
			return nil, err
		}
		if p.at < len(p.text) && (p.text[p.at] == '|' || p.text[p.at] == ',') {
			p.at++
		}
	}
	return g, nil
}

func (p *graphParser) item(g graph) error {
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune("|,[].", rune(p.text[p.at])) {
		p.at++
	}
	name := p.text[start:p.at]
	if name == "" {
		return fmt.Errorf("a name is missing at %d", start)
	}
	if g[name] == nil {
		g[name] = graph{}
	}
	if p.at == len(p.text) {
		return nil
	}
	switch p.text[p.at] {
	case '.':
		p.at++
		return p.item(g[name])
	case '[':
		p.at++
		below, err := p.list()
		if err != nil {
			return err
		}
		if p.at == len(p.text) {
			return fmt.Errorf("a ] is missing")
		}
		p.at++
		for n, b := range below {
			g[name][n] = b
		}
	}
	return nil
}
