package rest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
)

func TestSettings(t *testing.T) {
	stories(t, func(s *server) {
		path := "/v1/activesettings/"
		s.get("/v1/settings").is(200).has(map[string]string{"resourceType": `"setting"`, "pagination": "null", "data.0.type": `"activeSetting"`,
			"data.0.id": `"1as!task.agent.ping.schedule"`, "data.0.value": `"5"`, "data.0.inDb": "false", "data.0.source": `"Code Packaged Defaults"`,
			"data.0.links.self": `"http://h/v1/activesettings/1as!task.agent.ping.schedule"`})
		s.get(path + "task.agent.ping.schedule").has(map[string]string{"value": `"5"`})
		s.get(path + "1as!TASK.agent.ping.schedule").has(map[string]string{"name": `"task.agent.ping.schedule"`})
		s.get(path + "unknown").is(200).has(map[string]string{"value": "null", "activeValue": "null", "source": "null", "inDb": "false", "id": `"1as!unknown"`})
		a := s.send("PUT", path+"1as!task.agent.ping.schedule", `{"value":"9"}`).is(200).has(map[string]string{"value": `"9"`, "activeValue": `"9"`, "inDb": "true", "source": `"Database"`})
		if s.settings.Get("task.agent.ping.schedule") != "9" {
			t.Error("the setting is not in force")
		}
		s.get(path + a.str("id")).has(map[string]string{"name": `"task.agent.ping.schedule"`, "value": `"9"`})
		s.get("/v1/settings/" + a.str("id")).has(map[string]string{"value": `"9"`})
		s.send("DELETE", path+a.str("id"), "").is(200)
		s.get(path + "task.agent.ping.schedule").has(map[string]string{"value": `"5"`, "inDb": "false"})
		made := s.make("/v1/settings", `{"name":"event.data.imageStoragePoolMap","value":"x"}`).has(map[string]string{"name": `"event.data.imageStoragePoolMap"`, "value": `"x"`})
		s.send("PUT", path+"EVENT.data.imagestoragepoolmap", `{"value":"y"}`).has(map[string]string{"id": `"` + made.str("id") + `"`, "value": `"y"`})
		s.send("PUT", path+"new.one", `{"value":"z"}`).has(map[string]string{"value": `"z"`, "inDb": "true"})
		s.send("PUT", path+"new.one", `{"value":null}`).fails(422, "NotNullable", "value")
		s.get(path + "new.one").has(map[string]string{"value": `"z"`})
		s.post("/v1/settings", `{"value":"x"}`).fails(422, "MissingRequired", "name")
		s.get(path + "1as999").is(404)
		s.get("/v1/activesettings").is(405)
	})
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(c *configOf) {
		c.Handlers = func(process, list string) []rest.Implementation {
			if process == "instance.restart" && list == "handlers" {
				return []rest.Implementation{{Name: "Restart", ClassName: "handler.Restart", Priority: 500, Properties: map[string]any{"name": "Restart", "priority": "500"}}}
			}
			return nil
		}
	})
	s.settings.SetDatabase(map[string]string{"process.instance.restart.handlers.exclude": "Other"})
	for _, id := range []string{"instance.restart", "1pd!instance.restart"} {
		s.get("/v1/processDefinitions/" + id).is(200).has(map[string]string{
			"id": `"1pd!instance.restart"`, "name": `"instance.restart"`, "extensionBased": "true", "resourceType": `"instance"`,
			"links.self":                   `"http://h/v1/processdefinitions/1pd!instance.restart"`,
			"stateTransitions.0.type":      `"TRANSITIONING"`,
			"stateTransitions.0.fromState": `"running"`, "stateTransitions.0.toState": `"restarting"`, "stateTransitions.1.type": `"DONE"`, "stateTransitions.1.field": `"state"`,
			"processHandlers.implementations.0.properties": `{"name":"Restart","priority":"500"}`,
			"processHandlers.excludeSetting":               `"Other"`, "processHandlers.listSetting": "null", "preProcessListeners.name": `"process.instance.restart.pre.listeners"`})
	}
	s.get("/v1/processdefinitions/nothing").is(404)
	s.get("/v1/resourcedefinitions/1rd!instancehostmap").is(200).has(map[string]string{"id": `"1rd!instanceHostMap"`})
	p := s.get("/v1/resourcedefinitions/1rd!instance/processes").is(200).has(map[string]string{"resourceType": `"resourceDefinition"`, "pagination": "null", "data.0.type": `"processDefinition"`})
	if !slices.Contains(p.ids(), "1pd!instance.start") {
		t.Errorf("the processes are %v", p.ids())
	}
	dot := s.get("/v1/processdefinitions/1pd!instance.restart/processDot").is(200)
	if !strings.HasPrefix(dot.header.Get("Content-Type"), "text/plain") || !strings.Contains(dot.text, `digraph "instance.restart" {`) || !strings.Contains(dot.text, "instance.restart[logic=Restart]") {
		t.Errorf("the graph is %s", dot.text)
	}
	if dot = s.get("/v1/resourcedefinitions/1rd!instance/resourcedot").is(200); !strings.Contains(dot.text, `"allocationState:activating"`) || !strings.Contains(dot.text, "instance.start[no-op]") {
		t.Errorf("the graph is %s", dot.text)
	}
	if html := s.get("/v1/resourcedefinitions/1rd!instance/resourcedot?_format=html"); !strings.HasPrefix(html.header.Get("Content-Type"), "text/html") {
		t.Error("browsers get text")
	}
	points := s.get("/v1/extensionpoints").is(200)
	found := false
	for _, point := range points.body["data"].([]any) {
		found = found || point.(map[string]any)["name"] == "process.instance.restart.handlers"
	}
	if !found {
		t.Error("the point of a process is not listed")
	}
	s.get("/v1/typedocumentations").is(200).has(map[string]string{"pagination": "null"})
	s.get("/v1/typedocumentations/INSTANCEHOSTMAPS").is(200).has(map[string]string{"links.self": `"http://h/v1/typedocumentations/instanceHostMap"`})
	s.get("/v1/typedocumentations/container").is(200).has(map[string]string{"id": `"container"`, "description": `"An instance that shares its host's kernel."`})
	s.get("/v1/typeDocumentations/nothing").is(404)
}

