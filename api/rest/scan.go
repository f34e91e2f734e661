package rest

// A row's document is stored as JSON text. Lists need a few of its values, as the
// JSON they are, so they are cut out of the text instead of being parsed. The text
// was written by this program; on anything else the functions find nothing.

// members calls f for every member of the JSON object in s with its name, without
// quotes and not unescaped, and its value, until f answers false.
func members(s string, f func(name, value string) bool) {
	i := space(s, 0)
	if i >= len(s) || s[i] != '{' {
		return
	}
	for i = space(s, i+1); i < len(s) && s[i] == '"'; i = space(s, i) {
		end := quoted(s, i)
		if end < 0 {
			return
		}
		name := s[i+1 : end-1]
		i = space(s, end)
		if i >= len(s) || s[i] != ':' {
			return
		}
		i = space(s, i+1)
		end = value(s, i)
		if end < 0 || !f(name, s[i:end]) {
			return
		}
		i = space(s, end)
		if i >= len(s) || s[i] != ',' {
			return
		}
		i++
	}
}

// elements calls f for every element of the JSON array in s.
func elements(s string, f func(value string)) {
	i := space(s, 0)
	if i >= len(s) || s[i] != '[' {
		return
	}
	for i = space(s, i+1); i < len(s) && s[i] != ']'; i = space(s, i) {
		end := value(s, i)
		if end < 0 {
			return
		}
		f(s[i:end])
		i = space(s, end)
		if i >= len(s) || s[i] != ',' {
			return
		}
		i++
	}
}

// member returns one value of the JSON object in s, "" if there is none.
func member(s, want string) (found string) {
	members(s, func(name, value string) bool {
		if name == want {
			found = value
		}
		return name != want
	})
	return found
}

func space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// quoted returns the end of the string that begins at i, -1 if it has none.
func quoted(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// value returns the end of the value that begins at i, -1 if it has none.
func value(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		return quoted(s, i)
	case '{', '[':
		return nested(s, i)
	}
	start := i
	for i < len(s) && s[i] != ',' && s[i] != '}' && s[i] != ']' && s[i] > ' ' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func nested(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '"':
			end := quoted(s, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
