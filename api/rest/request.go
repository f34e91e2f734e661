package rest

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// request is one request on its way. All its texts are copies: the framework
// reuses its own.
type request struct {
	api      *API
	c        *fiber.Ctx
	ctx      context.Context
	method   string
	base     string // scheme and host
	baseJSON string // the same inside a JSON string
	path     string // as sent, decoded
	segments []string
	query    params
	html     bool
	external map[string][]store.ExternalHandler // by what they are attached to, where they are listed
	browser  bool
	clientIP string // as it is said to be
	address  string // as it is known to be
	secret   string // of the key that it has made, where that is shown once
	caller   auth.Caller
	view     *auth.View
	plain    bool

	name  string // of what it creates, if its client gave none
	again bool   // it was tried before, and may have made it

	primary bool // it reads from the primary alone
	copied  bool // it has read from the replica

	cut       []string // what was last cut out of a document
	form      params   // of the body
	multipart bool
	input     *input // read when first asked for

	focus *schema.Row            // the one resource that is answered
	whys  map[int64]*process.Why // read so far
}

// reads is where the request reads what it only shows.
func (r *request) reads() *store.Store {
	if r.method != fiber.MethodGet || r.primary {
		return r.api.Store
	}
	s := r.api.Replica.Reads(r.caller.AccountID)
	if s == nil {
		return r.api.Store
	}
	r.copied = true
	return s
}

// header returns a copy of a request header.
func (r *request) header(name string) string { return strings.Clone(r.c.Get(name)) }

// read takes what every request has from the framework.
func (r *request) read() {
	raw := r.c.Request()
	scheme := "http://"
	if r.c.Context().IsTLS() {
		scheme = "https://"
	}
	host := string(raw.URI().Host())
	if host == "" { // it came by HTTP/1.0
		host = r.c.Context().LocalAddr().String()
	}
	r.base = scheme + strings.ToLower(host)
	path, query := string(raw.URI().PathOriginal()), string(raw.URI().QueryString())
	if r.api.flag("api.allow.client.override", false) {
		if sent := r.header("X-API-request-url"); sent != "" {
			if u, err := url.Parse(sent); err == nil && u.Host != "" {
				r.base, path, query = u.Scheme+"://"+strings.ToLower(u.Host), u.EscapedPath(), u.RawQuery
			}
		}
	}
	r.baseJSON = inside(r.base)
	r.query = parseParams(query)
	r.path, r.segments = splitPath(path)
	agent := strings.ToLower(r.header(fiber.HeaderUserAgent))
	r.browser = strings.Contains(agent, "mozilla")
	r.html = r.wantsHTML()
	r.clientIP = r.findClientIP()
	r.method = strings.Clone(r.c.Method())
}

// splitPath decodes a path; among its segments repeated and trailing slashes do not
// count.
func splitPath(path string) (decoded string, segments []string) {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if t, err := url.PathUnescape(part); err == nil {
			parts[i] = t
		}
		if part = strings.TrimSpace(parts[i]); part != "" {
			segments = append(segments, part)
		}
	}
	return strings.Join(parts, "/"), segments
}

// asked returns a parameter of the query or, if that has none of the name, of the form.
func (r *request) asked(name string) (value string, there bool) {
	for _, p := range []params{r.query, r.form} {
		if p.has(name) {
			return p.get(name), true
		}
	}
	return "", false
}

func (r *request) wantsHTML() bool {
	format, _ := r.asked("_format")
	switch strings.ToLower(format) {
	case "html":
		return true
	case "json":
		return false
	}
	accept := r.header(fiber.HeaderAccept)
	return r.browser && (accept == "" || strings.Contains(accept, "*/*"))
}

func (r *request) findClientIP() string {
	if ip := r.header(fiber.HeaderXForwardedFor); ip != "" {
		return ip
	}
	if r.api.flag("api.allow.client.override", false) {
		if ip := r.header("X-API-client-ip"); ip != "" {
			return ip
		}
	}
	return r.c.Context().RemoteIP().String()
}

// findAddress is where the request comes from, as far as that is known for sure.
func (r *request) findAddress() string {
	var sent []string // a proxy may have put a line of its own behind the client's
	for _, line := range r.c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		sent = append(sent, string(line))
	}
	return limit.Address(r.c.Context().RemoteIP().String(), strings.Join(sent, ","), r.api.text("api.trusted.proxies", ""))
}