func TestTasks(t *testing.T) {
	t.Parallel()
	var ran []string
	s := embedded(t, func(c *configOf) {
		c.RunTask = func(name string) error {
			if name == "broken" {
				return errors.New("no")
			}
			ran = append(ran, name)
			return nil
		}
	})
	id := s.row("task", map[string]any{"name": "agent.ping"})
	broken := s.row("task", map[string]any{"name": "broken"})
	a := s.get(fmt.Sprintf("/v1/tasks/1t%d", id)).has(map[string]string{"actions.execute": fmt.Sprintf(`"http://h/v1/tasks/1t%d/?action=execute"`, id), "links.taskInstances": fmt.Sprintf(`"http://h/v1/tasks/1t%d/taskinstances"`, id)})
	s.post(strings.TrimPrefix(a.str("actions.execute"), "http://h"), "{}").is(200).has(map[string]string{"name": `"agent.ping"`, "type": `"task"`})
	if !slices.Equal(ran, []string{"agent.ping"}) {
		t.Errorf("ran %v", ran)
	}
	s.post(fmt.Sprintf("/v1/tasks/1t%d?action=execute", broken), "{}").fails(500, "Internal Server Error", "-")
}

func TestKeys(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("credential", map[string]any{"kind": "sshKey", "state": "active", "publicValue": "ssh-rsa A", "secretValue": "PRIVATE", "name": "my key"})
		bare := s.row("credential", map[string]any{"kind": "sshKey", "state": "active"})
		pem := s.get(fmt.Sprintf("/v1/sshkeys/1c%d", id)).has(map[string]string{"links.pem": fmt.Sprintf(`"http://h/v1/sshkeys/1c%d/pem"`, id), "secretValue": `"PRIVATE"`}).str("links.pem")
		a := s.get(strings.TrimPrefix(pem, "http://h")).is(200)
		if a.text != "PRIVATE" || a.header.Get("Content-Disposition") != "attachment; filename=my key.pem" || a.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("the file is %q %v", a.text, a.header)
		}
		s.get(fmt.Sprintf("/v1/sshkeys/1c%d", bare)).has(map[string]string{"links.pem": "null"})
		s.get(fmt.Sprintf("/v1/sshkeys/1c%d/pem", bare)).is(404)
		s.row("data", map[string]any{"name": "ssh-client-key1-public", "value": "ssh-rsa SERVER"})
		s.row("data", map[string]any{"name": "hidden", "value": "x", "visible": false})
		if a := s.get("/v1/authorized_keys").is(200); a.text != "ssh-rsa SERVER\n" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("the keys are %q", a.text)
		}
		s.get("/v1/authorized_keys/1").fails(404, "Not Found", "-")
		if n := len(s.get("/v1/datas").ids()); n != 1 {
			t.Errorf("%d data rows are visible", n)
		}
		s.get("/v1/datas/1d2").is(404)
	})
}

