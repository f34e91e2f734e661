package rest

import (
	"strconv"
	"strings"
	"sync"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// buffers hold the answers of lists while they are written.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// listing is a list under way: what was asked for and what was applied.
type listing struct {
	typ        *auth.Type
	query      store.Query
	applied    map[string][]applied
	empty      bool   // a filter that nothing matches
	sort       string // "" if none
	paged      bool   // has a pagination
	unfiltered bool   // the collection takes no filters at all
	defaults   string // JSON of createDefaults
}

type applied struct{ value, modifier string }

// listType answers GET /v1/TYPE.
func (r *request) listType(t *auth.Type) error {
	if t.Table == "" {
		return r.sendList(&listing{typ: t, unfiltered: true}, nil, "")
	}
	l := &listing{typ: t, paged: true, query: store.Query{Type: t.Type, Scope: r.caller.Scope, Current: !r.caller.RemovedVisible}}
	return r.list(l)
}

// list reads the page that the parameters ask for and answers with it.
func (r *request) list(l *listing) error {
	l.query.ShowRemovedMillis = r.api.removedMillis()
	r.applyFilters(l)
	r.applySort(l)
	if l.paged {
		l.query.Limit = r.limit()
		l.query.Marker = sane(r.query.get("marker"), l.query.Sort)
	}
	if l.empty {
		return r.sendList(l, nil, "")
	}
	if links := r.included(l.typ); len(links) > 0 {
		return r.listIncluding(l, links)
	}
	page, err := r.reads().List(r.ctx, l.query)
	if err != nil {
		return err
	}
	entries := make([]entry, len(page.Rows))
	for i, row := range page.Rows {
		entries[i].row = row
	}
	return r.sendList(l, entries, page.Next)
}

// entry is one element of a collection.
type entry struct {
	row      *schema.Row
	includes []related
}

func (r *request) limit() int {
	n, err := strconv.Atoi(strings.TrimSpace(r.query.get("limit")))
	if err != nil || n < 1 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

func (r *request) applySort(l *listing) {
	f, ok := l.typ.Filter(r.query.get("sort"))
	if !ok || f.Column == nil || l.typ.Field(f.Name) == nil {
		return
	}
	l.sort = f.Name
	l.query.Sort = f.Column
	l.query.Descending = r.query.get("order") == "desc"
}

// sendList answers with a collection.
func (r *request) sendList(l *listing, entries []entry, next string) error {
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	o := r.openList(l, (*held)[:0])
	o.key("data")
	o.b = append(o.b, '[')
	for i, e := range entries {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = r.appendRow(o.b, e.row, e.includes)
	}
	o.b = append(o.b, ']')
	*held = r.closeList(l, &o, next)
	return r.sendPooled(*held)
}

// sendPooled answers with a buffer that goes back to the pool.
func (r *request) sendPooled(body []byte) error {
	if r.html {
		return r.send(200, body)
	}
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	r.c.Set("Content-Type", "application/json; charset=utf-8")
	r.c.Response().SetBody(body)
	return nil
}
