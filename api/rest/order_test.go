package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/api/auth"
)

// named are types whose ids are names, taken as they are.
var named = []string{"schema", "typeDocumentation", "configContent", "setting", "activeSetting", "processDefinition", "resourceDefinition", "extensionPoint", "authorized", "subscribe", "publish"}

// What is wrong with a request is told in an order: the version, the id, the type, the
// action, the method, and what was sent only after all that.
func TestTheFirstThatIsWrongIsTold(t *testing.T) {
	t.Parallel()
	each(t, embedded(t, func(*configOf) {}), func(c *caller) {
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

// refusal is a value of a field that is refused, as JSON, and with which code.
type refusal struct{ field, value, code string }

// refusals are values that a field refuses, each for the first thing that is wrong with it.
func (c *caller) refusals(t *auth.Type, f *auth.Field, published map[string]any) (out []refusal) {
	inner := strings.TrimRight(f.Type[strings.LastIndexByte(f.Type, '[')+1:], "]")
	wrap := func(v string) string { return v }
	switch {
	case strings.HasPrefix(f.Type, "array["):
		wrap = func(v string) string { return "[" + v + "]" }
	case strings.HasPrefix(f.Type, "map[") && inner != "json":
		wrap = func(v string) string { return `{"a":` + v + "}" }
	}
	add := func(code string, values ...string) {
		for _, v := range values {
			out = append(out, refusal{f.Name, wrap(v), code})
		}
	}
	switch {
	case strings.Contains(f.Type, "reference["):
		add("InvalidReference", `"1x"`, `"1x999999999"`, `""`, `{}`)
	case inner == "int":
		add("InvalidFormat", `"abc"`, `"1.5"`, `""`, `true`, `{}`)
	case inner == "boolean":
		add("InvalidFormat", `"maybe"`, `{}`)
	case inner == "date":
		add("InvalidDateFormat", `"yesterday"`, `{}`)
	case inner == "string" || inner == "enum":
		add("InvalidFormat", `{}`, `"a\u0000b"`)
	}
	if strings.HasPrefix(f.Type, "map[") {
		out = append(out, refusal{f.Name, `"x"`, "InvalidFormat"})
	}
	if !f.Nullable && f.Fallback == nil {
		out = append(out, refusal{f.Name, "null", "NotNullable"})
		if strings.HasPrefix(f.Type, "array[") {
			add("NotNullable", "null")
		}
	}
	if f.Unique {
		row := c.rows(owned(t.Type, c.account, map[string]any{f.Name: uuid.NewString()}))[0]
		taken, err := c.store.Get(c.t.Context(), t.Type, row)
		if err != nil {
			c.t.Fatal(err)
		}
		add("NotUnique", `"`+taken.Str(f.Name)+`"`)
	}
	for key, code := range map[string]string{"min": "MinLimitExceeded", "max": "MaxLimitExceeded"} {
		if bound, ok := published[key].(float64); ok {
			add(code, fmt.Sprint(bound+map[string]float64{"min": -1, "max": 1}[key]))
		}
	}
	if inner != "string" && inner != "enum" {
		return out
	}
	if least, ok := published["minLength"].(float64); ok {
		add("MinLengthExceeded", `"`+strings.Repeat("é", int(least)-1)+`"`)
	}
	if most, ok := published["maxLength"].(float64); ok {
		add("MaxLengthExceeded", `"`+strings.Repeat("é", int(most)+1)+`"`) // also where it is none of the options
	}
	if f.Options != nil {
		add("InvalidOption", `"none of them"`, `"`+strings.ToUpper(f.Options[0])+`"`)
	}
	return out
}

// Of every two faults in one body the one that was sent first is told, whatever they are,
// and a field that is missing only where nothing is wrong with those that were sent. What
// may not be set is not looked at.
func TestEveryPairOfFaults(t *testing.T) {
	t.Parallel()
	each(t, embedded(t, func(*configOf) {}), func(c *caller) {
		for _, t := range c.tables() {
			fields, _ := c.get("/v1/schemas/" + t.Name).is(200).at("resourceFields").(map[string]any)
			if rightsOf(c.kind, t.Type).create {
				c.pairs(t, fields, "POST", "/v1/"+t.Plural, func(f *auth.Field) bool { return f.Create })
			}
			if t.Allows("PUT") {
				c.pairs(t, fields, "PUT", c.path(t, c.resting(t)), func(f *auth.Field) bool { return f.Update })
			}
		}
	})
}

func (c *caller) pairs(t *auth.Type, published map[string]any, method, path string, may func(*auth.Field) bool) {
	c.t.Helper()
	var all []refusal
	ignored := `"nothing":{},"links":{},`
	for _, f := range t.Fields {
		field, _ := published[f.Name].(map[string]any)
		if may(f) && f.Name != "id" {
			all = append(all, c.refusals(t, f, field)...)
		} else {
			ignored += fmt.Sprintf(`"%s":{"a":null},`, f.Name)
		}
	}
	told := func(body string, r refusal) {
		c.t.Helper()
		a := c.send(method, path, body)
		if a.code != 422 || a.body["code"] != r.code || a.body["fieldName"] != r.field {
			c.t.Errorf("%s: %s %s %.200s answers %s instead of %s %s", c.kind, method, path, body, a.text, r.code, r.field)
		}
	}
	tried := map[string]bool{}
	for i, r := range all {
		for j := range all { // each with the next one, and of each two codes one pair
			other := all[(i+1+j)%len(all)]
			if other.field == r.field || j > 0 && tried[r.code+" "+other.code] {
				continue
			}
			tried[r.code+" "+other.code] = true
			told(fmt.Sprintf(`{%s"%s":%s,"%s":%s}`, ignored, r.field, r.value, other.field, other.value), r)
		}
		told(fmt.Sprintf(`{%s"%s":%s}`, ignored, r.field, r.value), r)
	}
	for _, f := range t.Fields {
		if f.Required && may(f) && (method == "PUT" || f.Fallback == nil) {
			body := c.sent(t, may)
			delete(body, f.Name)
			text, _ := json.Marshal(body)
			told(string(text), refusal{f.Name, "", "MissingRequired"})
			if strings.HasPrefix(f.Type, "array[") {
				told(strings.TrimSuffix(string(text), "}")+`,"`+f.Name+`":[]}`, refusal{f.Name, "", "MissingRequired"})
			}
		}
	}
}

// Every text may be as long as is published, in letters of any alphabet, and is kept whole.
func TestEveryTextAtItsLongest(t *testing.T) {
	everybody(t, func(c *caller) {
		for _, t := range c.tables() {
			fields, _ := c.get("/v1/schemas/" + t.Name).is(200).at("resourceFields").(map[string]any)
			long := func(may func(*auth.Field) bool) map[string]any {
				body := c.sent(t, may)
				for _, f := range t.Fields {
					field, _ := fields[f.Name].(map[string]any)
					most, ok := field["maxLength"].(float64)
					if ok && may(f) && f.Type == "string" && !slices.Contains(leftOut, f.Name) {
						body[f.Name] = letters(int(most))
					}
				}
				return body
			}
			if rightsOf(c.kind, t.Type).create {
				body := long(func(f *auth.Field) bool { return f.Create })
				text, _ := json.Marshal(body)
				c.make("/v1/"+t.Plural, string(text)).shows(t, body)
			}
			if t.Allows("PUT") {
				body := long(func(f *auth.Field) bool { return f.Update })
				text, _ := json.Marshal(body)
				c.send("PUT", c.path(t, c.resting(t)), string(text)).is(200).shows(t, body)
			}
		}
	})
}

// letters is a text of so many letters that no two share, and that cannot be packed.
func letters(n int) string {
	var b strings.Builder
	for b.Len() < 2*n { // counted in bytes
		b.WriteString(strings.ReplaceAll(uuid.NewString(), "-", "é"))
	}
	return string([]rune(b.String())[:n])
}