func TestRegistration(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("credential", map[string]any{"kind": "registrationToken", "state": "active", "accountId": int64(1), "publicValue": "PUB", "secretValue": "SEC"})
		s.row("credential", map[string]any{"kind": "registrationToken", "state": "registering", "accountId": int64(1)})
		a := s.get(fmt.Sprintf("/v1/registrationtokens/1c%d", id)).is(200)
		token := a.str("token")
		if !strings.HasPrefix(token, "PUB:") || strings.ContainsAny(token, "/=+") || a.str("registrationUrl") != "http://h/v1/scripts/"+token || a.str("links.registrationUrl") != a.str("registrationUrl") {
			t.Errorf("the token is %s", a.text)
		}
		if _, ok := a.body["publicValue"]; ok || strings.Contains(a.text, "SEC\"") {
			t.Error("the keys are shown")
		}
		s.get("/v1/registrationtokens/1c2").has(map[string]string{"token": "null", "registrationUrl": "null"})

		s.send("PUT", "/v1/activesettings/api.security.enabled", `{"value":"true"}`).is(200)
		script := s.with("X-Forwarded-For", "10.0.0.7").get("/v1/scripts/" + token).is(200)
		for _, want := range []string{`CATTLE_URL="http://h/v1"`, `CATTLE_REGISTRATION_ACCESS_KEY="registrationToken"`, `CATTLE_REGISTRATION_SECRET_KEY="` + token + `"`, "10.0.0.7", "cattle/agent:latest"} {
			if !strings.Contains(script.text, want) {
				t.Errorf("the script lacks %s:\n%s", want, script.text)
			}
		}
		if evil := s.with("X-Forwarded-For", `1"; rm -rf /; "`).get("/v1/scripts/" + token); strings.Contains(evil.text, "rm -rf") {
			t.Error("a header reached the script")
		}
		s.get("/v1/Scripts/" + token).is(200)
		s.get("/v1/scripts/" + token + "x").is(404)
		s.get("/v1/scripts/PUB:1:x").is(404)
		s.get("/v1/scripts/bootstrap").is(401)

		r := s.as("registrationToken:" + token)
		if got := visibleTypes(r); !slices.Equal(got, []string{"register", "schema"}) {
			t.Errorf("a token sees %v", got)
		}
		r.get("/v1/schemas/register").has(map[string]string{"collectionMethods": `["GET","POST"]`, "resourceMethods": `["GET","DELETE"]`, "collectionFilters.token": `{"modifiers":["eq"]}`, "resourceFields.key.required": "true"})
		r.post("/v1/register", "{}").fails(422, "MissingRequired", "key")
		made := r.make("/v1/register", `{"key":"K"}`).has(map[string]string{"state": `"registering"`, "kind": `"register"`, "type": `"register"`})
		for _, hidden := range []string{"key", "accessKey", "secretKey"} {
			if _, ok := made.body[hidden]; ok {
				t.Errorf("%s is shown", hidden)
			}
		}
		r.get("/v1/register?key=K").is(200).has(map[string]string{"data.0.key": `"K"`, "data.0.accessKey": "null", "filters.key": `[{"modifier":"eq","value":"K"}]`})
		if n := len(r.get("/v1/register?key=L").ids()); n != 0 {
			t.Errorf("another key found %d", n)
		}
		r.post("/v1/register", `{"key":"K"}`).fails(422, "NotUnique", "key")
		s.as("registrationToken:" + auth.Token("PUB", "SEC", time.Now().Add(-400*24*time.Hour))).get("/v1/register").is(401)
		s.as("registrationToken:" + auth.Token("PUB", "other", time.Now())).get("/v1/register").is(401)
	})
}

