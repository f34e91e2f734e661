package rest_test

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestPathsInAnyCaseSingularAndPlural(t *testing.T) {
	stories(t, func(s *server) {
		for _, path := range []string{"/v1/host", "/v1/hosts", "/v1/HOSTS", "//v1//hosts/", "/v1/%68osts", "/v1/processDefinitions", "/v1/processdefinition", "/v1/ipaddresses", "/v1/authorized_keys", "/v1/datas"} {
			s.get(path).is(200)
		}
		for _, path := range []string{"/V1/hosts", "/v2/hosts", "/foo"} {
			s.get(path).fails(422, "UnsupportedVersion", "null")
		}
		for _, path := range []string{"/v1/nothing", "/v1/zones", "/v1/hosts/42", "/v1/hosts/-5", "/v1/hosts/1", "/v1/hosts/1h42", "/v1/hosts/1hx", "/v1/accounts/1a1/nothing", "/v1/accounts/1a1/agents/5", "/v1/a/b/c/d/e"} {
			s.get(path).fails(404, "Not Found", "-")
		}
		s.get("/v1/accounts/1x1").is(200).has(map[string]string{"id": `"1a1"`}) // the prefix is not compared
		for _, path := range []string{"/v1/schemas/host/nothing", "/v1/settings/a/b", "/v1/processdefinitions/instance.start/nothing", "/v1/configcontent/a/b", "/v1/authorized_keys/a"} {
			s.get(path).fails(404, "Not Found", "-")
		}
	})
}

// A list is found again where it was asked for.
func TestListsNameThemselvesAsTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	for path, self := range map[string]string{"/v1/HOSTS/?name=x": "/v1/HOSTS/", "//v1//host": "//v1//host", "/v1/%68osts": "/v1/hosts", "/v1/accounts/1a1/agents/": "/v1/accounts/1a1/agents/"} {
		a := s.get(path).is(200).has(map[string]string{"links.self": `"http://h` + self + `"`})
		s.get(strings.TrimPrefix(a.str("links.self"), "http://h")).is(200).has(map[string]string{"resourceType": `"` + a.str("resourceType") + `"`})
	}
}

// An action that a type does not have is refused as such, also where nothing may be
// posted.
func TestUnknownActionsAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	for _, path := range []string{"/v1/hosts", "/v1/instances", "/v1/accounts/1a1", "/v1/schemas", "/v1/schemas/host", "/v1/processdefinitions/instance.start",
		"/v1/resourcedefinitions", "/v1/extensionpoints", "/v1/typedocumentations/host", "/v1/settings", "/v1/settings/api.dev", "/v1/authorized_keys", "/v1/configcontent/a"} {
		s.post(path+"?action=nothing", "{}").fails(422, "InvalidAction", "action")
	}
}

func TestVersionDocuments(t *testing.T) {
	stories(t, func(s *server) {
		s.get("/").is(200).has(map[string]string{
			"resourceType": `"apiVersion"`, "links.latest": `"http://h/v1"`, "pagination": "null", "data.0.links.self": `"http://h/v1"`})
		s.get("/v1").is(200).has(map[string]string{
			"id": `"v1"`, "type": `"apiVersion"`, "actions": "{}", "links.processDefinitions": `"http://h/v1/processdefinitions"`,
			"links.self": `"http://h/v1"`, "links.activeSettings": "null", "links.authorized_keys": `"http://h/v1/authorized_keys"`})
	})
}

