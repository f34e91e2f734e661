package rest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// odd are values that fit few fields.
var odd = []string{`null`, `""`, `" "`, `"x"`, `[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `true`, `-1`, `0`, `1.5`, `1e400`, `9223372036854775808`, `99999999999`,
	`"1h1"`, `"1!"`, `"1a99999999999999999999"`, `"-1"`, `"2014-13-45T99:99:99Z"`, `"a\u0000b"`, `"\ud800"`, `{"a":{"b":[1]}}`, `{"":null}`, `"%s%n\\"`, `"' or 1=1 --"`}

// Whatever a caller sends is answered with what is wrong about it, never with a
// failure of ours.
func TestOddValuesAreTheCallersFault(t *testing.T) {
	stories(t, func(s *server) {
		for _, schema := range s.get("/v1/schemas").body["data"].([]any) {
			sc := schema.(map[string]any)
			collection, ok := sc["links"].(map[string]any)["collection"].(string)
			if !ok {
				continue
			}
			path := strings.TrimPrefix(collection, "http://h")
			methods := fmt.Sprint(sc["collectionMethods"])
			for name, field := range sc["resourceFields"].(map[string]any) {
				f := field.(map[string]any)
				if f["create"] != true && f["update"] != true || !strings.Contains(methods, "POST") {
					continue
				}
				for i, v := range odd {
					if i%3 != len(name)%3 { // a part of all pairs is telling enough
						continue
					}
					s.sound("POST", path, fmt.Sprintf(`{"imageUuid":"sim:x","uri":"sim://%s","networkAddress":"10.0.0.0","processNames":["a"],"%s":%s}`, name+fmt.Sprint(i), name, v))
				}
			}
			for name, filter := range sc["collectionFilters"].(map[string]any) {
				for i, m := range filter.(map[string]any)["modifiers"].([]any) {
					v := odd[(i+len(name)+len(path))%len(odd)]
					s.sound("GET", path+"?"+url.QueryEscape(fmt.Sprintf("%s_%s", name, m))+"="+url.QueryEscape(strings.Trim(v, `"`))+"&sort="+name, "")
				}
			}
		}
	})
}

// sound sends a request and expects no failure of ours; what it made is changed
// and removed as oddly.
func (s *server) sound(method, path, body string) {
	s.t.Helper()
	a := s.send(method, path, body)
	if a.code >= 500 && a.code != 503 {
		s.t.Errorf("%s %s %s answered %s", method, path, body, a.text)
	}
	if a.code != 201 || len(a.body) == 0 {
		return
	}
	self, ok := a.at("links.self").(string)
	if !ok {
		return
	}
	self = strings.TrimPrefix(self, "http://h")
	if a = s.send("PUT", self, body); a.code >= 500 {
		s.t.Errorf("PUT %s %s answered %s", self, body, a.text)
	}
	if a = s.get(self); a.code != 200 {
		s.t.Errorf("GET %s answered %s", self, a.text)
	}
}

func TestOddPaths(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	for _, path := range []string{"/v1/hosts/%00", "/v1/hosts/1h1/%2e%2e", "/v1/settings/%00", "/v1/activesettings/a%00b", "/v1/scripts/a:1:b%00", "/v1/scripts/",
		"/v1/hosts?%zz=1&=&&a", "/v1/hosts?include=%00", "/v1/hosts?sort=%00&order=x", "/v1/hosts?marker=%00", "/v1/../v1/hosts", "/v1/processdefinitions/%ff", "/v1/resourcedefinitions/1rd!/x", "/v1/hosts/1h1/agent/x/y/z"} {
		if a := s.get(path); a.code >= 500 {
			t.Errorf("GET %s answered %s", path, a.text)
		}
		if a := s.send("PUT", path, `{"value":"x"}`); a.code >= 500 {
			t.Errorf("PUT %s answered %s", path, a.text)
		}
		if a := s.send("POST", path+"?action=x", `{}`); a.code >= 500 {
			t.Errorf("POST %s answered %s", path, a.text)
		}
	}
}
