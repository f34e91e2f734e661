package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/shared/fault"
)

// maxMultipart bounds a multipart body: it carries simple fields only.
const maxMultipart = 100 << 10

// reserved are the parameters that are never fields.
var reserved = map[string]bool{"_format": true, "_method": true, "_plainId": true, "action": true,
	"include": true, "limit": true, "marker": true, "sort": true, "order": true}

// input is what a request sent, in the order it was sent. Values are texts, lists
// of texts, or what JSON makes of its values, numbers as json.Number.
type input struct {
	names  []string
	values map[string]any
}

func (in *input) set(name string, v any) {
	if _, ok := in.values[name]; !ok {
		in.names = append(in.names, name)
	}
	in.values[name] = v
}

// copied tells whether what was sent is a whole resource as it was read before.
func (in *input) copied() bool {
	_, links := in.values["links"].(map[string]any)
	_, actions := in.values["actions"].(map[string]any)
	return links && actions
}

// drop takes out what was sent under a name.
func (in *input) drop(name string) {
	in.names = slices.DeleteFunc(in.names, func(n string) bool { return n == name })
	delete(in.values, name)
}

func (in *input) addAll(p params) {
	lists := map[string][]any{}
	for _, q := range p {
		lists[q.name] = append(lists[q.name], q.value)
	}
	for _, q := range p {
		if list := lists[q.name]; len(list) == 1 {
			in.set(q.name, list[0])
		} else {
			in.set(q.name, list)
		}
	}
}

// readInput reads parameters, form and body.
func (r *request) readInput() (*input, error) {
	if r.input != nil {
		return r.input, nil
	}
	if err := r.readForm(); err != nil {
		return nil, err
	}
	in := &input{values: map[string]any{}}
	if !r.multipart {
		var sent params
		for _, p := range r.query {
			if !reserved[p.name] {
				sent = append(sent, p)
			}
		}
		in.addAll(sent)
	}
	in.addAll(r.form)
	if r.form == nil && !r.multipart {
		if err := in.addJSON(r.c.Request().Body()); err != nil {
			return nil, err
		}
	}
	r.input = in
	return in, nil
}

// readForm reads the body if it is a form. A body that is JSON is none, whatever
// its content type says.
func (r *request) readForm() error {
	if r.form != nil || r.multipart {
		return nil
	}
	kind, options, _ := mime.ParseMediaType(r.header(fiber.HeaderContentType))
	if kind != fiber.MIMEMultipartForm && kind != fiber.MIMEApplicationForm {
		return nil
	}
	body := r.c.Request().Body()
	if b := bytes.TrimSpace(body); len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b) {
		return nil
	}
	if kind == fiber.MIMEMultipartForm {
		return r.readMultipart(body, options["boundary"])
	}
	r.form = parseParams(string(body))
	if r.form == nil {
		r.form = params{}
	}
	return nil
}

// readMultipart reads the simple fields of a body in their order, and no files.
func (r *request) readMultipart(body []byte, boundary string) error {
	if len(body) > maxMultipart {
		return fault.TooLarge()
	}
	var form params
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // wrapped it means that the body breaks off
			break
		}
		var value []byte
		if err == nil {
			value, err = io.ReadAll(part)
		}
		if err != nil {
			return fault.Malformed("InvalidBodyContent", "the multipart body cannot be read")
		}
		if part.FormName() != "" && part.FileName() == "" {
			form = append(form, param{part.FormName(), string(value)})
		}
	}
	r.form, r.multipart = form, true
	return nil
}

// addJSON adds the members of a JSON object. Other JSON counts as empty.
func (in *input) addJSON(body []byte) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	bad := fault.Malformed("InvalidBodyContent", "the body is not JSON")
	if !json.Valid(body) || !utf8.Valid(body) {
		return bad
	}
	if body[0] != '{' {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return bad
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return bad
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return bad
		}
		in.set(name.(string), v)
	}
	return nil
}
