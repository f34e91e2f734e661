package rest

import (
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// Implementation is one piece of logic attached to a process.
type Implementation struct {
	Name, ClassName string
	Priority        int
	Properties      map[string]any // texts or nil
}

// The lists of logic that every process has.
var processLists = []string{"pre.listeners", "handlers", "post.listeners"}

// processDoc is a process and the type it belongs to.
type processDoc struct {
	def *process.Definition
	typ *schema.Type
}

// processDocs lists every process in order of name.
func processDocs() []processDoc {
	var out []processDoc
	for _, k := range resource.All.Kinds() {
		for _, d := range k.Processes {
			out = append(out, processDoc{d, k.Type})
		}
	}
	slices.SortFunc(out, func(a, b processDoc) int { return strings.Compare(a.def.Name, b.def.Name) })
	return out
}

// definition reads the id of a definition: its name in any case, as a URL has it.
func definitionID(text string) string {
	if stored, ok := schema.ParseID(text); ok {
		return strings.ToLower(stored)
	}
	return ""
}

// processDefinitionType answers /v1/processdefinitions.
func processDefinitionType(r *request, t *auth.Type) error {
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	if err := r.readExternal(); err != nil {
		return err
	}
	if len(r.segments) == 2 {
		return r.sendDocs(t, func(b []byte) []byte { return joined(b, r.api.processes, r.appendProcess) })
	}
	name := definitionID(r.segments[2])
	i := slices.IndexFunc(r.api.processes, func(p processDoc) bool { return p.def.Name == name })
	switch {
	case i < 0:
		return fault.NotFound()
	case len(r.segments) == 3:
		return r.send(200, r.appendProcess(nil, r.api.processes[i]))
	case strings.EqualFold(r.segments[3], "processDot"):
		return r.sendDot(name, r.api.processes[i:i+1])
	}
	return fault.NotFound()
}

func (r *request) definitionIDText(typ, name string) string {
	if r.plain {
		return name
	}
	return resource.All.Type(typ).Obfuscate(name)
}

func (r *request) appendProcess(b []byte, p processDoc) []byte {
	id := r.definitionIDText("processDefinition", p.def.Name)
	self := r.base + "/v1/processdefinitions/" + pathEscape(id)
	o := open(b)
	o.text("id", id)
	o.text("type", "processDefinition")
	o.key("links")
	links := open(o.b)
	links.text("self", self)
	links.text("processDot", self+"/processdot")
	o.b = links.close()
	o.raw("actions", "{}")
	o.value("extensionBased", true)
	o.text("name", p.def.Name)
	for i, field := range []string{"preProcessListeners", "processHandlers", "postProcessListeners"} {
		o.key(field)
		o.b = r.appendPoint(o.b, point{p.def.Name, processLists[i]})
	}
	o.text("resourceType", p.typ.Name)
	o.key("stateTransitions")
	o.b = append(o.b, '[')
	o.b = joined(o.b, p.def.Transitions(), func(b []byte, t process.Transition) []byte {
		one := open(b)
		one.raw("id", "null")
		one.text("type", t.Type)
		one.raw("links", "{}")
		one.raw("actions", "{}")
		one.text("fromState", t.From)
		one.text("toState", t.To)
		one.text("field", t.Field)
		return one.close()
	})
	o.b = append(o.b, ']')
	return o.close()
}

// point is a place where logic is plugged in: one list of one process.
type point struct{ process, list string }

func (p point) name() string { return "process." + p.process + "." + p.list }

// extensionPointType answers /v1/extensionpoints.
func extensionPointType(r *request, t *auth.Type) error {
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	if err := r.readExternal(); err != nil {
		return err
	}
	var points []point
	for _, p := range r.api.processes {
		for _, list := range processLists {
			points = append(points, point{p.def.Name, list})
		}
	}
	switch len(r.segments) {
	case 2:
		return r.sendDocs(t, func(b []byte) []byte { return joined(b, points, r.appendPoint) })
	case 3:
		name := definitionID(r.segments[2])
		if i := slices.IndexFunc(points, func(p point) bool { return p.name() == name }); i >= 0 {
			return r.send(200, r.appendPoint(nil, points[i]))
		}
	}
	return fault.NotFound()
}

func (r *request) appendPoint(b []byte, p point) []byte {
	o := open(b)
	o.raw("id", "null")
	o.text("type", "extensionPoint")
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.text("name", p.name())
	for _, kind := range []string{"list", "exclude", "include"} {
		if v, ok := r.api.Settings.Lookup(p.name() + "." + kind); ok {
			o.text(kind+"Setting", v.Value)
		} else {
			o.raw(kind+"Setting", "null")
		}
	}
	o.key("implementations")
	o.b = append(o.b, '[')
	o.b = joined(o.b, r.implementations(p), appendImplementation)
	o.b = append(o.b, ']')
	return o.close()
}

func appendImplementation(b []byte, i Implementation) []byte {
	o := open(b)
	o.raw("id", "null")
	o.text("type", "extensionImplementation")
	o.raw("links", "{}")
	o.raw("actions", "{}")
	o.text("name", i.Name)
	o.text("className", i.ClassName)
	properties := i.Properties
	if properties == nil {
		properties = map[string]any{}
	}
	o.value("properties", properties)
	return o.close()
}

// resourceDefinitionType answers /v1/resourcedefinitions.
func resourceDefinitionType(r *request, t *auth.Type) error {
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	types := r.api.movingTypes()
	if len(r.segments) == 2 {
		return r.sendDocs(t, func(b []byte) []byte { return joined(b, types, r.appendDefinition) })
	}
	id := definitionID(r.segments[2])
	i := slices.IndexFunc(types, func(s *schema.Type) bool { return strings.ToLower(s.Name) == id })
	if i < 0 {
		return fault.NotFound()
	}
	typ := types[i]
	if len(r.segments) == 3 {
		return r.send(200, r.appendDefinition(nil, typ))
	}
	if err := r.readExternal(); err != nil {
		return err
	}
	var own []processDoc
	for _, p := range r.api.processes {
		if p.typ == typ {
			own = append(own, p)
		}
	}
	switch strings.ToLower(r.segments[3]) {
	case "processes":
		return r.sendDocs(t, func(b []byte) []byte { return joined(b, own, r.appendProcess) })
	case "resourcedot":
		return r.sendDot(typ.Name, own)
	}
	return fault.NotFound()
}

// movingTypes lists the types that have processes in order of name.
func (a *API) movingTypes() []*schema.Type {
	var out []*schema.Type
	for _, p := range a.processes {
		if !slices.Contains(out, p.typ) {
			out = append(out, p.typ)
		}
	}
	slices.SortFunc(out, func(a, b *schema.Type) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (r *request) appendDefinition(b []byte, t *schema.Type) []byte {
	id := r.definitionIDText("resourceDefinition", t.Name)
	self := r.base + "/v1/resourcedefinitions/" + pathEscape(id)
	o := open(b)
	o.text("id", id)
	o.text("type", "resourceDefinition")
	o.key("links")
	links := open(o.b)
	links.text("self", self)
	links.text("processes", self+"/processes")
	links.text("resourceDot", self+"/resourcedot")
	o.b = links.close()
	o.raw("actions", "{}")
	o.text("name", t.Name)
	return o.close()
}
