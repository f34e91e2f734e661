package rest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// included returns the links that the request asks to have followed. Names that
// are no visible link are ignored.
func (r *request) included(t *auth.Type) []resource.Link {
	var out []resource.Link
	for _, name := range r.query.all("include") {
		for _, l := range t.Links {
			if strings.EqualFold(l.Name, name) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// cursor is a marker of a list with includes: from the page of roots at Marker,
// Roots were shown in full and of the next one the first Seen related rows.
type cursor struct {
	Marker string `json:"m,omitempty"`
	Roots  int    `json:"r,omitempty"`
	Seen   int    `json:"s,omitempty"`
}

func (c cursor) String() string {
	if c.Roots == 0 && c.Seen == 0 {
		return c.Marker
	}
	b, _ := json.Marshal(c)
	return "mi" + base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) cursor {
	var c cursor
	if rest, ok := strings.CutPrefix(text, "mi"); ok {
		b, err := base64.RawURLEncoding.DecodeString(rest)
		if err == nil && json.Unmarshal(b, &c) == nil && c.Roots >= 0 && c.Seen >= 0 && c.Roots <= maxLimit {
			return c
		}
	}
	return cursor{Marker: text}
}

// listIncluding answers with a page of rows and what they are related to. The
// limit counts joined rows: a row whose related ones do not fit goes on on the
// next page, where it appears again with the others.
func (r *request) listIncluding(l *listing, links []resource.Link) error {
	at := parseCursor(l.query.Marker)
	l.query.Marker = at.Marker
	page, err := r.api.Store.List(r.ctx, l.query)
	if err != nil {
		return err
	}
	room := l.query.Limit
	if !l.paged {
		room = 1 << 30
	}
	var entries []entry
	f := follower{r: r, seen: map[string]*schema.Row{}}
	for i := min(at.Roots, len(page.Rows)); i < len(page.Rows); i++ {
		if room <= 0 {
			return r.sendList(l, entries, cursor{at.Marker, i, 0}.String())
		}
		skip := 0
		if i == at.Roots {
			skip = at.Seen
		}
		e, used, more, err := f.follow(page.Rows[i], links, skip, room)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		if more {
			return r.sendList(l, entries, cursor{at.Marker, i, skip + used}.String())
		}
		room -= max(used, 1)
	}
	return r.sendList(l, entries, page.Next)
}

// follower follows links of many rows and remembers the rows that several of them
// refer to.
type follower struct {
	r    *request
	seen map[string]*schema.Row
}

// follow reads what a row is related to, leaving out the first skip rows and
// stopping after room; more says that something is left.
func (f *follower) follow(row *schema.Row, links []resource.Link, skip, room int) (e entry, used int, more bool, err error) {
	e.row = row
	for _, l := range links {
		if l.Reference {
			target, err := f.reference(row, l)
			if err != nil {
				return e, used, false, err
			}
			if target != nil {
				e.includes = append(e.includes, related{name: l.Name, one: true, rows: []*schema.Row{target}})
			}
			continue
		}
		q := f.r.linkQuery(row, l)
		q.Limit = skip + room - used + 1
		page, err := f.r.api.Store.List(f.r.ctx, q)
		if err != nil {
			return e, used, false, err
		}
		rows := page.Rows
		n := min(skip, len(rows))
		rows, skip = rows[n:], skip-n
		if len(rows) > room-used {
			rows, more = rows[:room-used], true
		}
		used += len(rows)
		e.includes = append(e.includes, related{name: l.Name, rows: rows})
		if more {
			break
		}
	}
	return e, used, more, nil
}

func (f *follower) reference(row *schema.Row, l resource.Link) (*schema.Row, error) {
	id := row.Int(l.Column)
	if id == 0 {
		return nil, nil
	}
	key := l.Target + strconv.FormatInt(id, 10)
	if target, ok := f.seen[key]; ok {
		return target, nil
	}
	target, err := f.r.visible(f.r.view.Type(l.Target), id)
	if errors.Is(err, store.ErrNotFound) {
		target, err = nil, nil
	}
	f.seen[key] = target
	return target, err
}

// linkQuery asks for the rows a child or map link leads to.
func (r *request) linkQuery(row *schema.Row, l resource.Link) store.Query {
	t := resource.All.Type(l.Target)
	q := store.Query{Type: t, Scope: r.caller.Scope, ShowRemovedMillis: r.api.removedMillis()}
	if l.Via != "" {
		q.Via = &store.Via{Map: resource.All.Type(l.Via), Here: l.Column, There: l.There, ID: row.ID()}
		return q
	}
	q.Current = !r.caller.RemovedVisible
	q.Conditions = []store.Condition{{Column: t.Field(l.Column), Modifier: "eq", Value: row.ID()}}
	return q
}
