package engine_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// front is the API of a world, asked by one account.
type front struct {
	w        *world
	app      *fiber.App
	settings *config.Settings
	keys     string
}

// fronts runs a story on both databases with a worker and the API.
func fronts(t *testing.T, story func(t *testing.T, w *world, f *front)) {
	t.Helper()
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		w.container(nil) // stages the image
		w.work(w.worker())
		story(t, w, w.front())
	})
}

func (w *world) front() *front {
	w.t.Helper()
	settings, err := config.Load(nil, nil, w.t.TempDir(), defaults())
	if err != nil {
		w.t.Fatal(err)
	}
	api := rest.New(rest.Config{Store: w.store, Settings: settings, ServerID: "api", Log: slog.New(slog.DiscardHandler)})
	app := fiber.New(fiber.Config{ErrorHandler: api.Error, DisableStartupMessage: true})
	api.Mount(app)
	return &front{w: w, app: app, settings: settings}
}

// as makes an account of a kind and asks as that one.
func (f *front) as(kind string) (int64, *front) {
	f.w.t.Helper()
	row := func(typ string, values map[string]any) int64 {
		r := store.NewRow(resource.All.Type(typ), 1, values)
		if err := f.w.store.Write(f.w.ctx, "row", func(tx *store.Tx) error { return tx.Insert(f.w.ctx, r) }); err != nil {
			f.w.t.Fatal(err)
		}
		return r.ID()
	}
	id := row("account", map[string]any{"kind": kind, "state": "active", "name": kind})
	key := fmt.Sprintf("KEY%d", id)
	row("credential", map[string]any{"kind": "apiKey", "state": "active", "accountId": id, "publicValue": key, "secretValue": "secret"})
	other := *f
	other.keys = key + ":secret"
	return id, &other
}

// told is an answer of the API.
type told struct {
	t    *testing.T
	what string
	code int
	text string
	body any
}

func (f *front) send(method, path, body string) *told {
	f.w.t.Helper()
	req := httptest.NewRequest(method, "http://h"+path, strings.NewReader(body))
	if f.keys != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(f.keys)))
	}
	resp, err := f.app.Test(req, 60_000)
	if err != nil {
		f.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.w.t.Fatal(err)
	}
	a := &told{t: f.w.t, what: method + " " + path, code: resp.StatusCode, text: string(text)}
	if err := json.Unmarshal(text, &a.body); err != nil {
		f.w.t.Fatalf("%s answered %q", a.what, text)
	}
	return a
}

func (a *told) is(code int) *told {
	a.t.Helper()
	if a.code != code {
		a.t.Fatalf("%s answered %d instead of %d: %s", a.what, a.code, code, a.text)
	}
	return a
}

// refused expects an error with a code, and the field it names.
func (a *told) refused(status int, code, field string) *told {
	a.t.Helper()
	a.is(status)
	if a.at("code") != code || field != "" && a.at("fieldName") != field {
		a.t.Fatalf("%s is refused so: %s", a.what, a.text)
	}
	return a
}

// at follows keys and indexes separated by dots.
func (a *told) at(path string) any {
	v := a.body
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (a *told) str(path string) string { s, _ := a.at(path).(string); return s }

// says expects texts at paths; each is contained in what is there.
func (a *told) says(want map[string]string) *told {
	a.t.Helper()
	for path, text := range want {
		got := fmt.Sprint(a.at(path))
		if !strings.Contains(got, text) {
			a.t.Errorf("%s: %s is %q and says nothing of %q\n%s", a.what, path, got, text, a.text)
		}
	}
	return a
}

// offers expects exactly these ways out, in the map and with words.
func (a *told) offers(names ...string) *told {
	a.t.Helper()
	var listed, mapped []string
	ways, _ := a.at("waiting.actions").([]any)
	for i, way := range ways {
		listed = append(listed, fmt.Sprint(way.(map[string]any)["name"]))
		if does := a.str(fmt.Sprintf("waiting.actions.%d.does", i)); len(does) < 20 {
			a.t.Errorf("%s does %q", listed[i], does)
		}
	}
	for name := range a.at("actions").(map[string]any) {
		mapped = append(mapped, name)
	}
	for _, l := range [][]string{listed, mapped, names} {
		slices.Sort(l)
	}
	if !slices.Equal(listed, names) || !slices.Equal(mapped, names) {
		a.t.Errorf("%s offers %v and %v instead of %v: %s", a.what, listed, mapped, names, a.text)
	}
	return a
}

// pending finds the process of a resource that has not ended.
func (w *world) pending(row *schema.Row, name string) *schema.Row {
	w.t.Helper()
	rows := w.find("processInstance", process.Match{"resourceType": row.Type().Name, "resourceId": row.Key(), "processName": name, "endTime": nil})
	if len(rows) != 1 {
		w.t.Fatalf("%d processes %s are pending: %s", len(rows), name, w.processes(row))
	}
	return rows[0]
}

func pathOf(p *schema.Row) string { return "/v1/processinstances/1pi" + p.Key() }

func (f *front) process(p *schema.Row) *told {
	f.w.t.Helper()
	return f.send("GET", pathOf(p), "").is(200)
}

func (f *front) order(p *schema.Row, action, body string) *told {
	f.w.t.Helper()
	return f.send("POST", pathOf(p)+"/?action="+action, body)
}

func (f *front) why(row *schema.Row) *told {
	f.w.t.Helper()
	t := resource.All.Of(row)
	return f.send("POST", fmt.Sprintf("/v1/%s/%s/?action=why", strings.ToLower(t.Plural), t.Obfuscate(row.Key())), "{}")
}

// change writes what no part of the system would, as time or a hand does.
func (w *world) change(query string, args ...any) {
	w.t.Helper()
	db := w.raw()
	if _, err := db.Exec(query, args...); err != nil {
		w.t.Fatal(err)
	}
}

// aged lets a process look as if it had been under way for long.
func (w *world) aged(p *schema.Row) {
	w.t.Helper()
	w.change("update process_instance set start_time = 1 where id = " + p.Key())
}
