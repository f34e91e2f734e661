package docker

import (
	"fmt"
	"strings"
)

// words splits a command line as a shell does, with quotes and backslashes and
// with nothing else: no variables, no patterns, no operators.
func words(line string) ([]string, error) {
	var (
		list   []string
		word   strings.Builder
		inWord bool
		quote  rune
		escape bool
	)
	for _, r := range line {
		switch {
		case escape:
			if quote == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escape = false
		case r == '\\' && quote != '\'':
			escape, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				list, inWord = append(list, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escape {
		return nil, fmt.Errorf("cannot split command %q: a quote is not closed", line)
	}
	if inWord {
		list = append(list, word.String())
	}
	return list, nil
}
