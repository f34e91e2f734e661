package rest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// server is an API over a database of its own. No engine runs: what is created
// stays on the way.
type server struct {
	t        *testing.T
	app      *fiber.App
	store    *store.Store
	settings *config.Settings
	keys     string // user:password sent along, "" for none
	headers  map[string]string
	seenBy   func(*http.Request, *http.Response, []byte) // holds what passes against something
}

// stories runs a story on every database.
func stories(t *testing.T, story func(*server)) {
	t.Helper()
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		story(newServer(t, address, func(*rest.Config) {}))
	})
}

func newServer(t *testing.T, address string, change func(*rest.Config)) *server {
	t.Helper()
	settings, err := config.Load(nil, nil, t.TempDir(), map[string]string{"task.agent.ping.schedule": "5"})
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Store(t, address)
	c := rest.Config{Store: s, Settings: settings, ServerID: "here"}
	change(&c)
	api := rest.New(c)
	app := fiber.New(fiber.Config{ErrorHandler: api.Error, DisableStartupMessage: true, BodyLimit: 1 << 20})
	api.Mount(app)
	return &server{t: t, app: app, store: s, settings: settings}
}

// as returns the same server asked with other credentials.
func (s *server) as(keys string) *server {
	c := *s
	c.keys = keys
	return &c
}

// with returns the same server asked with one more header.
func (s *server) with(name, value string) *server {
	c := *s
	c.headers = map[string]string{name: value}
	for k, v := range s.headers {
		c.headers[k] = v
	}
	return &c
}

// answer is what came back.
type answer struct {
	t      *testing.T
	what   string
	code   int
	header http.Header
	text   string
	body   map[string]any
}

func (s *server) send(method, path, body string) *answer {
	s.t.Helper()
	req := httptest.NewRequest(method, "http://h"+path, strings.NewReader(body))
	req.Header.Del("Content-Type")
	for k, v := range s.headers {
		req.Header.Set(k, v)
	}
	if s.keys != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.keys)))
	}
	resp, err := s.app.Test(req, 30_000)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.seenBy != nil {
		req.Body = io.NopCloser(strings.NewReader(body))
		s.seenBy(req, resp, text)
	}
	a := &answer{t: s.t, what: method + " " + path, code: resp.StatusCode, header: resp.Header, text: string(text)}
	dec := json.NewDecoder(strings.NewReader(a.text))
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := dec.Decode(&a.body); err != nil {
			s.t.Fatalf("%s %s answered what is no JSON: %v\n%s", method, path, err, text)
		}
	}
	return a
}

func (s *server) get(path string) *answer { s.t.Helper(); return s.send("GET", path, "") }

func (s *server) post(path, body string) *answer { s.t.Helper(); return s.send("POST", path, body) }

// make posts a resource and returns it.
func (s *server) make(path, body string) *answer {
	s.t.Helper()
	return s.post(path, body).is(201)
}

func (a *answer) is(code int) *answer {
	a.t.Helper()
	if a.code != code {
		a.t.Fatalf("%s answered %d instead of %d: %.500s", a.what, a.code, code, a.text)
	}
	return a
}

// fails expects an error with a code and, unless it is "-", a field.
func (a *answer) fails(status int, code, field string) *answer {
	a.t.Helper()
	a.is(status)
	if a.body["code"] != code || a.body["type"] != "error" || a.body["status"] != float64(status) {
		a.t.Fatalf("%s failed with %s", a.what, a.text)
	}
	got, ok := a.body["fieldName"]
	switch {
	case field == "-" && ok, field != "-" && !ok, field == "null" && got != nil, field != "-" && field != "null" && got != field:
		a.t.Fatalf("%s failed with fieldName %v (%v) instead of %s", a.what, got, ok, field)
	}
	return a
}

// at follows a path of keys and indexes separated by dots.
func (a *answer) at(path string) any {
	a.t.Helper()
	var v any = a.body
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				a.t.Fatalf("%s has no %s: %.500s", a.what, path, a.text)
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (a *answer) str(path string) string {
	a.t.Helper()
	s, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("%s has no text %s: %.800s", a.what, path, a.text)
	}
	return s
}

// has expects values at paths, written as JSON.
func (a *answer) has(want map[string]string) *answer {
	a.t.Helper()
	for path, w := range want {
		got, _ := json.Marshal(a.at(path))
		if string(got) != w {
			a.t.Errorf("%s: %s is %s instead of %s", a.what, path, got, w)
		}
	}
	return a
}

func (a *answer) ids() []string {
	a.t.Helper()
	var out []string
	for _, item := range a.body["data"].([]any) {
		out = append(out, item.(map[string]any)["id"].(string))
	}
	return out
}

// row inserts a row as the engine would have left it.
func (s *server) row(typ string, values map[string]any) int64 {
	s.t.Helper()
	ctx := context.Background()
	row := store.NewRow(resource.All.Type(typ), 1400000000000, values)
	if err := s.store.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
		s.t.Fatal(err)
	}
	return row.ID()
}

// account makes an active account of a kind with a key and returns its id and
// credentials.
func (s *server) account(kind string) (int64, string) {
	s.t.Helper()
	id := s.row("account", map[string]any{"kind": kind, "state": "active", "name": kind})
	key := fmt.Sprintf("KEY%d", id)
	s.row("credential", map[string]any{"kind": "apiKey", "state": "active", "accountId": id, "publicValue": key, "secretValue": "secret"})
	return id, key + ":secret"
}

type configOf = rest.Config

// embedded is a server on SQLite with a changed configuration.
func embedded(t *testing.T, change func(*configOf)) *server {
	t.Helper()
	return newServer(t, filepath.Join(t.TempDir(), "cattle.db"), change)
}
