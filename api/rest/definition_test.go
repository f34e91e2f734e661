package rest_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// The graphs come over the network as each kind of caller asks for them.
func TestGraphsComeAsTheCallerReadsThem(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.app.Listener(listener) }()
	t.Cleanup(func() { _ = s.app.Shutdown() })
	const chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
	const embed = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
	for _, story := range []struct{ name, query, accept, agent, want string }{
		{"a program", "", "", "curl/8", "text/plain"},
		{"a program that takes anything", "", "*/*", "curl/8", "text/plain"},
		{"a program that wants a picture", "", "image/svg+xml", "curl/8", "image/svg+xml"},
		{"a program that wants any picture", "", "image/*;q=0.5", "curl/8", "image/svg+xml"},
		{"a program that would rather have text", "", "image/svg+xml;q=0.4, text/plain", "curl/8", "text/plain"},
		{"a program that wants no picture", "", "image/svg+xml;q=0", "curl/8", "text/plain"},
		{"a browser", "", chrome, "Mozilla/5.0", "text/html"},
		{"a browser that asks for a picture", "?_format=svg", chrome, "Mozilla/5.0", "image/svg+xml"},
		{"a page in a browser that shows a picture", "", embed, "Mozilla/5.0", "image/svg+xml"},
		{"a browser that names pictures beside pages", "", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8", "Mozilla/5.0", "text/html"},
		{"a browser that also accepts pictures", "", "text/html,image/svg+xml;q=0.9,*/*;q=0.8", "Mozilla/5.0", "text/html"},
	} {
		for _, path := range []string{"/v1/processdefinitions/1pd!instance.restart/processdot", "/v1/resourcedefinitions/1rd!instance/resourcedot"} {
			req, _ := http.NewRequest("GET", "http://"+listener.Addr().String()+path+story.query, nil)
			req.Header.Set("Accept", story.accept)
			req.Header.Set("User-Agent", story.agent)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(got, story.want) {
				t.Errorf("%s gets %d %s, not %s", story.name, resp.StatusCode, got, story.want)
			}
			if resp.Header.Get("Vary") != "Accept" {
				t.Errorf("%s is not told what the answer depends on", story.name)
			}
			if story.want != "text/plain" && (!strings.Contains(string(body), "<svg") || !strings.Contains(string(body), ">restarting</text>")) {
				t.Errorf("%s gets no picture: %.300s", story.name, body)
			}
			if story.want == "text/plain" && !strings.Contains(string(body), "\"running\" -> \"restarting\" [label=\"instance.restart\" style=dotted") {
				t.Errorf("%s gets no graph: %.300s", story.name, body)
			}
		}
	}
}

// outsider is a handler from outside for some lists; its rows stand in the given state.
func (s *server) outsider(name, state string, values map[string]any, lists ...string) {
	s.t.Helper()
	err := s.store.Write(context.Background(), "test", func(tx *store.Tx) error {
		insert := func(typ string, values map[string]any) (int64, error) {
			row := store.NewRow(resource.All.Type(typ), 1, values)
			row.Set("state", state)
			err := tx.Insert(context.Background(), row)
			return row.ID(), err
		}
		values["name"] = name
		handler, err := insert("externalHandler", values)
		if err != nil {
			return err
		}
		for _, list := range lists {
			process, err := insert("externalHandlerProcess", map[string]any{"name": list})
			if err != nil {
				return err
			}
			if _, err := insert("externalHandlerExternalHandlerProcessMap", map[string]any{"externalHandlerId": handler, "externalHandlerProcessId": process}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestHandlersFromOutsideStandAmongTheImplementations(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		s := newServer(t, address, func(c *rest.Config) {
			c.Handlers = func(process, list string) []rest.Implementation {
				if process == "instance.start" && list == "handlers" {
					return []rest.Implementation{{Name: "Start", ClassName: "handler.Start", Priority: 1000, Properties: map[string]any{"name": "Start"}}}
				}
				return nil
			}
		})
		s.outsider("late", "active", map[string]any{"priority": int64(1000), "retries": int64(2), "timeoutMillis": int64(1500)}, "instance.start", "pre.instance.start")
		s.outsider("early", "active", map[string]any{"priorityName": "pre"}, "instance.start")
		s.outsider("off", "inactive", map[string]any{}, "instance.start")
		want := map[string]string{
			"implementations.0.name":       `"Dynamic : early"`,
			"implementations.0.properties": `{"eventName":"instance.start;handler=early","name":"early","priority":"500","retry":null,"timeoutMillis":null}`,
			"implementations.1.name":       `"Start"`,
			"implementations.2.name":       `"Dynamic : late"`,
			"implementations.2.properties": `{"eventName":"instance.start;handler=late","name":"late","priority":"1000","retry":"2","timeoutMillis":"1500"}`,
		}
		s.get("/v1/extensionpoints/process.instance.start.handlers").is(200).has(want)
		def := s.get("/v1/processdefinitions/1pd!instance.start").is(200)
		for path, value := range want {
			def.has(map[string]string{"processHandlers." + path: value})
		}
		if strings.Contains(def.text, "Dynamic : off") {
			t.Error("a handler that is not in effect is listed")
		}
		def.has(map[string]string{"preProcessListeners.implementations.0.name": `"Dynamic : late"`,
			"preProcessListeners.implementations.0.properties": `{"eventName":"pre.instance.start;handler=late","name":"late","priority":"1000","retry":"2","timeoutMillis":"1500"}`,
			"postProcessListeners.implementations":             "[]"})
		if dot := s.get("/v1/processdefinitions/1pd!instance.start/processdot"); !strings.Contains(dot.text, "logic=Dynamic : early,Start,Dynamic : late") {
			t.Errorf("the graph does not name them: %s", dot.text)
		}
	})
}
