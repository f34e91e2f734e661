package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
)

// input is what a request sent: texts, lists of texts, or what JSON makes of its
// values. Clients of all ages send it, so it is read kindly.
type input map[string]any

// readInput reads the query and a body of at most limit bytes. A body that is JSON
// is read as such whatever its type says; scripts name none, or a wrong one.
func readInput(w http.ResponseWriter, r *http.Request, limit int64) (input, error) {
	in := input{}
	in.add(parameters(r.URL.RawQuery))
	if r.Method != http.MethodPost {
		return in, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		return nil, fault.TooLarge()
	}
	kind, options, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body = bytes.TrimSpace(body)
	switch {
	case kind == "multipart/form-data":
		form, err := multipart.NewReader(bytes.NewReader(body), options["boundary"]).ReadForm(limit)
		if err != nil {
			return nil, fault.Malformed("InvalidBodyContent", "the multipart body cannot be read")
		}
		in.add(form.Value)
	case len(body) == 0:
	case kind == "application/x-www-form-urlencoded" && body[0] != '{' && body[0] != '[':
		in.add(parameters(string(body)))
	case !json.Valid(body):
		return nil, fault.Malformed("InvalidBodyContent", "the body is not JSON")
	case body[0] == '{':
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode((*map[string]any)(&in)); err != nil {
			return nil, fault.Malformed("InvalidBodyContent", "the body is not JSON")
		}
	}
	return in, nil
}

func (in input) add(values url.Values) {
	for name, all := range values {
		list := make([]any, len(all))
		for i, v := range all {
			list[i] = v
		}
		in[name] = list
		if len(list) == 1 {
			in[name] = list[0]
		}
	}
}

// parameters reads a query without the rule of net/url that drops a pair with a
// bare semicolon: event names have one.
func parameters(raw string) url.Values {
	v := url.Values{}
	for _, pair := range strings.Split(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		x, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil && n != "" {
			v.Add(n, x)
		}
	}
	return v
}

// text reads a single value as text.
func (in input) text(name string) string { return text(in[name]) }

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	case []any:
		if len(x) > 0 {
			return text(x[0])
		}
	}
	return ""
}

// texts reads a list, or a single value as a list of one.
func (in input) texts(name string) []string {
	list, ok := in[name].([]any)
	if !ok {
		if in[name] == nil {
			return nil
		}
		list = []any{in[name]}
	}
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

// event reads an event that somebody publishes. What is missing gets the value
// that everybody expects there.
func (in input) event() (*wire.Event, error) {
	e := &wire.Event{
		ID: in.text("id"), Name: in.text("name"), PreviousIDs: in.texts("previousIds"), PreviousNames: in.texts("previousNames"),
		ResourceType: wire.Text(in.text("resourceType")), ResourceID: wire.Text(in.text("resourceId")),
		Publisher: wire.Text(in.text("publisher")), Transitioning: wire.Text(in.text("transitioning")),
		TransitioningMessage:         wire.Text(in.text("transitioningMessage")),
		TransitioningInternalMessage: wire.Text(in.text("transitioningInternalMessage")),
		TimeMillis:                   time.Now().UnixMilli(),
	}
	if e.Name == "" {
		return nil, fault.Invalid("MissingRequired", "name", "an event needs a name")
	}
	if e.ID == "" {
		e.ID = uuid.NewString()
	}
	if stored, ok := schema.ParseID(wire.Value(e.ResourceID)); ok {
		e.ResourceID = wire.Text(stored)
	}
	if reply := wire.Text(in.text("replyTo")); reply != nil {
		e.ReplyTo = reply
	}
	if f, err := strconv.ParseFloat(in.text("time"), 64); err == nil {
		e.TimeMillis = int64(f)
	}
	if f, err := strconv.ParseFloat(in.text("timeoutMillis"), 64); err == nil {
		n := int64(f)
		e.TimeoutMillis = &n
	}
	if f, err := strconv.ParseFloat(in.text("transitioningProgress"), 64); err == nil {
		n := int(f)
		e.TransitioningProgress = &n
	}
	data := in["data"]
	if s, ok := data.(string); ok && json.Valid([]byte(s)) { // of a form
		data = json.RawMessage(s)
	}
	var err error
	e.Data, err = wire.Encode(data)
	return e, err
}
