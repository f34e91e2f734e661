package diagram

import "slices"

// spot is a place in a layer: a node, the label of an edge, or a bend in it.
type spot struct {
	name       string // of a node
	edge       int    // whose label or bend it is, else -1
	layer      int
	width      float64
	x, y       float64 // its middle
	above      []int   // spots that are tied to it in the layers before and after
	below      []int
	wish, held float64
}

// layout is a graph with a place for everything.
type layout struct {
	spots  []spot
	layers [][]int
	paths  [][]int // by edge: the spots that it goes through, from its first node to its last
	width  float64
	height float64
}

const (
	letter   = 7.0 // about the width of one
	nodeHigh = 34.0
	gap      = 18.0
	apart    = 52.0 // between layers
	border   = 16.0
)

// place gives every node a layer below those that lead to it, where that is possible,
// puts labels into the layers between, and finds an order with few crossings.
func place(g Graph) *layout {
	l := &layout{}
	at := map[string]int{}
	for _, e := range g.Edges {
		for _, name := range []string{e.From, e.To} {
			if _, ok := at[name]; !ok {
				at[name] = len(l.spots)
				l.spots = append(l.spots, spot{name: name, edge: -1, width: letter*float64(len([]rune(name))) + 28})
			}
		}
	}
	l.rank(g, at)
	for i, e := range g.Edges {
		l.paths = append(l.paths, l.lead(i, e, at[e.From], at[e.To]))
	}
	l.sort()
	l.spread()
	return l
}

// rank finds the layers of the nodes: even ones, with room for labels between. Edges
// that would close a circle lead upwards.
func (l *layout) rank(g Graph, at map[string]int) {
	next := make([][]int, len(l.spots))
	for _, e := range g.Edges {
		if e.From != e.To {
			next[at[e.From]] = append(next[at[e.From]], at[e.To])
		}
	}
	const fresh, open, closed = 0, 1, 2
	mark := make([]int, len(l.spots))
	var order []int
	down := make([][]int, len(l.spots))
	var visit func(n int)
	visit = func(n int) {
		mark[n] = open
		for _, to := range next[n] {
			if mark[to] == fresh {
				visit(to)
			}
			if mark[to] == closed {
				down[n] = append(down[n], to)
			}
		}
		mark[n] = closed
		order = append(order, n)
	}
	for n := range l.spots {
		if mark[n] == fresh {
			visit(n)
		}
	}
	slices.Reverse(order) // what leads down comes first
	for _, n := range order {
		for _, to := range down[n] {
			l.spots[to].layer = max(l.spots[to].layer, l.spots[n].layer+2)
		}
	}
}

// lead makes the spots through which an edge goes, one in each layer that it crosses,
// and one with its label.
func (l *layout) lead(i int, e Edge, from, to int) []int {
	upwards := l.spots[from].layer > l.spots[to].layer
	if upwards {
		from, to = to, from
	}
	a, b := l.spots[from].layer, l.spots[to].layer
	if a == b { // beside each other, or the same node: around below
		return []int{from, l.bend(i, a+1, e.Label), to}
	}
	path := []int{from}
	for layer := a + 1; layer < b; layer++ {
		label := ""
		if layer == a+1 && !upwards || layer == b-1 && upwards {
			label = e.Label
		}
		path = append(path, l.bend(i, layer, label))
	}
	path = append(path, to)
	for k := 1; k < len(path); k++ {
		l.spots[path[k-1]].below = append(l.spots[path[k-1]].below, path[k])
		l.spots[path[k]].above = append(l.spots[path[k]].above, path[k-1])
	}
	if upwards {
		slices.Reverse(path)
	}
	return path
}

func (l *layout) bend(edge, layer int, label string) int {
	width := 2.0
	if label != "" {
		width = letter*float64(len([]rune(label))) + 6
	}
	l.spots = append(l.spots, spot{edge: edge, layer: layer, width: width})
	return len(l.spots) - 1
}

// sort orders the layers by the middle of what each spot is tied to, down and up in
// turn.
func (l *layout) sort() {
	for i := range l.spots {
		for len(l.layers) <= l.spots[i].layer {
			l.layers = append(l.layers, nil)
		}
		l.layers[l.spots[i].layer] = append(l.layers[l.spots[i].layer], i)
	}
	l.number()
	for round := range 24 {
		for k := range l.layers {
			layer := l.layers[k]
			if round%2 == 1 {
				layer = l.layers[len(l.layers)-1-k]
			}
			for _, i := range layer {
				l.spots[i].wish = l.middle(i, round%2 == 0)
			}
			slices.SortStableFunc(layer, func(a, b int) int { return compare(l.spots[a].wish, l.spots[b].wish) })
			l.number()
		}
	}
}

func (l *layout) number() {
	for _, layer := range l.layers {
		for k, i := range layer {
			l.spots[i].held = float64(k)
		}
	}
}

func (l *layout) middle(i int, fromAbove bool) float64 {
	tied := l.spots[i].below
	if fromAbove {
		tied = l.spots[i].above
	}
	if len(tied) == 0 {
		return l.spots[i].held
	}
	sum := 0.0
	for _, k := range tied {
		sum += l.spots[k].held
	}
	return sum / float64(len(tied))
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// spread gives every spot its place: as near to the middle of its neighbours as the
// others in its layer let it.
func (l *layout) spread() {
	for _, layer := range l.layers {
		x := 0.0
		for _, i := range layer {
			l.spots[i].x = x + l.spots[i].width/2
			x += l.spots[i].width + gap
		}
	}
	for range 30 {
		for _, layer := range l.layers {
			l.settle(layer)
		}
	}
	left := 0.0
	for i := range l.spots {
		left = min(left, l.spots[i].x-l.spots[i].width/2)
	}
	for i := range l.spots {
		s := &l.spots[i]
		s.x += border - left
		s.y = border + nodeHigh/2 + float64(s.layer)*apart
		l.width, l.height = max(l.width, s.x+s.width/2+border), max(l.height, s.y+nodeHigh/2+border)
	}
}

// settle moves the spots of a layer towards where they would like to be, pushing no
// two together: once from the left, once from the right, and halfway between.
func (l *layout) settle(layer []int) {
	for _, i := range layer {
		s := &l.spots[i]
		s.wish = s.x
		if n := len(s.above) + len(s.below); n > 0 {
			sum := 0.0
			for _, k := range s.above {
				sum += l.spots[k].x
			}
			for _, k := range s.below {
				sum += l.spots[k].x
			}
			s.wish = sum / float64(n)
		}
	}
	for k, i := range layer {
		s := &l.spots[i]
		s.x = s.wish
		if k > 0 {
			before := l.spots[layer[k-1]]
			s.x = max(s.x, before.x+before.width/2+gap+s.width/2)
		}
	}
	right := make([]float64, len(layer))
	for k := len(layer) - 1; k >= 0; k-- {
		s := l.spots[layer[k]]
		right[k] = s.wish
		if k < len(layer)-1 {
			after := l.spots[layer[k+1]]
			right[k] = min(right[k], right[k+1]-after.width/2-gap-s.width/2)
		}
	}
	for k, i := range layer {
		l.spots[i].x = (l.spots[i].x + right[k]) / 2
	}
}
