package rest

import (
	"strings"

	"github.com/cattleio/cattle/api/auth"
)

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