func TestMethods(t *testing.T) {
	stories(t, func(s *server) {
		for _, m := range []string{"OPTIONS", "PATCH", "TRACE"} {
			s.send(m, "/v1/hosts", "").fails(405, "Method not allowed", "-")
		}
		for _, p := range []string{"PUT /v1/hosts", "DELETE /v1/hosts", "POST /v1/accounts/1a1", "POST /v1/instances", "POST /v1/volumes", "PUT /v1/accounts/1a1/agents", "DELETE /v1/accounts/1a1/agents"} {
			method, path, _ := strings.Cut(p, " ")
			s.send(method, path, "{}").fails(405, "Method not allowed", "-")
		}
		s.get("/v1/accounts/1a1?_method=PUT&name=x").is(200).has(map[string]string{"name": `"x"`})
		s.with("Content-Type", "application/x-www-form-urlencoded").post("/v1/accounts/1a1", "_method=PUT&name=y").is(200).has(map[string]string{"name": `"y"`})
		form := s.with("Content-Type", "application/x-www-form-urlencoded")
		form.send("PUT", "/v1/accounts/1a1", "_method=GET&name=z").is(200).has(map[string]string{"name": `"y"`})
		form.send("PUT", "/v1/accounts/1", "_plainId=true&name=z").is(200).has(map[string]string{"name": `"z"`, "id": `"1"`})
		form.send("PUT", "/v1/accounts/1?_plainId=false", "_plainId=true").is(404) // the query decides
		if got := form.send("PUT", "/v1/accounts/1a1", "_format=html").is(200).header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			s.t.Errorf("a form that asks for a page gets %s", got)
		}
	})
}

// The oldest clients do not say which server they ask: links lead to the one that
// they have reached.
func TestLinksLeadBackForThoseWhoNameNoHost(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.app.Listener(ln) }()
	t.Cleanup(func() { _ = s.app.Shutdown() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /v1/hosts HTTP/1.0\r\n\r\n")
	text, err := io.ReadAll(conn)
	if want := `"links":{"self":"http://` + ln.Addr().String() + `/v1/hosts"}`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s is not in %s %v", want, text, err)
	}
}

func TestEveryAnswerCarriesTheSchemasHeader(t *testing.T) {
	stories(t, func(s *server) {
		for _, p := range []string{"/v1", "/v1/hosts", "/v1/hosts/1h9", "/v9"} {
			a := s.get(p)
			if got := a.header.Get("X-API-Schemas"); got != "http://h/v1/schemas" {
				t.Errorf("%s has X-API-Schemas %q", p, got)
			}
			if got := a.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("%s has Content-Type %q", p, got)
			}
		}
		if ip := s.with("X-Forwarded-For", "10.1.2.3").get("/v1").header.Get("X-API-Client-IP"); ip != "10.1.2.3" {
			t.Errorf("the client has address %q", ip)
		}
		if s.get("/ping").text != "pong" {
			t.Error("no pong")
		}
	})
}

const browser = "Mozilla/5.0"

func TestBrowsersGetThePage(t *testing.T) {
	stories(t, func(s *server) {
		b := s.with("User-Agent", browser).with("Accept", "text/html,*/*;q=0.8")
		page := b.get("/v1/hosts/1h77").is(404)
		for _, want := range []string{"var user = \"admin\";", "var schemas=\"http://h/v1/schemas\";", "var docJson = 'http://h/v1/typedocumentations';", `var data = {"id":`, `"code":"Not Found"`, "/static/explorer.js"} {
			if !strings.Contains(page.text, want) {
				t.Errorf("the page lacks %s:\n%s", want, page.text)
			}
		}
		if got := page.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("the page is %s", got)
		}
		if page = b.get("/v1"); !strings.Contains(page.text, `"self":"http:\/\/h\/v1"`) {
			t.Errorf("slashes of the data are not escaped: %s", page.text)
		}
		s.make("/v1/accounts", `{"name":"</script><script>alert(1)</script>","kind":"user"}`)
		if page = b.get("/v1/accounts"); strings.Contains(page.text, "</script><script>alert") {
			t.Error("a name leaves its string")
		}
		for name, c := range map[string]*server{
			"json asked for": s.with("User-Agent", browser).with("Accept", "application/json"),
			"no browser":     s.with("Accept", "*/*"),
		} {
			if !strings.HasPrefix(c.get("/v1").header.Get("Content-Type"), "application/json") {
				t.Errorf("%s: no JSON", name)
			}
		}
		if !strings.HasPrefix(b.get("/v1?_format=JSON").header.Get("Content-Type"), "application/json") || !strings.HasPrefix(s.get("/v1?_format=html").header.Get("Content-Type"), "text/html") {
			t.Error("_format does not decide")
		}
		if a := b.get("/").is(302); a.header.Get("Location") != "/static/" {
			t.Errorf("/ leads to %s", a.header.Get("Location"))
		}
		s.get("/static/explorer.js").is(200)
		s.get("/static/explorer.css").is(200)
		for _, page := range []string{"/static/", "/static", "/static/index.html", "/static/hosts/1h1", "/static/vnc.html?path=a&host=b", "/static/logs.html"} {
			got := s.get(page).is(200).header
			if !strings.HasPrefix(got.Get("Content-Type"), "text/html") {
				t.Errorf("%s is %s", page, got.Get("Content-Type"))
			}
			if policy := got.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") || got.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s may do what other pages make it do: %v", page, got)
			}
		}
		s.get("/static/nothing.js").is(404)
	})
}

