package rest

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// related is what an include found for one row.
type related struct {
	name string
	one  bool // a reference: an object instead of an array
	rows []*schema.Row
}

// shapeOf returns how the caller sees a row, nil if the caller does not.
func (r *request) shapeOf(row *schema.Row) *shape {
	t := r.view.Type(resource.All.Of(row).Name)
	if t == nil {
		t = r.view.Type(row.Type().Name)
	}
	if t == nil {
		return nil
	}
	return r.api.shapes[t]
}

// appendRow appends a row as the resource it is to the caller.
func (r *request) appendRow(b []byte, row *schema.Row, includes []related) []byte {
	s := r.shapeOf(row)
	if s == nil {
		return append(b, "null"...)
	}
	text := ""
	if s.data >= 0 {
		text, _ = row.At(s.data).(string)
	}
	values := s.cut(text, &r.cut)
	id, _ := row.At(s.id).(int64)
	state := ""
	if s.state >= 0 {
		state, _ = row.At(s.state).(string)
	}
	extra := looks(s.typ.Name)

	o := open(b)
	o.key("id")
	o.b = r.appendID(o.b, s.prefix, id)
	o.text("type", s.typ.Name)
	o.key("links")
	o.b = r.appendLinks(o.b, s, row, id, extra)
	o.key("actions")
	o.b = r.appendActions(o.b, s, row, state, values[storedCapabilities], extra)
	for i := range s.slots {
		slot := &s.slots[i]
		if extra.hides != nil && extra.hides(r, row, slot.name) {
			continue
		}
		if extra.shows != nil {
			if text, yes := extra.shows(row, slot.name); yes {
				o.raw(slot.name, text)
				continue
			}
		}
		o.key(slot.name)
		o.b = r.appendSlot(o.b, s, slot, row, state, values)
	}
	for _, in := range includes {
		r.addRelated(&o, in)
	}
	if extra.adds != nil {
		extra.adds(r, row, &o)
	}
	return o.close()
}

// addRelated adds what an include found; what found nothing is left out.
func (r *request) addRelated(o *object, in related) {
	if len(in.rows) == 0 {
		return
	}
	o.key(in.name)
	if in.one {
		o.b = r.appendRow(o.b, in.rows[0], nil)
		return
	}
	o.b = append(o.b, '[')
	o.b = joined(o.b, in.rows, func(b []byte, row *schema.Row) []byte { return r.appendRow(b, row, nil) })
	o.b = append(o.b, ']')
}

// cut takes the document fields a shape needs out of the document. What it returns
// is good until held is used again.
func (s *shape) cut(text string, held *[]string) []string {
	if cap(*held) < len(s.stored) {
		*held = make([]string, len(s.stored))
	}
	values := (*held)[:len(s.stored)]
	clear(values)
	if len(text) <= len(`{"fields":{}}`) {
		return values
	}
	members(member(text, "fields"), func(name, value string) bool {
		for i, want := range s.stored {
			if name == want {
				values[i] = value
				break
			}
		}
		return true
	})
	return values
}

func (r *request) appendID(b []byte, prefix string, id int64) []byte {
	b = append(b, '"')
	if !r.plain {
		b = append(b, prefix...)
	}
	return append(strconv.AppendInt(b, id, 10), '"')
}

// appendPath appends the URL of a row without a closing quote.
func (r *request) appendPath(b []byte, s *shape, id int64) []byte {
	b = append(b, '"')
	b = append(b, r.baseJSON...)
	b = append(b, "/v1/"...)
	b = append(b, s.plural...)
	b = append(b, '/')
	if !r.plain {
		b = append(b, s.prefix...)
	}
	return strconv.AppendInt(b, id, 10)
}

func (r *request) appendLinks(b []byte, s *shape, row *schema.Row, id int64, extra display) []byte {
	o := open(b)
	if s.self {
		o.key("self")
		o.b = append(r.appendPath(o.b, s, id), '"')
	}
	for i := range s.links {
		l := &s.links[i]
		if l.column >= 0 && row.At(l.column) == nil {
			continue
		}
		o.key(l.name)
		o.b = append(append(append(r.appendPath(o.b, s, id), '/'), l.lower...), '"')
	}
	if extra.links != nil {
		extra.links(r, row, &o)
	}
	return o.close()
}