// serve finds out who asks for what and answers.
func (r *request) serve() error {
	r.read()
	unread := r.readMethod()
	if err := r.guard(); err != nil {
		return err
	}
	if unread != nil {
		return unread
	}
	if len(r.segments) == 0 {
		if r.redirects() {
			return nil
		}
	} else if r.segments[0] != "v1" && !r.isMetrics() {
		return fault.Invalid("UnsupportedVersion", "", "there is no version %s", r.segments[0])
	}
	r.address = r.findAddress()
	if err := r.allowed("address", r.address); err != nil {
		return err
	}
	if r.isScript() {
		return r.script()
	}
	var err error
	r.caller, err = r.api.Auth.Identify(r.ctx, auth.Login{
		Authorization: r.header(fiber.HeaderAuthorization),
		AccountUUID:   r.header("X-Account-Uuid"),
		Address:       r.address,
	})
	if err != nil {
		return err
	}
	if err := r.allowed("key", r.keyName()); err != nil {
		return err
	}
	r.c.Set("X-API-Client-IP", r.clientIP)
	r.view = r.caller.View
	r.plain = r.caller.PlainIDs || r.caller.MayAskPlain && r.asksPlain()
	if r.isMetrics() {
		return r.metrics()
	}
	return r.dispatch()
}

func (r *request) asksPlain() bool {
	v, there := r.asked("_plainId")
	if !there || !slices.Contains(r.api.list("api.request.options", "_plainId"), "_plainId") {
		return false
	}
	return v == "" || strings.EqualFold(v, "true")
}

// readMethod applies _method and refuses methods that nothing has. A form may say what
// the query does not; that it cannot be read is told once it is needed, because what is
// wrong with the path goes before.
func (r *request) readMethod() error {
	if r.method != fiber.MethodGet && r.readForm() == nil {
		r.html = r.wantsHTML()
	}
	if m, _ := r.asked("_method"); m != "" {
		r.method = strings.ToUpper(m)
	}
	switch r.method {
	case fiber.MethodGet, fiber.MethodPost, fiber.MethodPut, fiber.MethodDelete:
		return nil
	}
	return fault.NotAllowed()
}

// dispatch follows the path. What is wrong is told in the order of the contract: the id,
// the type, the action, the method, and only then what was sent.
func (r *request) dispatch() error {
	switch {
	case len(r.segments) == 0:
		return r.versions()
	case len(r.segments) == 1:
		return r.version()
	case len(r.segments) > 4:
		return fault.NotFound()
	}
	switch strings.ToLower(r.segments[1]) {
	case "scripts":
		return r.namedScript()
	case "openapi.json":
		return r.openAPI()
	}
	t := r.view.Find(r.segments[1])
	if t == nil {
		return fault.NotFound()
	}
	serve, depth := special(t.Name), len(r.segments)
	switch {
	case depth > 2 && serve == nil && !r.isID(r.segments[2]):
		return fault.NotFound()
	case depth < 4 && r.method == fiber.MethodPost && r.query.has("action"):
		return r.action(t)
	case depth == 2 && !slices.Contains(t.Collection, r.method), depth == 3 && !t.Allows(r.method):
		return fault.NotAllowed()
	case serve != nil:
		return serve(r, t)
	case depth == 2:
		return r.collection(t)
	case depth == 3:
		return r.single(t)
	}
	return r.link(t)
}

// action answers POST /v1/TYPE/ID?action=NAME. Collections have none, nor has what is no
// row of a table.
func (r *request) action(t *auth.Type) error {
	name := r.query.get("action")
	if len(r.segments) == 2 || t.Table == "" || special(t.Name) != nil {
		return fault.Invalid("InvalidAction", "action", "%s has no action %s", t.Plural, name)
	}
	id, _ := r.id(r.segments[2]) // what is no number finds nothing
	return r.act(t, id, name)
}

// collection answers /v1/TYPE.
func (r *request) collection(t *auth.Type) error {
	if r.method == fiber.MethodGet {
		return r.listType(t)
	}
	return r.create(t, nil)
}

// single answers /v1/TYPE/ID.
func (r *request) single(t *auth.Type) error {
	if t.Table == "" {
		return fault.NotFound()
	}
	id, err := r.id(r.segments[2])
	if err != nil {
		return err
	}
	switch r.method {
	case fiber.MethodGet:
		return r.get(t, id)
	case fiber.MethodPut:
		return r.update(t, id)
	}
	return r.remove(t, id)
}

// isID tells whether a text can be read as an id.
func (r *request) isID(text string) bool {
	_, ok := schema.ParseID(text)
	return ok || r.plain
}

// id reads the id of a path. What is none finds nothing.
func (r *request) id(text string) (int64, error) {
	stored := text
	if !r.plain {
		var ok bool
		if stored, ok = schema.ParseID(text); !ok {
			return 0, fault.NotFound()
		}
	}
	id, err := strconv.ParseInt(stored, 10, 64)
	if err != nil {
		return 0, fault.NotFound()
	}
	return id, nil
}

// send answers with JSON, or with the page around it.
func (r *request) send(status int, body []byte) error {
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	r.c.Status(status)
	if r.html {
		r.c.Set(fiber.HeaderContentType, "text/html; charset=utf-8")
		return r.c.Send(r.page(body))
	}
	r.c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	return r.c.Send(body)
}

// sendText answers with something that is no JSON.
func (r *request) sendText(contentType, body string) error {
	r.c.Set("X-API-Schemas", r.base+"/v1/schemas")
	r.c.Set(fiber.HeaderContentType, contentType)
	return r.c.SendString(body)
}
