package rest

import (
	"net/url"
	"slices"
	"strings"
)

// params are the parameters of a query or form in the order they were sent.
type params []param

type param struct{ name, value string }

func (p params) get(name string) string {
	for _, q := range p {
		if q.name == name {
			return q.value
		}
	}
	return ""
}

func (p params) has(name string) bool {
	return slices.ContainsFunc(p, func(q param) bool { return q.name == name })
}

func (p params) all(name string) []string {
	var out []string
	for _, q := range p {
		if q.name == name {
			out = append(out, q.value)
		}
	}
	return out
}

// without returns the parameters that have none of the names.
func (p params) without(names ...string) params {
	out := make(params, 0, len(p)+1)
	for _, q := range p {
		if !slices.Contains(names, q.name) {
			out = append(out, q)
		}
	}
	return out
}

func (p params) encode() string {
	var b strings.Builder
	for i, q := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(q.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(q.value))
	}
	return b.String()
}

func parseParams(text string) params {
	var out params
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		out = append(out, param{unescape(name), unescape(value)})
	}
	return out
}

// unescape decodes a query component; what is badly encoded stays as it is.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}
