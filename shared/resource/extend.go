package resource

import (
	"fmt"
	"slices"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
)

// model is the state machine of a type: a new row stands in requested, and in the
// first value of any other column that processes move; its life may end purged.
func model(t *schema.Type, defs []*process.Definition) process.Model {
	first := map[string]string{"state": "requested"}
	for _, f := range t.Own {
		if s, ok := f.First.(string); ok && f.Name != "state" {
			first[f.Name] = s
		}
	}
	return process.Model{Type: t.Name, Processes: defs, First: first, Ends: []string{"purged"}}
}

// Extend adds processes to a type, for an extension that brings them along. It
// refuses all of them, and changes nothing, if one does not fit into the state
// machine of the type. It is for the start of a program: nothing may read the
// catalogue at the same time.
func (c *Catalogue) Extend(typ string, defs ...*process.Definition) error {
	k := c.Kind(typ)
	switch {
	case k == nil:
		return fmt.Errorf("cannot add processes to %s: there is no such type", typ)
	case k.Type.Parent != nil:
		return fmt.Errorf("cannot add processes to %s: those of %s are its own", typ, k.Type.Base().Name)
	case k.Type.Table == "":
		return fmt.Errorf("cannot add processes to %s: it has no rows", typ)
	}
	all := slices.Clone(k.Processes)
	for _, d := range defs {
		added := *d
		added.Type = k.Type.Name
		all = append(all, &added)
	}
	if err := model(k.Type, all).Check(); err != nil {
		return fmt.Errorf("cannot add processes to %s: %w", typ, err)
	}
	for _, d := range all[len(k.Processes):] {
		c.processes[d.Name] = d
	}
	k.Processes = all
	c.showStates(k.Type)
	return nil
}

// showStates makes the states that the processes of a type lead through the options
// of column state, for the type and those that share its rows.
func (c *Catalogue) showStates(base *schema.Type) {
	options := states(c.Processes(base))
	for _, k := range c.kinds {
		if k.Type.Base() != base {
			continue
		}
		if f := k.Type.Field("state"); f != nil && f.Type == "enum" {
			f.Options = options
		}
	}
}
