package rest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/store"
)

// values checks what was sent against the caller's schema and returns it as it is
// stored. What the caller may not set is dropped without a word. own is the id of
// the row that is updated, 0 on create; preset are values that the path gives.
func (r *request) values(t *auth.Type, own int64, preset map[string]any) (map[string]any, error) {
	in, err := r.readInput()
	if err != nil {
		return nil, err
	}
	creating := own == 0
	out := map[string]any{}
	for _, name := range in.names {
		f := t.Field(name)
		if f == nil || creating && !f.Create || !creating && (!f.Update || name == "id") {
			continue
		}
		v, err := r.convert(name, f.Type, in.values[name])
		if err != nil {
			return nil, err
		}
		if _, none := v.(absent); none {
			continue
		}
		if err := r.check(t, f, v, own); err != nil {
			return nil, err
		}
		out[name] = v
	}
	maps.Copy(out, preset)
	if creating {
		fillDefaults(t, out)
	}
	return out, required(t, out, creating)
}

func fillDefaults(t *auth.Type, out map[string]any) {
	for _, f := range t.Fields {
		if _, sent := out[f.Name]; !sent && f.Fallback != nil {
			out[f.Name] = f.Fallback
		}
	}
}

func required(t *auth.Type, out map[string]any, creating bool) error {
	for _, f := range t.Fields {
		if !f.Required || creating && !f.Create || !creating && !f.Update {
			continue
		}
		v, ok := out[f.Name]
		list, isList := v.([]any)
		if !ok || isList && len(list) == 0 {
			return fault.Invalid("MissingRequired", f.Name, "%s is required", f.Name)
		}
	}
	return nil
}

// check applies the rules of a field to a converted value, and to each element of one
// that is a list.
func (r *request) check(t *auth.Type, f *auth.Field, v any, own int64) error {
	if f.Unique && v != nil {
		if err := r.unique(t, f, v, own); err != nil {
			return err
		}
	}
	if f.Name == "data" && f.MaxLength != nil && utf8.RuneCount(appendValue(nil, v)) > *f.MaxLength {
		return fault.Invalid("MaxLengthExceeded", f.Name, "%s is too long", f.Name)
	}
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		if item == nil && !f.Nullable && f.Fallback == nil {
			return fault.Invalid("NotNullable", f.Name, "%s may not be null", f.Name)
		}
		if err := bounds(t, f, item); err != nil {
			return err
		}
	}
	return nil
}

// unique refuses a value that a listed row of the type has.
func (r *request) unique(t *auth.Type, f *auth.Field, v any, own int64) error {
	page, err := r.api.Store.List(r.ctx, store.Query{Type: t.Base(), Current: true, ShowRemovedMillis: r.api.removedMillis(), Limit: 2,
		Conditions: []store.Condition{{Column: f.Field, Modifier: "eq", Value: v}}})
	if err != nil {
		return err
	}
	for _, row := range page.Rows {
		if row.ID() != own {
			return fault.Invalid("NotUnique", f.Name, "%s is taken", f.Name)
		}
	}
	return nil
}

// taken names the field whose value the database has just refused, because somebody
// else was given it between the check and the write.
func (r *request) taken(t *auth.Type, values map[string]any, own int64) error {
	for _, f := range t.Fields {
		if v := values[f.Name]; f.Unique && v != nil {
			if err := r.unique(t, f, v, own); err != nil {
				return err
			}
		}
	}
	return nil
}

func bounds(t *auth.Type, f *auth.Field, v any) error {
	bad := func(code string) error { return fault.Invalid(code, f.Name, "%s is out of bounds", f.Name) }
	if n, ok := v.(int64); ok {
		switch {
		case f.Min != nil && n < *f.Min:
			return bad("MinLimitExceeded")
		case f.Max != nil && n > *f.Max:
			return bad("MaxLimitExceeded")
		}
	}
	text, ok := v.(string)
	if !ok {
		return nil
	}
	length := utf8.RuneCountInString(text)
	switch {
	case f.MinLength != nil && length < *f.MinLength:
		return bad("MinLengthExceeded")
	case maxLength(f.Field) != nil && length > *maxLength(f.Field):
		return bad("MaxLengthExceeded")
	case len(f.Options) > 0 && !slices.Contains(f.Options, text):
		return bad("InvalidOption")
	case f.ValidChars != "" && !consistsOf(t, f, text):
		return bad("InvalidCharacters")
	}
	return nil
}

// classes are the compiled character classes of the declarations.
var classes = func() map[string]*regexp.Regexp {
	const names = `*._0-9a-zA-Z;=`
	return map[string]*regexp.Regexp{names: regexp.MustCompile(fmt.Sprintf(`^[%s-]*$`, names))}
}()

// consistsOf tells whether all of the text is in the field's class. Names of
// events may hold a hyphen besides, because names of handlers do.
func consistsOf(t *auth.Type, f *auth.Field, text string) bool {
	class := classes[f.ValidChars]
	if class == nil {
		var err error
		if class, err = regexp.Compile("^[" + f.ValidChars + "]*$"); err != nil {
			return true
		}
	}
	return class.MatchString(text)
}
