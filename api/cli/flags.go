package cli

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/api/client"
)

// flags are what was written after a command: words, and values by plain name.
type flags struct {
	words   []string
	named   map[string][]string
	written map[string]string // the names as they were written
}

// parse reads --NAME VALUE, --NAME=VALUE and --NAME; a flag takes the words up to the
// next one. A word that is to begin with dashes is written --NAME=--WORD.
func parse(args []string) flags {
	f := flags{named: map[string][]string{}, written: map[string]string{}}
	last := ""
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") || arg == "-" || isNumber(arg) {
			if last == "" {
				f.words = append(f.words, arg)
			} else {
				f.named[last] = append(f.named[last], arg)
			}
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		key := plain(name)
		f.written[key] = name
		if last = key; given {
			f.named[key], last = append(f.named[key], value), ""
		} else if f.named[key] == nil {
			f.named[key] = []string{}
		}
	}
	return f
}

func isNumber(text string) bool { _, err := strconv.ParseFloat(text, 64); return err == nil }

func (f flags) has(name string) bool { return f.named[name] != nil }

func (f flags) first(name string) string {
	if len(f.named[name]) == 0 {
		return ""
	}
	return f.named[name][0]
}

// take removes a flag and returns its value, or what stands in for it.
func (f flags) take(name, otherwise string) string {
	if v := f.first(name); v != "" {
		otherwise = v
	}
	delete(f.named, name)
	return otherwise
}

func (f flags) boolean(name string) bool {
	return f.has(name) && (f.first(name) == "" || truthful(f.first(name)))
}

func (f flags) number(name string) int {
	n, _ := strconv.Atoi(f.first(name))
	return n
}

// body makes what is sent out of the flags for fields that may be set.
func (c *command) body(typ *client.Schema, may func(client.Field) bool) (map[string]any, error) {
	fields := map[string]string{}
	for name, f := range typ.ResourceFields {
		if may(f) && name != "id" {
			fields[plain(name)] = name
		}
	}
	if err := c.strange(fields); err != nil {
		return nil, err
	}
	body := map[string]any{}
	for flag, values := range c.flags.named {
		name := fields[flag]
		if name == "" {
			continue
		}
		v, err := value(typ.ResourceFields[name], values)
		if err != nil {
			return nil, wrong("--%s: %w", c.flags.written[flag], err)
		}
		body[name] = v
	}
	return body, nil
}

// value reads the words of a flag as the type of a field wants them: several for an
// array, JSON or K=V,K=V for a map. All else is text, which the server converts; it
// takes the word null for none where that may be.
func value(f client.Field, words []string) (any, error) {
	text := strings.Join(words, " ")
	switch {
	case strings.HasPrefix(f.Type, "array"):
		return slices.Clone(words), nil
	case strings.HasPrefix(f.Type, "map"), f.Type == "json":
		return mapping(f.Type, text)
	case text == "" && f.Type == "boolean":
		return true, nil
	case text == "null" && f.Nullable:
		return nil, nil
	}
	return text, nil
}

func mapping(typ, text string) (any, error) {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v, nil
	}
	if typ == "json" {
		return text, nil
	}
	m := map[string]any{}
	for _, pair := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, wrong("%q is neither JSON nor NAME=VALUE", pair)
		}
		m[strings.TrimSpace(key)] = value
	}
	return m, nil
}