// appendActions lists what the caller may do with a row now; with a public row of somebody
// else, nothing.
func (r *request) appendActions(b []byte, s *shape, row *schema.Row, state, capabilities string, extra display) []byte {
	o := open(b)
	if !r.caller.Writes().Visible(row) {
		return o.close()
	}
	add := func(name, lower string) {
		id, _ := row.At(s.id).(int64)
		o.key(name)
		o.b = append(append(append(r.appendPath(o.b, s, id), "/?action="...), lower...), '"')
	}
	for i := range s.actions {
		a := &s.actions[i]
		if a.offered(state, capabilities) && (extra.offers == nil || extra.offers(r, row, a.name)) {
			add(a.name, a.lower)
		}
	}
	if s.explains && s.moving[state] {
		add(whyAction, whyAction)
	}
	return o.close()
}

func (r *request) appendSlot(b []byte, s *shape, f *slot, row *schema.Row, state string, values []string) []byte {
	switch f.form {
	case asMove, asMessage, asPercent:
		return r.appendMove(b, f.form, s.moving[state], values)
	case asNull:
		return append(b, "null"...)
	}
	if f.column < 0 {
		return r.appendStored(b, f, values[f.stored])
	}
	v := row.At(f.column)
	switch x := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		if f.form == asJSON {
			if x == "" || f.column != s.data && !json.Valid([]byte(x)) {
				return append(b, "null"...)
			}
			return append(b, x...)
		}
		return appendString(b, x)
	case int64:
		switch f.form {
		case asDate:
			return appendStamp(appendDate(b, x), f.name, x)
		case asRef:
			return r.appendRef(b, f.prefix, x)
		}
	}
	return appendValue(b, v)
}

// appendStamp appends the companion of a date as the next member.
func appendStamp(b []byte, name string, millis int64) []byte {
	b = append(append(append(b, `,"`...), name...), `TS":`...)
	return strconv.AppendInt(b, millis, 10)
}

// appendRef appends a reference: as callers with plain ids have it, a number.
func (r *request) appendRef(b []byte, prefix string, id int64) []byte {
	if r.plain {
		return strconv.AppendInt(b, id, 10)
	}
	return r.appendID(b, prefix, id)
}

// appendStored appends a value of the document, which is JSON already.
func (r *request) appendStored(b []byte, f *slot, text string) []byte {
	if text == "" || text == "null" {
		return append(b, "null"...)
	}
	switch f.form {
	case asRef:
		return r.appendStoredRef(b, f.prefix, text)
	case asRefs:
		return r.appendStoredRefs(b, f.prefix, text)
	case asDate:
		if millis, err := strconv.ParseInt(text, 10, 64); err == nil {
			return appendStamp(appendDate(b, millis), f.name, millis)
		}
	}
	return append(b, text...)
}

func (r *request) appendStoredRef(b []byte, prefix, text string) []byte {
	id, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil {
		return append(b, text...)
	}
	return r.appendRef(b, prefix, id)
}

func (r *request) appendStoredRefs(b []byte, prefix, text string) []byte {
	begun := false
	next := func() {
		if begun {
			b = append(b, ',')
		}
		begun = true
	}
	if text[0] == '{' {
		b = append(b, '{')
		members(text, func(name, value string) bool {
			next()
			b = append(append(append(b, '"'), name...), `":`...)
			b = r.appendStoredRef(b, prefix, value)
			return true
		})
		return append(b, '}')
	}
	b = append(b, '[')
	elements(text, func(value string) {
		next()
		b = r.appendStoredRef(b, prefix, value)
	})
	return append(b, ']')
}

// appendMove appends one of the three transitioning fields.
func (r *request) appendMove(b []byte, f form, moving bool, values []string) []byte {
	failed := values[storedMove] == `"error"`
	switch {
	case f == asMove && moving:
		return append(b, `"yes"`...)
	case f == asMove && failed:
		return append(b, `"error"`...)
	case f == asMove:
		return append(b, `"no"`...)
	case !moving && !failed:
		return append(b, "null"...)
	case f == asPercent:
		return appendOr(b, values[storedPercent], "null")
	}
	message := values[storedMessage]
	if internal := values[storedInternal]; r.api.showInternal() && len(internal) > 2 && internal[0] == '"' {
		if len(message) > 2 && message[0] == '"' {
			return append(append(append(b, message[:len(message)-1]...), " : "...), internal[1:]...)
		}
	}
	if moving {
		return appendOr(b, message, `"In Progress"`)
	}
	return appendOr(b, message, "null")
}

func appendOr(b []byte, text, other string) []byte {
	if text == "" || text == "null" {
		text = other
	}
	return append(b, text...)
}
