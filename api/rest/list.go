package rest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	page, err := r.api.Store.List(r.ctx, l.query)
	if err != nil {
		return err
	}
	entries := make([]entry, len(page.Rows))
	for i, row := range page.Rows {
		entries[i].row = row
	}
	return r.sendList(l, entries, page.Next)
}

// sane drops a marker that does not fit the sorted column: the database would
// refuse it.
func sane(marker string, sort *schema.Field) string {
	c := parseCursor(marker)
	rest, ok := strings.CutPrefix(c.Marker, "m")
	if !ok {
		return keepIncluded(c, marker)
	}
	b, err := base64.RawURLEncoding.DecodeString(rest)
	var at struct {
		Value any `json:"v"`
	}
	if err != nil || json.Unmarshal(b, &at) != nil {
		return ""
	}
	fits := sort == nil || at.Value == nil
	switch at.Value.(type) {
	case string:
		fits = fits || sort.Type == "string" || sort.Type == "enum"
	case bool:
		fits = fits || sort.Type == "boolean"
	case float64:
		fits = fits || sort.Type == "int" || sort.Type == "date" || sort.RefType() != ""
	}
	if !fits {
		return ""
	}
	return marker
}

// keepIncluded returns the marker of a page with includes that begins at the very
// first row.
func keepIncluded(c cursor, marker string) string {
	if c.Marker == "" {
		return marker
	}
	return ""
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

// applyFilters turns the parameters of a GET into conditions. What makes no sense
// is ignored; the answer tells what was applied.
func (r *request) applyFilters(l *listing) {
	l.applied = map[string][]applied{}
	for _, p := range r.query {
		f, modifier, ok := r.filter(l.typ, p.name)
		if !ok {
			continue
		}
		value, shown, ok := r.filterValue(f, modifier, p.value)
		l.applied[f.Name] = append(l.applied[f.Name], applied{shown, modifier})
		if !ok {
			l.empty = true
			continue
		}
		l.query.Conditions = append(l.query.Conditions, store.Condition{Column: f.Column, Modifier: modifier, Value: value})
	}
}

// filter reads the name of a parameter as field and modifier.
func (r *request) filter(t *auth.Type, name string) (auth.Filter, string, bool) {
	modifier := "eq"
	f, ok := t.Filter(name)
	if !ok {
		if i := strings.LastIndexByte(name, '_'); i > 0 {
			f, ok = t.Filter(name[:i])
			modifier = name[i+1:]
		}
	}
	if !ok || f.Column == nil || !slices.Contains(f.Modifiers, modifier) || t.Field(f.Name) == nil && f.Name != "id" {
		return f, "", false
	}
	return f, modifier, true
}

// filterValue converts the value of a filter. shown is what the answer tells: for
// references the stored id. ok is false for a value that nothing can equal.
func (r *request) filterValue(f auth.Filter, modifier, text string) (v any, shown string, ok bool) {
	if modifier == "null" || modifier == "notnull" {
		return nil, "", true
	}
	switch {
	case f.Name == "id" || f.Column.RefType() != "":
		stored, ok := storedID(f, text)
		n, err := strconv.ParseInt(stored, 10, 64)
		if !ok || err != nil {
			return nil, text, false
		}
		return n, stored, true
	case f.Column.Type == "int":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		return n, text, err == nil
	case f.Column.Type == "boolean":
		b, ok := truth(text)
		return b, text, ok
	case f.Column.Type == "date":
		n, ok := millis(text)
		return n, text, ok
	case !validText(text):
		return nil, text, false
	}
	if modifier == "like" || modifier == "notlike" || modifier == "prefix" {
		return pattern(text), text, true
	}
	return text, text, true
}

// pattern completes an escape at the end of a pattern, which databases refuse.
func pattern(text string) string {
	if (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1 {
		text += `\`
	}
	return text
}

// storedID reads the id in a filter. The field id is taken in both forms; for
// agents, who know no other ids, so are references.
func storedID(f auth.Filter, text string) (string, bool) {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && f.Name == "id" {
		return text, true
	}
	return schema.ParseID(text)
}

// truth reads a boolean.
func truth(text string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "y", "on", "1":
		return true, true
	case "false", "no", "n", "off", "0":
		return false, true
	}
	return false, false
}

// dateForms are the texts in which a moment may be given.
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02"}

// millis reads a moment.
func millis(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
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

func (r *request) openList(l *listing, b []byte) object {
	o := open(b)
	o.text("type", "collection")
	o.text("resourceType", l.typ.Name)
	o.key("links")
	links := open(o.b)
	links.text("self", r.base+r.path)
	o.b = links.close()
	o.key("createTypes")
	o.b = r.appendCreateTypes(o.b, l.typ)
	o.raw("actions", "{}")
	if l.defaults == "" {
		l.defaults = "{}"
	}
	o.raw("createDefaults", l.defaults)
	return o
}

// appendCreateTypes names what may be posted to a type that has sub types.
func (r *request) appendCreateTypes(b []byte, t *auth.Type) []byte {
	o := open(b)
	if subs := r.subTypes(t); len(subs) > 0 {
		for _, s := range append([]*auth.Type{t}, subs...) {
			if s.Creates() {
				o.text(s.Name, r.collectionURL(s))
			}
		}
	}
	return o.close()
}

func (r *request) subTypes(t *auth.Type) []*auth.Type {
	var out []*auth.Type
	for _, name := range r.view.Names() {
		if s := r.view.Type(name); s.Parent == t.Type {
			out = append(out, s)
		}
	}
	return out
}

// collectionURL returns the URL of a type's collection.
func (r *request) collectionURL(t *auth.Type) string {
	return r.base + "/v1/" + strings.ToLower(t.Plural)
}

// with returns the URL of this request with other parameters.
func (r *request) with(query params) string {
	if len(query) == 0 {
		return r.base + r.path
	}
	return r.base + r.path + "?" + query.encode()
}

func (r *request) closeList(l *listing, o *object, next string) []byte {
	if l.unfiltered {
		o.raw("sortLinks", "{}")
		o.raw("pagination", "null")
		o.raw("sort", "null")
		o.raw("filters", "{}")
		return o.close()
	}
	o.key("sortLinks")
	o.b = r.appendSortLinks(o.b, l)
	o.key("pagination")
	o.b = r.appendPagination(o.b, l, next)
	o.key("sort")
	o.b = r.appendSort(o.b, l)
	o.key("filters")
	o.b = appendFilters(o.b, l)
	return o.close()
}

func (r *request) appendSortLinks(b []byte, l *listing) []byte {
	query := r.query.without("sort", "order", "marker")
	prefix := r.with(query)
	if len(query) == 0 {
		prefix += "?sort="
	} else {
		prefix += "&sort="
	}
	o := open(b)
	for _, f := range l.typ.Filters {
		if f.Column != nil {
			o.text(f.Name, prefix+f.Name)
		}
	}
	return o.close()
}

func (r *request) appendPagination(b []byte, l *listing, next string) []byte {
	if !l.paged {
		return append(b, "null"...)
	}
	o := open(b)
	o.raw("first", "null")
	o.raw("previous", "null")
	if next == "" {
		o.raw("next", "null")
	} else {
		o.text("next", r.with(append(r.query.without("marker"), param{"marker", next})))
	}
	o.value("limit", l.query.Limit)
	o.raw("total", "null")
	o.value("partial", next != "")
	return o.close()
}

func (r *request) appendSort(b []byte, l *listing) []byte {
	if l.sort == "" {
		return append(b, "null"...)
	}
	order, reverse := "asc", "desc"
	if l.query.Descending {
		order, reverse = reverse, order
	}
	o := open(b)
	o.text("name", l.sort)
	o.text("order", order)
	o.text("reverse", r.with(append(r.query.without("order", "marker"), param{"order", reverse})))
	return o.close()
}

func appendFilters(b []byte, l *listing) []byte {
	o := open(b)
	for _, f := range l.typ.Filters {
		conditions := l.applied[f.Name]
		if len(conditions) == 0 {
			o.raw(f.Name, "null")
			continue
		}
		o.key(f.Name)
		o.b = append(o.b, '[')
		for i, c := range conditions {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			one := open(o.b)
			if c.modifier == "null" || c.modifier == "notnull" {
				one.raw("value", "null")
			} else {
				one.text("value", c.value)
			}
			one.text("modifier", c.modifier)
			o.b = one.close()
		}
		o.b = append(o.b, ']')
	}
	return o.close()
}
