package rest_test

import (
	"bytes"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

// named are types whose ids are names, taken as they are.
var named = []string{"schema", "typeDocumentation", "configContent", "setting", "activeSetting", "processDefinition", "resourceDefinition", "extensionPoint", "authorized", "subscribe", "publish"}

// What is wrong with a request is told in an order: the version, the id, the type, the
// action, the method, and what was sent only after all that.
func TestTheFirstThatIsWrongIsTold(t *testing.T) {
	everybody(t, func(c *caller) {
		broken := c.with("Content-Type", "multipart/form-data; boundary=B")
		for _, body := range []string{"broken", multipartOf("name", strings.Repeat("x", 101<<10))} {
			broken.post("/v2/hosts", body).fails(422, "UnsupportedVersion", "null")
			broken.post("/v1/unicorns", body).fails(404, "Not Found", "-")
			broken.post("/v1/schemas", body).fails(405, "Method not allowed", "-")
			broken.post("/v1/schemas?action=nothing", body).fails(422, "InvalidAction", "action")
		}
		c.post("/v2/unicorns/42?action=nothing", "{").fails(422, "UnsupportedVersion", "null")
		c.post("/v1/unicorns/42?action=nothing", "{").fails(404, "Not Found", "-")
		for _, name := range c.view.Names() {
			t := c.view.Type(name)
			plural := "/v1/" + strings.ToLower(t.Plural)
			c.post(plural+"?action=nothing", "{").fails(422, "InvalidAction", "action")
			c.post(plural+"/none?action=nothing", "{").fails(422, "InvalidAction", "action")
			if !slices.Contains(named, name) && !c.plain {
				c.post(plural+"/42?action=nothing", "{").fails(404, "Not Found", "-")
				c.send("PUT", plural+"/42", "{").fails(404, "Not Found", "-")
			}
			for _, method := range []string{"PUT", "DELETE"} {
				c.send(method, plural, "{").fails(405, "Method not allowed", "-")
				if !t.Allows(method) {
					c.send(method, plural+"/none", "{").fails(405, "Method not allowed", "-")
				}
			}
			if !t.Creates() {
				c.post(plural, "{").fails(405, "Method not allowed", "-")
			}
			if t.Table != "" && !slices.Contains(named, name) && slices.Contains(t.Actions, "remove") {
				c.post(plural+"/none?action=remove", "{").fails(404, "Not Found", "-")
			}
		}
	})
}

// Before anything is said of what was sent it is asked who sent it.
func TestNobodyLearnsWhatIsWrongWithABody(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(c *configOf) { c.Settings.SetDatabase(map[string]string{"api.security.enabled": "true"}) })
	for _, kind := range []string{"multipart/form-data; boundary=B", "multipart/form-data", "application/json"} {
		s.with("Content-Type", kind).post("/v1/hosts", "broken").fails(401, "Unauthorized", "-")
	}
}

// multipartOf writes names and values, each after the other, as a browser does.
func multipartOf(pairs ...string) string {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.SetBoundary("B")
	for i := 0; i < len(pairs); i += 2 {
		_ = w.WriteField(pairs[i], pairs[i+1])
	}
	_ = w.Close()
	return body.String()
}

// A form is read in its order, so that of two faults the first is told, whichever way the
// form comes; and what is JSON is read as JSON, whatever it is said to be.
func TestFormsAreReadInTheirOrder(t *testing.T) {
	stories(t, func(s *server) {
		plain, multi := s.with("Content-Type", "application/x-www-form-urlencoded"), s.with("Content-Type", "multipart/form-data; boundary=B")
		for range 8 { // an order that is left to chance shows soon
			multi.post("/v1/hosts", multipartOf("computeFree", "x", "isPublic", "x", "physicalHostId", "x")).fails(422, "InvalidFormat", "computeFree")
			multi.post("/v1/hosts", multipartOf("physicalHostId", "x", "isPublic", "x", "computeFree", "x")).fails(422, "InvalidReference", "physicalHostId")
		}
		plain.post("/v1/hosts", "isPublic=x&computeFree=x").fails(422, "InvalidFormat", "isPublic")
		plain.post("/v1/hosts?computeFree=x", "isPublic=x").fails(422, "InvalidFormat", "computeFree")
		s.post("/v1/hosts?computeFree=x", `{"isPublic":"x"}`).fails(422, "InvalidFormat", "computeFree")
		multi.make("/v1/externalhandlers", multipartOf("processNames", "a", "name", "n", "processNames", "b")).has(map[string]string{"data.fields.processNames": `["a","b"]`})
		for _, kind := range []string{"multipart/form-data; boundary=B", "multipart/form-data", "text/plain", "application/x-www-form-urlencoded", "no;;kind"} {
			s.with("Content-Type", kind).make("/v1/hosts?description=d", `{"name":"json"}`).has(map[string]string{"name": `"json"`, "description": `"d"`})
		}
		multi.post("/v1/hosts", "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nbreaks off").fails(400, "InvalidBodyContent", "-")
		multi.post("/v1/hosts", "no form").fails(400, "InvalidBodyContent", "-")
		multi.post("/v1/hosts", multipartOf("name", strings.Repeat("x", 101<<10))).fails(413, "Request Entity Too Large", "-")
		file := "--B\r\nContent-Disposition: form-data; name=\"name\"; filename=\"f\"\r\n\r\nx\r\n--B\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nd\r\n--B--\r\n"
		multi.make("/v1/hosts", file).has(map[string]string{"name": "null", "description": `"d"`})
		multi.send("PUT", "/v1/accounts/1a1", multipartOf("description", "of a form")).is(200).has(map[string]string{"description": `"of a form"`})
	})
}
