package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/testkit"
)

// fuzzed is a server with a row of a few types, for whatever may be sent to it.
func fuzzed(f *testing.F) *fiber.App {
	f.Helper()
	settings, err := config.Load(nil, nil, f.TempDir(), nil)
	if err != nil {
		f.Fatal(err)
	}
	taken := func(c *fiber.Ctx, _ auth.Caller) error { // what a gateway does begins behind what is checked here
		if rest.Input(c) == nil {
			return errors.New("no input")
		}
		return c.SendStatus(201)
	}
	api := rest.New(rest.Config{Store: testkit.Store(f, f.TempDir()+"/cattle.db"), Settings: settings, ServerID: "here", Subscribe: taken, Publish: taken})
	app := fiber.New(fiber.Config{ErrorHandler: api.Error, DisableStartupMessage: true, BodyLimit: 1 << 20})
	api.Mount(app)
	for path, body := range map[string]string{"hosts": `{"name":"h"}`, "networks": "{}", "containers": `{"imageUuid":"sim:x","name":"c"}`, "externalhandlers": `{"processNames":["a"]}`} {
		if code := sent(f, app, "POST", "/v1/"+path, "", body); code != 201 {
			f.Fatalf("a row of %s is refused with %d", path, code)
		}
	}
	return app
}

// sent sends a request and expects an answer that is none of our failures, and JSON
// unless it is something else by its type. It returns the status, 0 for what is no
// request at all.
func sent(t testing.TB, app *fiber.App, method, path, kind, body string) int {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.ContainsAny(path, " \r\n\x00") || u.Host != "" {
		return 0 // a server of HTTP does not let it through
	}
	req := httptest.NewRequest(method, "http://h/", strings.NewReader(body))
	req.URL = u
	req.RequestURI = path
	if kind != "" && !strings.ContainsAny(kind, "\r\n") {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := app.Test(req, 10_000)
	if err != nil {
		if strings.Contains(err.Error(), "timeout") {
			t.Fatalf("%s %q hangs", method, path)
		}
		return 0
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 && resp.StatusCode != 503 {
		t.Fatalf("%s %q %q %q answers %d", method, path, kind, body, resp.StatusCode)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		var v any
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
			t.Fatalf("%s %q answers what is no JSON: %v", method, path, err)
		}
	}
	return resp.StatusCode
}

// ids as they may stand in a path, a filter and a reference.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"1h1", "1", "1h!1", "h1", "1x99999999999999999999", "-1", "1h-1", "1h1/../..", "1!", "", "1as!a.b", "1pd!instance.start", "%00", "1h1%2f", "\u00e4", "1h 1", "9223372036854775807"} {
		f.Add(id)
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, id string) {
		path := url.PathEscape(id)
		for _, typ := range []string{"hosts", "containers", "settings", "activesettings", "processdefinitions", "resourcedefinitions", "schemas", "accounts", "scripts", "configcontent"} {
			sent(t, app, "GET", "/v1/"+typ+"/"+path, "", "")
			sent(t, app, "GET", "/v1/"+typ+"/"+path+"?_plainId=true", "", "")
		}
		sent(t, app, "GET", "/v1/containers?id="+url.QueryEscape(id)+"&accountId="+url.QueryEscape(id), "", "")
		b, _ := json.Marshal(map[string]any{"imageUuid": "sim:x", "requestedHostId": id, "validHostIds": []string{id}})
		sent(t, app, "POST", "/v1/containers", "", string(b))
		sent(t, app, "POST", "/v1/hosts/"+path+"/?action=activate", "", "{}")
	})
}

func FuzzPaths(f *testing.F) {
	for _, path := range []string{"/", "/v1", "/V1", "//v1//hosts//", "/v1/hosts/1h1/agent", "/v1/hosts/1h1/instances", "/v1/hosts/1h1/a/b/c", "/v1/%68osts", "/v1/hosts;x", "/v1/../v1", "/v1/scripts/a:1:b",
		"/v1/processdefinitions/1pd!instance.start/processdot", "/v1/resourcedefinitions/1rd!instance/resourcedot", "/static/../x", "/v1/schemas/HOSTS/x", "/v1/%ff", "/v1/extensionpoints/x"} {
		f.Add("GET", path)
	}
	f.Add("POST", "/v1/hosts/1h1/?action=activate")
	f.Add("PUT", "/v1/hosts/1h1")
	f.Add("DELETE", "/v1/hosts/1h1")
	f.Add("PATCH", "/v1")
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, method, path string) {
		switch method {
		case "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS":
		default:
			method = "GET"
		}
		sent(t, app, method, "/"+strings.TrimLeft(path, "/"), "", "{}")
	})
}