func TestTheEventStreamIsHandedOn(t *testing.T) {
	t.Parallel()
	var got []map[string]any
	var who auth.Caller
	s := embedded(t, func(c *configOf) {
		hook := func(c *fiber.Ctx, caller auth.Caller) error {
			got, who = append(got, rest.Input(c)), caller
			return c.Status(201).SendString("")
		}
		c.Subscribe, c.Publish = hook, hook
		c.ConfigContent = func(c *fiber.Ctx, _ auth.Caller, item string) error { return c.SendString(item) }
	})
	s.post("/v1/publish", `{"name":"a.reply","previousIds":["1"],"data":{"x":{"+data":1}},"time":5,"resourceId":"1i5","nothing":1}`).is(201)
	s.post("/v1/subscribe", `{"eventNames":["my-handler;handler=x"]}`).is(201)
	s.with("Upgrade", "websocket").get("/v1/subscribe?eventNames=a&eventNames=b&include=hosts").is(201)
	want := "[map[data:map[x:map[+data:1]] name:a.reply previousIds:[1] resourceId:1i5 time:5] map[eventNames:[my-handler;handler=x]] map[eventNames:[a b]]]"
	if fmt.Sprint(got) != want || who.AccountID != 1 || who.Subscription != auth.Raw {
		t.Errorf("handed on were %v of %+v", got, who)
	}
	if a := s.get("/v1/configcontent/pyagent").is(200); a.text != "pyagent" {
		t.Errorf("the item is %s", a.text)
	}
	s.get("/v1/configcontent/pyagent/versions").fails(404, "Not Found", "-")
	s.send("DELETE", "/v1/configcontent/pyagent", "").fails(405, "Method not allowed", "-")
	_, observer := s.account("readAdmin")
	s.as(observer).send("PUT", "/v1/configcontent/pyagent?version=latest", "").fails(405, "Method not allowed", "-")
}

func TestChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	var changes []rest.Change
	s := embedded(t, func(c *configOf) {
		c.Changed = func(ch rest.Change) { changes = append(changes, ch) }
		c.ConfigContent = func(c *fiber.Ctx, _ auth.Caller, item string) error {
			if item == "none" {
				return fault.NotFound()
			}
			return c.SendString(item)
		}
	})
	s.make("/v1/hosts", "{}")
	s.send("PUT", "/v1/hosts/1h1", `{"name":"x"}`)
	s.post("/v1/hosts/1h1?action=remove", "")
	s.get("/v1/hosts")
	s.send("PUT", "/v1/configcontent/none?version=latest", "").is(404)
	s.send("PUT", "/v1/configcontent/pyagent?version=latest", "").is(200)
	s.get("/v1/configcontent/pyagent").is(200)
	want := "[{host 1 POST  201 1} {host 1 PUT  200 1} {host 1 POST remove 202 1} {configContent pyagent PUT  200 1}]"
	if fmt.Sprint(changes) != want {
		t.Errorf("announced were %v", changes)
	}
}