func TestForeignPagesCannotUseABrowser(t *testing.T) {
	stories(t, func(s *server) {
		b := s.with("User-Agent", browser).with("Accept", "application/json")
		cookie := b.get("/v1").header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "CSRF=") || len(strings.Split(strings.TrimPrefix(cookie, "CSRF="), ";")[0]) != 32 || strings.Contains(strings.ToLower(cookie), "samesite") {
			t.Fatalf("the cookie is %q", cookie)
		}
		if s.get("/v1").header.Get("Set-Cookie") != "" {
			t.Error("a program got a cookie")
		}
		b.post("/v1/hosts", "{}").is(201) // without any cookie
		known := b.with("Cookie", "CSRF=ABC")
		known.post("/v1/hosts", "{}").fails(403, "InvalidCSRFToken", "-")
		known.get("/v1/hosts?_method=post").fails(403, "InvalidCSRFToken", "-")
		if got := known.with("X-API-CSRF", "ABC").post("/v1/hosts", "{}").is(201).header.Get("Set-Cookie"); !strings.HasPrefix(got, "CSRF=ABC;") {
			t.Errorf("the cookie became %q", got)
		}
		known.get("/v1/hosts").is(200)
		for _, path := range []string{"/v1/hosts?_method=PATCH", "/v1/nothing", "/v9"} { // also what is refused brings one
			if a := b.post(path, "{}"); a.code < 400 || !strings.HasPrefix(a.header.Get("Set-Cookie"), "CSRF=") {
				t.Errorf("%s answers %d with the cookie %q", a.what, a.code, a.header.Get("Set-Cookie"))
			}
		}
		known.send("PATCH", "/v1/hosts", "").fails(403, "InvalidCSRFToken", "-")
	})
}

func TestErrorsHaveTheirShape(t *testing.T) {
	stories(t, func(s *server) {
		a := s.get("/v1/nothing").fails(404, "Not Found", "-")
		a.has(map[string]string{"links": "{}", "actions": "{}", "message": `"Not Found"`, "detail": "null"})
		if len(a.str("id")) != 36 {
			t.Errorf("the error has id %v", a.at("id"))
		}
		s.post("/v1/hosts", "nonsense").fails(400, "InvalidBodyContent", "-")
		s.post("/v1/containers", "{}").fails(422, "MissingRequired", "imageUuid").has(map[string]string{"message": "null"})
		big := s.with("Content-Type", "multipart/form-data; boundary=x")
		big.post("/v1/agents", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"+strings.Repeat("a", 110<<10)+"\r\n--x--\r\n").is(413)
	})
}

func TestTheAddressOfARequestMayBeOverridden(t *testing.T) {
	stories(t, func(s *server) {
		c := s.with("X-API-request-url", "https://front/v1/hosts?limit=7").with("X-API-client-ip", "10.9.9.9")
		c.get("/v1").has(map[string]string{"id": `"v1"`})
		s.settings.SetDatabase(map[string]string{"api.allow.client.override": "true"})
		a := c.get("/v1").has(map[string]string{"resourceType": `"host"`, "links.self": `"https://front/v1/hosts"`, "pagination.limit": "7"})
		if a.header.Get("X-API-Client-IP") != "10.9.9.9" {
			t.Errorf("the client has address %s", a.header.Get("X-API-Client-IP"))
		}
	})
}
