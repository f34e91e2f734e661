package libvirt

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"
)

// trees are the definitions of a template by their names. They are written in the
// language of text/template and carried out here, over maps, lists and plain values:
// that package itself would keep the linker from leaving out any method of the whole
// program.
type trees map[string]*parse.Tree

// functions are those that a template may call.
var functions = map[string]func(args ...any) (any, error){
	"xml": func(args ...any) (any, error) {
		var out strings.Builder
		for _, v := range args {
			out.WriteString(escape(v))
		}
		return out.String(), nil
	},
	"eq":  func(args ...any) (any, error) { return same(args), nil },
	"ne":  func(args ...any) (any, error) { return !same(args), nil },
	"not": func(args ...any) (any, error) { return !slices.ContainsFunc(args, truth), nil },
	"and": func(args ...any) (any, error) { return choose(args, false), nil },
	"or":  func(args ...any) (any, error) { return choose(args, true), nil },
	"printf": func(args ...any) (any, error) {
		format, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("printf wants a format first")
		}
		return fmt.Sprintf(format, args[1:]...), nil
	},
}

// same tells whether the first is written like one of the others.
func same(args []any) bool {
	return len(args) > 1 && slices.ContainsFunc(args[1:], func(v any) bool { return written(v) == written(args[0]) })
}

// choose gives the first value of that truth, or the last.
func choose(args []any, truthful bool) any {
	for _, v := range args {
		if truth(v) == truthful {
			return v
		}
	}
	return args[len(args)-1]
}

// parseTrees reads a template.
func parseTrees(name, text string) (trees, error) {
	known := map[string]any{}
	for f := range functions {
		known[f] = f
	}
	return parse.Parse(name, text, "", "", known)
}

// over replaces definitions by those of another template.
func (t trees) over(other trees) trees {
	merged := maps.Clone(t)
	for name, tree := range other {
		if !parse.IsEmptyTree(tree.Root) || t[name] != nil {
			merged[name] = tree
		}
	}
	return merged
}

// weaver carries out one template.
type weaver struct {
	trees trees
	out   strings.Builder
	depth int
	vars  []variable
}

type variable struct {
	name  string
	value any
}

// weave fills a template in with values.
func (t trees) weave(name string, values map[string]any) (text string, err error) {
	w := &weaver{trees: t}
	if err := w.template(name, values); err != nil {
		return "", err
	}
	return w.out.String(), nil
}

func (w *weaver) template(name string, dot any) error {
	tree := w.trees[name]
	if tree == nil {
		return fmt.Errorf("there is no block %q", name)
	}
	if w.depth++; w.depth > 100 {
		return fmt.Errorf("block %q goes around in a circle", name)
	}
	outer := w.vars
	w.vars = []variable{{"$", dot}}
	err := w.list(tree.Root, dot)
	w.vars = outer
	w.depth--
	return err
}

func (w *weaver) list(list *parse.ListNode, dot any) error {
	if list == nil {
		return nil
	}
	seen := len(w.vars)
	defer func() { w.vars = w.vars[:seen] }()
	for _, n := range list.Nodes {
		if err := w.node(n, dot); err != nil {
			return err
		}
	}
	return nil
}

func (w *weaver) node(n parse.Node, dot any) error {
	switch n := n.(type) {
	case *parse.TextNode:
		w.out.Write(n.Text)
	case *parse.CommentNode:
	case *parse.ActionNode:
		v, err := w.pipe(n.Pipe, dot)
		if err == nil && len(n.Pipe.Decl) == 0 {
			w.out.WriteString(written(v))
		}
		return err
	case *parse.TemplateNode:
		v, err := w.pipe(n.Pipe, dot)
		if err != nil {
			return err
		}
		return w.template(n.Name, v)
	case *parse.IfNode:
		return w.branch(&n.BranchNode, dot, func(any) error { return w.list(n.List, dot) })
	case *parse.WithNode:
		return w.branch(&n.BranchNode, dot, func(v any) error { return w.list(n.List, v) })
	case *parse.RangeNode:
		return w.branch(&n.BranchNode, dot, func(v any) error { return w.each(n, v) })
	default:
		return fmt.Errorf("%s is not understood here", n)
	}
	return nil
}

