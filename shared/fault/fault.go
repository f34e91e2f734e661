// Package fault holds the few ways in which the system says no to a caller. Each
// border translates them in one place.
package fault

import (
	"fmt"
	"strconv"
	"time"
)

// Fault is a refusal in the shape that clients know: a status, a code that they
// compare exactly, and the field that was wrong.
type Fault struct {
	Status  int
	Code    string
	Field   string        // only of validation faults
	Message string        // a sentence for people, may be empty
	Bare    bool          // a 422 that is about no single field
	After   time.Duration // when to ask again, 0 if that is not known
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
	return &Fault{Status: 422, Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Refused refuses a request as a whole: 422 without a field.
func Refused(code, format string, args ...any) *Fault {
	return &Fault{Status: 422, Code: code, Message: fmt.Sprintf(format, args...), Bare: true}
}

// Malformed refuses a request that cannot be read.
func Malformed(code, format string, args ...any) *Fault {
	return &Fault{Status: 400, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Unauthorized refuses a caller who did not say who he is.
func Unauthorized() *Fault { return &Fault{Status: 401, Code: "Unauthorized"} }

// NotAllowed refuses a method that the target does not have.
func NotAllowed() *Fault { return &Fault{Status: 405, Code: "Method not allowed"} }

// TooLarge refuses a body beyond the limit.
func TooLarge() *Fault { return &Fault{Status: 413, Code: "Request Entity Too Large"} }

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

// TooMany refuses whoever asks too often, for a while.
func TooMany(after time.Duration, format string, args ...any) *Fault {
	return &Fault{Status: 429, Code: "Too Many Requests", Message: fmt.Sprintf(format, args...), After: after}
}

// RetryAfter is the header of that name in whole seconds, "" for none.
func (f *Fault) RetryAfter() string {
	if f.After <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((f.After+time.Second-1)/time.Second), 10)
}

// Unavailable says that a service outside did not answer.
func Unavailable(format string, args ...any) *Fault {
	return &Fault{Status: 503, Code: "ExternalServiceUnavailable", Message: fmt.Sprintf(format, args...)}
}