func FuzzFilters(f *testing.F) {
	for _, query := range []string{"name=a", "name_like=%25a%25", "name_like=%5C", "id_gt=1", "created_lt=2014-01-01T00:00:00Z", "created_gte=99999999999999999999", "isPublic=True", "accountId=1a1", "removed_null", "state_ne=x",
		"sort=name&order=desc", "limit=-1", "limit=99999999999999999999", "include=instanceHostMaps&include=agent", "name_prefix=%00", "name=%ff", "_plainId", "_method=DELETE", "_format=html", "%zz=%zz", "=&&=", "name_=x", "_name=x", "computeFree_lte=1e9"} {
		f.Add(query)
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, query string) {
		for _, typ := range []string{"hosts", "containers", "processinstances", "settings", "accounts/1a1/hosts"} {
			sent(t, app, "GET", "/v1/"+typ+"?"+query, "", "")
		}
	})
}

func FuzzMarkers(f *testing.F) {
	for _, at := range []string{`{"i":1}`, `{"v":"a","i":1}`, `{"v":1,"i":-1}`, `{"v":null}`, `{"v":{},"i":1}`, `{"m":"m","r":1,"s":1}`, `{"r":-1}`, `{"v":true,"i":1}`, `{"v":1e99}`, `[]`, "x", ""} {
		f.Add(at, "name", uint8(0))
		f.Add(at, "created", uint8(1))
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, at, sort string, form uint8) {
		marker := at
		switch form % 3 {
		case 1:
			marker = "m" + base64.RawURLEncoding.EncodeToString([]byte(at))
		case 2:
			marker = "mi" + base64.RawURLEncoding.EncodeToString([]byte(at))
		}
		query := "limit=1&marker=" + url.QueryEscape(marker) + "&sort=" + url.QueryEscape(sort)
		sent(t, app, "GET", "/v1/hosts?"+query, "", "")
		sent(t, app, "GET", "/v1/hosts?order=desc&include=instanceHostMaps&"+query, "", "")
		sent(t, app, "GET", "/v1/accounts/1a1/hosts?"+query, "", "")
	})
}

// bodies begin as JSON, as forms and as forms of parts.
var bodies = []struct{ kind, body string }{
	{"", `{"name":"a","imageUuid":"sim:x","environment":{"a":"b"},"ports":["1:2/tcp"],"data":{"fields":{"x":[1]}}}`},
	{"application/json", `{"networkAddress":"10.0.0.0","cidrSize":25,"networkId":"1n1"}`},
	{"", `{"name":null,"isPublic":"yes","computeFree":1e9,"created":"2014-01-01T00:00:00Z"}`},
	{"", `[1,2]`}, {"", `{"a":`}, {"", `"\ud800"`}, {"", "{\"name\":\"a\x00b\"}"}, {"", `{"name":{"name":{}}}`},
	{"application/x-www-form-urlencoded", "name=a&processNames=a&processNames=b&imageUuid=sim:x"},
	{"application/x-www-form-urlencoded", "%zz=1&&=&_method=PUT"},
	{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\na\r\n--x--\r\n"},
	{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\na\r\n--x"},
	{"multipart/form-data", "--"},
}

func FuzzBodies(f *testing.F) {
	for _, b := range bodies {
		f.Add(b.kind, b.body)
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, kind, body string) {
		for _, typ := range []string{"containers", "hosts", "subnets", "externalhandlers", "agents", "images", "settings", "register", "credentials", "instancelinks"} {
			sent(t, app, "POST", "/v1/"+typ, kind, body)
		}
		sent(t, app, "PUT", "/v1/hosts/1h1", kind, body)
		sent(t, app, "PUT", "/v1/containers/1i1", kind, body)
		sent(t, app, "POST", "/v1/containers/1i1/?action=stop", kind, body)
		sent(t, app, "POST", "/v1/accounts/1a1/credentials", kind, body)
	})
}

func FuzzEvents(f *testing.F) {
	for _, b := range bodies {
		f.Add(b.kind, b.body)
	}
	for _, body := range []string{`{"name":"reply.x","previousIds":["a"],"data":{"+data":{}},"resourceId":"1i1","resourceType":"instance","time":1,"transitioningProgress":50}`,
		`{"name":"config.update;agent=1"}`, `{"name":";=;","previousIds":[[["a"]]],"time":"x"}`, `{"name":"a","data":null}`} {
		f.Add("", body)
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, kind, body string) { sent(t, app, "POST", "/v1/publish", kind, body) })
}

func FuzzSubscriptions(f *testing.F) {
	for _, names := range []string{"ping", "resource.change", "instance.start;handler=demo", "*", "a*", "", "\x00", "a b", strings.Repeat("a", 5000), ";agent=1;agent=2"} {
		f.Add(names, "1a1", "instanceHostMaps")
	}
	app := fuzzed(f)
	f.Fuzz(func(t *testing.T, names, agent, include string) {
		query := fmt.Sprintf("eventNames=%s&agentId=%s&include=%s", url.QueryEscape(names), url.QueryEscape(agent), url.QueryEscape(include))
		sent(t, app, "GET", "/v1/subscribe?"+query, "", "")
		sent(t, app, "POST", "/v1/subscribe", "application/x-www-form-urlencoded", query)
		b, _ := json.Marshal(map[string]any{"eventNames": []string{names}, "agentId": agent})
		sent(t, app, "POST", "/v1/subscribe", "", string(b))
	})
}
