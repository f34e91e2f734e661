package rest

import (
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// The functions here append JSON to a buffer. Nothing on the way of a list goes
// through reflection.

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte { return wire.AppendString(b, s) }

// appendDate appends milliseconds since 1970 as yyyy-MM-ddTHH:mm:ssZ.
func appendDate(b []byte, millis int64) []byte {
	b = append(b, '"')
	b = time.UnixMilli(millis).UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	return append(b, '"')
}

// appendValue appends any value of a row or of a handler's answer.
func appendValue(b []byte, v any) []byte { return wire.AppendValue(b, v) }

// appendStrings appends a list of texts.
func appendStrings(b []byte, list []string) []byte {
	return append(joined(append(b, '['), list, appendString), ']')
}

// joined appends what each appends for every element, with commas between.
func joined[T any](b []byte, list []T, each func([]byte, T) []byte) []byte {
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = each(b, item)
	}
	return b
}

// object appends the members of a JSON object, with the commas between them.
type object struct {
	b     []byte
	begun bool
}

// open begins an object at the end of b.
func open(b []byte) object { return object{b: append(b, '{')} }

// key begins a member; the caller appends its value to o.b.
func (o *object) key(name string) {
	if o.begun {
		o.b = append(o.b, ',')
	}
	o.begun = true
	o.b = append(appendString(o.b, name), ':')
}

// text adds a member that is a text.
func (o *object) text(name, value string) {
	o.key(name)
	o.b = appendString(o.b, value)
}

// raw adds a member that is JSON already.
func (o *object) raw(name, value string) {
	o.key(name)
	o.b = append(o.b, value...)
}

// value adds a member of any kind.
func (o *object) value(name string, v any) {
	o.key(name)
	o.b = appendValue(o.b, v)
}

// close ends the object and returns the buffer.
func (o *object) close() []byte { return append(o.b, '}') }
