package rest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

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
		c := store.Condition{Column: f.Column, Modifier: modifier, Value: value}
		if m, ok := value.(moment); ok {
			m.narrow(&c)
		}
		l.query.Conditions = append(l.query.Conditions, c)
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
		m, ok := readMoment(text)
		return m, text, ok
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

// storedID reads the id in a filter. The field id is taken in both forms; references are
// not, also of callers with plain ids.
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

// moment is what the text of a date stands for, from its first millisecond to its last: a
// date is shown in whole seconds, and the text that is shown finds its row.
type moment struct{ first, last int64 }

// narrow makes a condition of the bounds of the moment.
func (m moment) narrow(c *store.Condition) {
	c.Value = m.first
	switch c.Modifier {
	case "gt", "lte":
		c.Value = m.last
	case "eq", "ne":
		if m.last > m.first {
			c.Most = m.last
		}
	}
}

func readMoment(text string) (moment, bool) {
	n, ok := millis(text)
	m := moment{n, n}
	if _, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err != nil && !strings.Contains(text, ".") {
		m.last += 999
	}
	return m, ok
}

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
