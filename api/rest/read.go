package rest

import (
	"slices"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// visible returns a row of a type that the caller may read, or store.ErrNotFound.
// Removed rows are visible by id; data that are not to be listed are not, because they
// hold private keys.
func (r *request) visible(t *auth.Type, id int64) (*schema.Row, error) {
	return r.within(t, id, r.caller.Scope)
}

// writable returns a row that the caller may change, or store.ErrNotFound.
func (r *request) writable(t *auth.Type, id int64) (*schema.Row, error) {
	return r.within(t, id, r.caller.Writes())
}

func (r *request) within(t *auth.Type, id int64, scope store.Scope) (*schema.Row, error) {
	if t == nil || t.Table == "" {
		return nil, store.ErrNotFound
	}
	row, err := r.reads().Get(r.ctx, t.Type, id)
	switch {
	case err != nil:
		return nil, err
	case !scope.Visible(row), t.Parent != nil && row.Kind() != t.Name, t.Name == "data" && !row.Bool("visible"):
		return nil, store.ErrNotFound
	}
	return row, nil
}

// get answers GET /v1/TYPE/ID.
func (r *request) get(t *auth.Type, id int64) error {
	row, err := r.visible(t, id)
	if err != nil {
		return err
	}
	return r.sendRow(200, row)
}

// sendRow answers with one resource and what it is asked to include.
func (r *request) sendRow(status int, row *schema.Row) error {
	r.focus = row
	var includes []related
	if r.method == "GET" {
		var err error
		if includes, err = r.includes(row); err != nil {
			return err
		}
	}
	return r.send(status, r.appendRow(nil, row, includes))
}

// includes reads what the request asks to include with one resource.
func (r *request) includes(row *schema.Row) ([]related, error) {
	s := r.shapeOf(row)
	if s == nil {
		return nil, nil
	}
	links := r.included(s.typ)
	if len(links) == 0 {
		return nil, nil
	}
	f := follower{r: r, seen: map[string]*schema.Row{}}
	e, _, _, err := f.follow(row, links, 0, defaultLimit)
	return e.includes, err
}

// link answers /v1/TYPE/ID/LINK.
func (r *request) link(t *auth.Type) error {
	if t.Table == "" {
		return fault.NotFound()
	}
	id, err := r.id(r.segments[2])
	if err != nil {
		return err
	}
	name := r.segments[3]
	if f := leads(strings.ToLower(name)); f != nil && r.method == "GET" {
		row, err := r.visible(t, id)
		if err != nil {
			return err
		}
		if done, err := f(r, t, row); done || err != nil {
			return err
		}
	}
	i := slices.IndexFunc(t.Links, func(l resource.Link) bool { return l.Name == name || strings.ToLower(l.Name) == name })
	if i < 0 {
		return fault.NotFound()
	}
	l := t.Links[i]
	switch r.method {
	case "GET":
		row, err := r.visible(t, id)
		if err != nil {
			return err
		}
		return r.follow(row, l)
	case "POST":
		return r.createBelow(t, id, l)
	}
	return fault.NotAllowed()
}

// createBelow makes a child of a row, by posting to the link that lists them.
func (r *request) createBelow(t *auth.Type, id int64, l resource.Link) error {
	child := r.view.Type(l.Target)
	if l.Reference || l.Via != "" || !child.Creates() {
		return fault.NotAllowed()
	}
	row, err := r.writable(t, id)
	if err != nil {
		return err
	}
	return r.create(child, map[string]any{l.Column: row.ID()})
}

// follow answers with what a link leads to.
func (r *request) follow(row *schema.Row, l resource.Link) error {
	target := r.view.Type(l.Target)
	if l.Reference {
		id := row.Int(l.Column)
		if id == 0 {
			return fault.NotFound()
		}
		found, err := r.visible(target, id)
		if err != nil {
			return err
		}
		if r.hiddenNow(found) {
			return fault.NotFound()
		}
		return r.sendRow(200, found)
	}
	list := &listing{typ: target, query: r.linkQuery(row, l)}
	if l.Via != "" {
		list.paged = true
	} else if target.Creates() {
		o := open(nil)
		o.key(l.Column)
		o.b = r.appendRef(o.b, row.Type().Prefix(), row.ID())
		list.defaults = string(o.close())
	}
	return r.list(list)
}

// hiddenNow tells whether a row has been removed long enough not to be listed.
func (r *request) hiddenNow(row *schema.Row) bool {
	if !row.Type().HasColumn("removed") || r.caller.RemovedVisible {
		return false
	}
	now, err := r.api.Store.Now(r.ctx)
	if err != nil {
		return false
	}
	removed, until := row.Get("removed"), row.Get("removeTime")
	return removed != nil && removed.(int64) < now-r.api.removedMillis() || until != nil && until.(int64) <= now
}
