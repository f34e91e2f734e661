package engine

import (
	"encoding/json"
	"strings"
	"testing"
)

// A log may have a million characters, whatever they take in bytes. A longer one keeps
// its uuid alone, so that the attempt can still be found.
func TestALogIsBounded(t *testing.T) {
	t.Parallel()
	with := func(message string) *attemptLog {
		l := newLog()
		l.Executions = append(l.Executions, &execution{Exception: &exception{Message: message}})
		return l
	}
	room := longestLog - len([]rune(with("").text()))
	for _, c := range []struct {
		letter string
		length int
		kept   bool
	}{{"a", room, true}, {"ü", room, true}, {"a", room + 1, false}, {"ü", room + 1, false}} {
		l := with(strings.Repeat(c.letter, c.length))
		var got attemptLog
		if err := json.Unmarshal([]byte(l.text()), &got); err != nil {
			t.Fatal(err)
		}
		if got.UUID != l.UUID || got.Executions == nil || (len(got.Executions) == 1) != c.kept {
			t.Errorf("of %d times %s %d executions are left, uuid %q", c.length, c.letter, len(got.Executions), got.UUID)
		}
	}
}