// branch goes one way for a value that counts as true, the other for one that does not.
func (w *weaver) branch(n *parse.BranchNode, dot any, yes func(v any) error) error {
	seen := len(w.vars)
	defer func() { w.vars = w.vars[:seen] }()
	v, err := w.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	if !truth(v) {
		return w.list(n.ElseList, dot)
	}
	return yes(v)
}

func (w *weaver) each(n *parse.RangeNode, v any) error {
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return fmt.Errorf("%s is no list", n.Pipe)
	}
	seen := len(w.vars)
	defer func() { w.vars = w.vars[:seen] }()
	for i := range list.Len() {
		element := list.Index(i).Interface()
		for j, d := range n.Pipe.Decl { // one is the element, two are its number and it
			value := element
			if len(n.Pipe.Decl) == 2 && j == 0 {
				value = i
			}
			w.vars = append(w.vars, variable{d.Ident[0], value})
		}
		if err := w.list(n.List, element); err != nil {
			return err
		}
	}
	return nil
}

func (w *weaver) pipe(p *parse.PipeNode, dot any) (v any, err error) {
	if p == nil {
		return nil, nil
	}
	for i, c := range p.Cmds {
		var piped []any
		if i > 0 {
			piped = []any{v}
		}
		if v, err = w.command(c, dot, piped); err != nil {
			return nil, err
		}
	}
	for _, d := range p.Decl {
		w.assign(d.Ident[0], v, p.IsAssign)
	}
	return v, nil
}

func (w *weaver) assign(name string, v any, again bool) {
	for i := len(w.vars) - 1; again && i >= 0; i-- {
		if w.vars[i].name == name {
			w.vars[i].value = v
			return
		}
	}
	w.vars = append(w.vars, variable{name, v})
}

func (w *weaver) command(c *parse.CommandNode, dot any, piped []any) (any, error) {
	name, calls := c.Args[0].(*parse.IdentifierNode)
	if !calls {
		if len(c.Args) > 1 || len(piped) > 0 {
			return nil, fmt.Errorf("%s is no function", c.Args[0])
		}
		return w.value(c.Args[0], dot)
	}
	var args []any
	for _, a := range c.Args[1:] {
		v, err := w.value(a, dot)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	if args = append(args, piped...); len(args) == 0 {
		return nil, fmt.Errorf("%s wants something to work on", name)
	}
	return functions[name.Ident](args...)
}

func (w *weaver) value(n parse.Node, dot any) (any, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.NilNode:
		return nil, nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.StringNode:
		return n.Text, nil
	case *parse.NumberNode:
		return n.Text, nil
	case *parse.FieldNode:
		return follow(dot, n.Ident)
	case *parse.VariableNode:
		for i := len(w.vars) - 1; i >= 0; i-- {
			if w.vars[i].name == n.Ident[0] {
				return follow(w.vars[i].value, n.Ident[1:])
			}
		}
	case *parse.PipeNode:
		return w.pipe(n, dot)
	case *parse.ChainNode:
		v, err := w.value(n.Node, dot)
		if err != nil {
			return nil, err
		}
		return follow(v, n.Field)
	}
	return nil, fmt.Errorf("%s is not understood here", n)
}

// follow goes down into maps; where nothing is, nil is.
func follow(v any, names []string) (any, error) {
	for _, name := range names {
		switch m := v.(type) {
		case nil:
			return nil, nil
		case map[string]any:
			v = m[name]
		case row:
			v = m[name]
		default:
			return nil, fmt.Errorf("there is no %s in %s", name, written(v))
		}
	}
	return v, nil
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case json.Number:
		return v != "" && v != "0"
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return r.Len() > 0
	default:
		return !r.IsZero()
	}
}

func written(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
