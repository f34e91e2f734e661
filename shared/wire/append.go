package wire

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// What travels most is written without reflection.

const hexDigits = "0123456789abcdef"

// plainChar tells which bytes stand for themselves inside a JSON string.
var plainChar = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. What is no UTF-8 is replaced.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainChar[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// AppendValue appends any value as JSON: what rows and their documents consist of by
// itself, the rest as package json does.
func AppendValue(b []byte, v any) []byte {
	switch x := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return AppendString(b, x)
	case int64:
		return strconv.AppendInt(b, x, 10)
	case int:
		return strconv.AppendInt(b, int64(x), 10)
	case float64:
		if n := int64(x); float64(n) == x && n > -1<<53 && n < 1<<53 {
			return strconv.AppendInt(b, n, 10)
		}
	case bool:
		return strconv.AppendBool(b, x)
	case map[string]any:
		if x != nil {
			return appendMap(b, x)
		}
	case []any:
		if x != nil {
			return appendList(b, x)
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

func appendMap(b []byte, m map[string]any) []byte {
	var few [48]string
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, name), ':')
		b = AppendValue(b, m[name])
	}
	return append(b, '}')
}

func appendList(b []byte, list []any) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendValue(b, v)
	}
	return append(b, ']')
}

// append appends the event as JSON. Its data is JSON already.
func (e *Event) append(b []byte) []byte {
	b = AppendString(append(b, `{"id":`...), e.ID)
	b = AppendString(append(b, `,"name":`...), e.Name)
	b = appendText(append(b, `,"replyTo":`...), e.ReplyTo)
	b = appendTexts(append(b, `,"previousIds":`...), e.PreviousIDs)
	b = appendTexts(append(b, `,"previousNames":`...), e.PreviousNames)
	b = appendText(append(b, `,"resourceType":`...), e.ResourceType)
	b = appendText(append(b, `,"resourceId":`...), e.ResourceID)
	b = appendText(append(b, `,"publisher":`...), e.Publisher)
	b = append(b, `,"data":`...)
	if len(e.Data) == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, e.Data...)
	}
	b = strconv.AppendInt(append(b, `,"time":`...), e.TimeMillis, 10)
	b = append(b, `,"timeoutMillis":`...)
	if e.TimeoutMillis == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, *e.TimeoutMillis, 10)
	}
	b = appendText(append(b, `,"transitioning":`...), e.Transitioning)
	b = appendText(append(b, `,"transitioningMessage":`...), e.TransitioningMessage)
	b = appendText(append(b, `,"transitioningInternalMessage":`...), e.TransitioningInternalMessage)
	b = append(b, `,"transitioningProgress":`...)
	if e.TransitioningProgress == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(*e.TransitioningProgress), 10)
	}
	b = append(b, `,"context":`...)
	if e.Context == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, '{')
		begun := false
		for name, v := range e.Context {
			if begun {
				b = append(b, ',')
			}
			begun = true
			b = AppendString(append(AppendString(b, name), ':'), v)
		}
		b = append(b, '}')
	}
	if f := e.Fence; f != nil {
		b = AppendString(append(b, `,"fence":{"resource":`...), f.Resource)
		b = strconv.AppendInt(append(b, `,"epoch":`...), f.Epoch, 10)
		b = strconv.AppendInt(append(b, `,"processId":`...), f.ProcessID, 10)
		b = append(strconv.AppendInt(append(b, `,"runEpoch":`...), f.RunEpoch, 10), '}')
	}
	if e.Cursor != "" {
		b = AppendString(append(b, `,"cursor":`...), e.Cursor)
	}
	return append(b, '}')
}

func appendText(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return AppendString(b, *s)
}

func appendTexts(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}
