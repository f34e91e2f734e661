package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
)

// registry holds the handlers by list. It never changes.
type registry struct {
	exact map[string][]*process.Handler // by process and stage
	any   map[string][]*process.Handler // by verb and stage, for *.verb
	named map[string]*process.Handler   // by name and stage
}

func newRegistry(handlers []process.Handler) registry {
	g := registry{map[string][]*process.Handler{}, map[string][]*process.Handler{}, map[string]*process.Handler{}}
	for i := range handlers {
		h := &handlers[i]
		if name := h.Name + "/" + h.Stage.String(); g.named[name] == nil {
			g.named[name] = h
		}
		for _, p := range h.Processes {
			into := g.exact
			if strings.HasPrefix(p, "*.") {
				into = g.any
			}
			key := p + "/" + h.Stage.String()
			for _, other := range into[key] {
				if other.Name == h.Name {
					panic("engine: two handlers of " + key + " are called " + h.Name)
				}
			}
			into[key] = append(into[key], h)
		}
	}
	return g
}

// list returns the handlers of one list in the order in which they run. The settings
// process.NAME.STAGE.list, .include and .exclude rearrange it by names, also of handlers
// of other processes.
func (g registry) list(def *process.Definition, stage process.Stage, setting func(string) string) []*process.Handler {
	exact := g.exact[def.Name+"/"+stage.String()]
	wild := g.any["*."+def.Verb()+"/"+stage.String()]
	key := "process." + def.Name + "." + stage.String()
	only, more, excluded := setting(key+".list"), setting(key+".include"), setting(key+".exclude")
	if len(wild) == 0 && only == "" && more == "" && excluded == "" && slices.IsSortedFunc(exact, byPriority) {
		return exact
	}
	all := append(slices.Clone(exact), wild...)
	if only != "" {
		all = g.pick(all, names(only), stage)
	} else {
		for _, h := range g.pick(all, names(more), stage) {
			if !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
		slices.SortStableFunc(all, byPriority)
	}
	out := names(excluded)
	return slices.DeleteFunc(all, func(h *process.Handler) bool { return slices.Contains(out, h.Name) })
}

func byPriority(a, b *process.Handler) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Name, b.Name))
}

// pick returns the handlers of those names in their order: those of the list, or of any.
func (g registry) pick(all []*process.Handler, order []string, stage process.Stage) []*process.Handler {
	var out []*process.Handler
	for _, name := range order {
		at := slices.IndexFunc(all, func(h *process.Handler) bool { return h.Name == name })
		if at >= 0 {
			out = append(out, all[at])
		} else if h := g.named[name+"/"+stage.String()]; h != nil {
			out = append(out, h)
		}
	}
	return out
}

func names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// Attached lists the handlers of a list, for those who show them.
func (e *Engine) Attached(processName string, stage process.Stage) []*process.Handler {
	def := &process.Definition{Name: processName}
	return e.lists.list(def, stage, e.Settings.Get)
}
