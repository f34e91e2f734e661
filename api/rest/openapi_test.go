package rest_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/cattleio/cattle/shared/resource"
)

// described holds what is asked and answered against the description of the API that
// its caller gets.
func (c *caller) described() {
	c.t.Helper()
	document, err := libopenapi.NewDocument([]byte(c.get("/v1/openapi.json").is(200).text))
	if err != nil {
		c.t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		c.t.Fatal(errs)
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		for _, e := range wrong {
			c.t.Errorf("%v %v", e, e.SchemaValidationErrors)
		}
		c.t.FailNow()
	}
	c.seenBy = func(req *http.Request, resp *http.Response, text []byte) {
		if resp.StatusCode == 405 {
			return // nothing says that one may
		}
		parts := strings.Split(strings.ToLower(strings.TrimSuffix(req.URL.Path, "/")), "/")
		if k := resource.All.Kind(parts[2]); k != nil {
			parts[2] = strings.ToLower(k.Type.Plural) // the singular does as well
		}
		req.URL.Path = strings.Join(parts, "/")
		req.Header.Set("Content-Type", "application/json")
		check := v.ValidateHttpResponse
		if resp.StatusCode < 300 { // what is refused may be wrong in any way
			check = v.ValidateHttpRequestResponse
		}
		resp.Body = io.NopCloser(bytes.NewReader(text))
		if ok, wrong := check(req, resp); !ok {
			for _, e := range wrong {
				c.t.Errorf("%s %s: %s: %s", req.Method, req.URL, e.Message, e.Reason)
				for _, s := range e.SchemaValidationErrors {
					c.t.Errorf("  %s: %s", s.FieldPath, s.Reason)
				}
			}
		}
	}
}

// Everything that is said of a type is true: whatever is made, read, listed, changed,
// begun, refused and removed of every type, by every kind of caller, fits what the
// OpenAPI document says of it.
func TestTheDescriptionIsTrue(t *testing.T) {
	t.Parallel()
	s := newServer(t, filepath.Join(t.TempDir(), "cattle.db"), func(*configOf) {})
	for _, c := range callers(s) {
		t.Run(c.kind, func(t *testing.T) {
			own := *c.server
			own.t = t
			mine := *c
			mine.server = &own
			mine.described()
			for _, typ := range mine.tables() {
				at := "/v1/" + strings.ToLower(typ.Plural)
				if rightsOf(c.kind, typ.Type).create {
					mine.throughLife(typ)
				}
				if typ.Allows("GET") {
					mine.get(mine.path(typ, mine.seen(typ.Type))).is(200)
					mine.get(at + "/1x987654321").is(404)
				}
				if typ.Lists() {
					mine.get(at + "?limit=2&sort=created&order=desc").is(200)
					for _, f := range typ.Filters {
						for _, m := range f.Modifiers {
							mine.get(at + "?limit=1&" + f.Name + "_" + m + "=" + url.QueryEscape("1")).is(200)
						}
					}
				}
				for _, l := range typ.Links {
					mine.get(mine.path(typ, mine.seen(typ.Type)) + "/" + strings.ToLower(l.Name))
				}
				for _, name := range typ.Actions {
					id := mine.rows(owned(typ.Type, c.account, nil))[0] // never its own account
					mine.post(mine.path(typ, id)+"?action="+name, "{}")
				}
			}
			for _, name := range mine.view.Names() { // those without rows
				if typ := mine.view.Type(name); typ.Lists() && typ.Name != "subscribe" {
					mine.get("/v1/" + strings.ToLower(typ.Plural)).is(200)
				}
			}
		})
	}
}

// Whoever reads about a type finds a word on each of its fields.
func TestEveryTypeAndFieldIsExplained(t *testing.T) {
	t.Parallel()
	for _, k := range resource.All.Kinds() {
		if resource.Describe(k.Type) == "" {
			t.Errorf("nothing says what a %s is", k.Type.Name)
		}
		for _, f := range k.Type.Fields() {
			if !f.Internal && resource.DescribeField(k.Type, f.Name) == "" {
				t.Errorf("nothing says what %s of a %s means", f.Name, k.Type.Name)
			}
		}
	}
}
