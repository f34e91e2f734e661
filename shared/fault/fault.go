// Package fault holds the few ways in which the system says no to a caller. Each
// border translates them in one place.
package fault

import "fmt"

// Fault is a refusal in the shape that clients know: a status, a code that they
// compare exactly, and the field that was wrong.
type Fault struct {
	Status  int
	Code    string
	Field   string // only of validation faults
	Message string // a sentence for people, may be empty
}

func (f *Fault) Error() string {
	if f.Message != "" {
		return f.Message
	}
	if f.Field != "" {
		return f.Code + " " + f.Field
	}
	return f.Code
}

// Invalid refuses a value: 422 with the field that holds it.
func Invalid(code, field, format string, args ...any) *Fault {
	return &Fault{422, code, field, fmt.Sprintf(format, args...)}
}

// NotFound refuses what does not exist or may not be seen.
func NotFound() *Fault { return &Fault{Status: 404, Code: "Not Found"} }

// Conflict refuses what the present state does not allow; it had no effect.
func Conflict(format string, args ...any) *Fault {
	return &Fault{Status: 409, Code: "Conflict", Message: fmt.Sprintf(format, args...)}
}

// Forbidden refuses what the caller may not do.
func Forbidden(format string, args ...any) *Fault {
	return &Fault{Status: 403, Code: "Forbidden", Message: fmt.Sprintf(format, args...)}
}

// Unavailable says that a service outside did not answer.
func Unavailable(format string, args ...any) *Fault {
	return &Fault{Status: 503, Code: "ExternalServiceUnavailable", Message: fmt.Sprintf(format, args...)}
}
