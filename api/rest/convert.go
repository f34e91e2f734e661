package rest

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// absent is what a value converts to that counts as not sent.
type absent struct{}

// convert makes a sent value one of the field's type, as it is stored.
func (r *request) convert(field, typ string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if inner, ok := element(typ, "array"); ok {
		return r.convertArray(field, inner, v)
	}
	if inner, ok := element(typ, "map"); ok {
		return r.convertMap(field, inner, v)
	}
	if typ == "json" || resource.All.Kind(typ) != nil {
		return native(v), nil
	}
	if list, ok := v.([]any); ok {
		if len(list) == 0 {
			return absent{}, nil
		}
		return r.convert(field, typ, list[0])
	}
	text, ok := scalar(v)
	if !ok || !validText(text) {
		return nil, unfit(field, typ)
	}
	if target, ok := element(typ, "reference"); ok {
		return r.reference(field, typ, target, text)
	}
	if n, ok := v.(json.Number); ok && typ == "int" {
		text = cut(n)
	}
	return simple(field, typ, text)
}

// element returns what stands in the brackets of a type such as array[string].
func element(typ, outer string) (string, bool) {
	if !strings.HasPrefix(typ, outer+"[") || !strings.HasSuffix(typ, "]") {
		return "", false
	}
	return typ[len(outer)+1 : len(typ)-1], true
}

// validText tells whether every database takes the text.
func validText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func scalar(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// unfit says of a value that it is none of the type.
func unfit(field, typ string) error {
	if target, ok := element(typ, "reference"); ok {
		return fault.Invalid("InvalidReference", field, "%s names no %s", field, target)
	}
	if typ == "date" {
		return fault.Invalid("InvalidDateFormat", field, "%s must be a moment such as 2014-05-07T12:34:56Z", field)
	}
	return fault.Invalid("InvalidFormat", field, "%s must be a %s", field, typ)
}

func simple(field, typ, text string) (any, error) {
	switch typ {
	case "int":
		if n, ok := whole(text); ok {
			return n, nil
		}
		return nil, unfit(field, typ)
	case "float":
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, unfit(field, typ)
		}
		return f, nil
	case "boolean":
		if b, ok := truth(text); ok {
			return b, nil
		}
		return nil, unfit(field, typ)
	case "date":
		if strings.TrimSpace(text) == "" {
			return absent{}, nil
		}
		if n, ok := millis(text); ok {
			return n, nil
		}
		return nil, unfit(field, typ)
	}
	return text, nil
}

// whole reads a number that has no fraction.
func whole(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

// cut leaves the fraction of a number away.
func cut(n json.Number) string {
	if _, err := n.Int64(); err == nil {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) >= 1<<63 {
		return n.String()
	}
	return strconv.FormatInt(int64(f), 10)
}

// reference reads the id of a row that the caller can read.
func (r *request) reference(field, typ, target, text string) (any, error) {
	stored, ok := text, true
	if _, err := strconv.ParseInt(text, 10, 64); err != nil || !r.plain {
		stored, ok = schema.ParseID(text)
	}
	id, err := strconv.ParseInt(stored, 10, 64)
	t := r.view.Type(target)
	if !ok || err != nil || t == nil || t.Table == "" {
		return nil, unfit(field, typ)
	}
	_, err = r.visible(t, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, unfit(field, typ)
	}
	return id, err
}

func (r *request) convertArray(field, inner string, v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, 0, len(list))
	for _, item := range list {
		c, err := r.convert(field, inner, item)
		if err != nil {
			return nil, err
		}
		if _, none := c.(absent); !none {
			out = append(out, c)
		}
	}
	return out, nil
}

func (r *request) convertMap(field, inner string, v any) (any, error) {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fault.Invalid("InvalidFormat", field, "%s must be an object", field)
	}
	out := make(map[string]any, len(m))
	for k, item := range m {
		if !validText(k) {
			return nil, fault.Invalid("InvalidFormat", field, "%s has a name that is no text", field)
		}
		c, err := r.convert(field, inner, item)
		if err != nil {
			return nil, err
		}
		if _, none := c.(absent); !none {
			out[k] = c
		}
	}
	return out, nil
}

// native turns the numbers inside a JSON value into Go's.
func native(v any) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		if f, err := x.Float64(); err == nil {
			return f
		}
		return x.String()
	case []any:
		for i := range x {
			x[i] = native(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = native(x[k])
		}
	case string:
		return strings.ReplaceAll(x, "\x00", "")
	}
	return v
}
