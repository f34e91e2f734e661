package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/fault"
)

// What the API says of a request and its sender, the gateway says alike: one port
// answers for both, and clients do not know which of them they hear.

// target is the path that is asked for. Slashes that repeat do not count, nor does the
// case of what stands behind the version.
func target(path string) string {
	segments := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	for i := 1; i < len(segments); i++ {
		segments[i] = strings.ToLower(segments[i])
	}
	return "/" + strings.Join(segments, "/")
}

// upgradable refuses what would be a WebSocket and cannot become one: the library that
// makes them says so in plain text.
func upgradable(r *http.Request) error {
	h := r.Header
	if h.Get("Sec-WebSocket-Version") != "13" || h.Get("Sec-WebSocket-Key") == "" || !strings.Contains(strings.ToLower(h.Get("Connection")), "upgrade") {
		return fault.Malformed("Bad Request", "no WebSocket can be made of the request")
	}
	return nil
}

// realm is what the keys that are asked for open.
func (g *Gateway) realm() string {
	realm := "Enter API access key and secret key as username and password"
	if g.Settings != nil && g.Settings.Get("api.auth.realm") != "" {
		realm = g.Settings.Get("api.auth.realm")
	}
	return `Basic realm="` + strings.ReplaceAll(realm, `"`, `'`) + `"`
}

// refuse answers in the shape that clients of the API know.
func (g *Gateway) refuse(w http.ResponseWriter, err error) {
	f := &fault.Fault{Status: http.StatusServiceUnavailable, Code: "Service Unavailable"}
	_ = errors.As(err, &f)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	body := map[string]any{"id": uuid.NewString(), "type": "error", "links": map[string]any{}, "actions": map[string]any{},
		"status": f.Status, "code": f.Code, "message": f.Code, "detail": nil}
	if f.Message != "" {
		body["message"] = f.Message
	}
	if after := f.RetryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	switch f.Status {
	case http.StatusUnauthorized:
		time.Sleep(refusalDelay) // guessing is slow, whatever was wrong
		w.Header().Set("WWW-Authenticate", g.realm())
	case http.StatusUnprocessableEntity:
		body["message"], body["fieldName"] = nil, f.Field
	}
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(body)
}
