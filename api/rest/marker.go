package rest

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/cattleio/cattle/shared/schema"
)

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

// sane drops a marker that does not fit the sorted column: the database would
// refuse it.
func sane(marker string, sort *schema.Field) string {
	c := parseCursor(marker)
	rest, ok := strings.CutPrefix(c.Marker, "m")
	if !ok {
		return keepIncluded(c, marker)
	}
	b, err := base64.RawURLEncoding.DecodeString(rest)
	var at struct {
		Value any `json:"v"`
	}
	if err != nil || json.Unmarshal(b, &at) != nil {
		return ""
	}
	fits := sort == nil || at.Value == nil
	switch at.Value.(type) {
	case string:
		fits = fits || sort.Type == "string" || sort.Type == "enum"
	case bool:
		fits = fits || sort.Type == "boolean"
	case float64:
		fits = fits || sort.Type == "int" || sort.Type == "date" || sort.RefType() != ""
	}
	if !fits {
		return ""
	}
	return marker
}

// keepIncluded returns the marker of a page with includes that begins at the very
// first row.
func keepIncluded(c cursor, marker string) string {
	if c.Marker == "" {
		return marker
	}
	return ""
}