func TestResourcesOutsideOfRequests(t *testing.T) {
	t.Parallel()
	var v rest.Viewer
	var api *rest.API
	s := embedded(t, func(c *configOf) {
		c.Subscribe = func(c *fiber.Ctx, _ auth.Caller) error { v = rest.ViewerOf(c); return nil }
		api = rest.New(*c)
	})
	me, keys := s.account("user")
	mine := s.row("container", map[string]any{"state": "running", "accountId": me})
	other := s.row("container", map[string]any{"state": "running", "accountId": int64(1)})
	host := s.row("host", map[string]any{"state": "active", "accountId": me, "name": "h"})
	s.row("instanceHostMap", map[string]any{"state": "active", "instanceId": mine, "hostId": host})
	s.as(keys).with("Upgrade", "websocket").get("/v1/subscribe?eventNames=resource.change&include=hosts").is(200)
	text, err := api.Resource(t.Context(), v, "instance", mine)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.as(keys).get(fmt.Sprintf("/v1/instances/1i%d?include=hosts", mine)); string(text) != got.text || got.at("hosts.0.name") != "h" {
		t.Errorf("shown is %s\ninstead of  %s", text, got.text)
	}
	set := s.make("/v1/settings", `{"name":"a.b","value":"c"}`)
	user := v
	s.with("Upgrade", "websocket").get("/v1/subscribe?eventNames=resource.change").is(200)
	for _, typ := range []string{"setting", "activeSetting"} {
		text, err := api.Resource(t.Context(), v, typ, 1)
		if got := s.get("/v1/settings/" + set.str("id")); err != nil || string(text) != got.text {
			t.Errorf("shown is %s %v\ninstead of  %s", text, err, got.text)
		}
	}
	if text, err := api.Resource(t.Context(), v, "setting", 99); text != nil || err != nil {
		t.Errorf("a setting that is gone is %s %v", text, err)
	}
	for typ, id := range map[string]int64{"instance": other, "setting": 1, "account": me, "nothing": 1, "container": 999} {
		if text, err := api.Resource(t.Context(), user, typ, id); text != nil || err != nil {
			t.Errorf("%s %d is shown: %s %v", typ, id, text, err)
		}
	}
	if api.ID(v, "container", "5") != "1i5" || api.StoredID(v, "1i5") != 5 {
		t.Error("ids are not written as the viewer reads them")
	}
}

// A console leads to the page that shows it, and nothing that a host says leaves its place
// in the address.
func TestAConsoleLeadsToItsPage(t *testing.T) {
	t.Parallel()
	said := map[string]any{"url": "ws://10.0.0.1:9343/websockify?token=5f", "host": "10.0.0.1", "port": 9343.0,
		"path": "websockify?token=5f", "kind": "websocket-vnc", "password": "a&b =#ü", "view": "javascript:alert(1)"}
	s := embedded(t, func(c *configOf) {
		c.Settings, _ = config.Load(nil, nil, t.TempDir(), config.Standard())
		c.Console = func(context.Context, *schema.Row) (map[string]any, error) { return said, nil }
	})
	id := s.row("virtualMachine", map[string]any{"state": "running", "data": map[string]any{"fields": map[string]any{"capabilities": []string{"console"}}}})
	console := fmt.Sprintf("/v1/virtualmachines/1i%d/?action=console", id)
	const view = "http://h/static/vnc.html?path=websockify%3Ftoken%3D5f&host=10.0.0.1&port=9343&password=a%26b%20%3D%23%C3%BC&autoconnect=1"
	if a := s.post(console, "{}").is(200).has(map[string]string{"kind": `"websocket-vnc"`, "url": `"ws://10.0.0.1:9343/websockify?token=5f"`}); a.at("links.view") != view {
		t.Errorf("it leads to %v", a.at("links.view"))
	}
	s.send("PUT", "/v1/activesettings/console.url.format.websocket-vnc", `{"value":"https://elsewhere/{kind}/{nothing}?at={url}"}`).is(200)
	s.post(console, "{}").has(map[string]string{"links.view": `"https://elsewhere/websocket-vnc/?at=ws%3A%2F%2F10.0.0.1%3A9343%2Fwebsockify%3Ftoken%3D5f"`})
	said["kind"] = "fake"
	s.post(console, "{}").is(200).has(map[string]string{"links": "{}"})
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(c *configOf) { c.RunTask = func(string) error { panic("boom") } })
	id := s.row("task", map[string]any{"name": "x"})
	s.post(fmt.Sprintf("/v1/tasks/1t%d?action=execute", id), "").fails(500, "Internal Server Error", "-")
}
