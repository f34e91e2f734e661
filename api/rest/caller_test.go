package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// visibleTypes lists the types of a caller's schemas.
func visibleTypes(s *server) []string {
	ids := s.get("/v1/schemas").is(200).ids()
	slices.Sort(ids)
	return ids
}

func TestEveryKindOfAccountSeesItsTypes(t *testing.T) {
	stories(t, func(s *server) {
		for kind, want := range map[string]string{
			"user": "apiKey container credential host image instance instanceConsole instanceConsoleInput instanceLink instanceStop ipAddress ipAddressAssociateInput " +
				"network nic port schema subnet subscribe typeDocumentation virtualMachine volume",
			"agent":         "agent authorized configContent error publish schema subscribe",
			"agentRegister": "agent authorized error schema",
		} {
			_, keys := s.account(kind)
			if got := strings.Join(visibleTypes(s.as(keys)), " "); got != want {
				t.Errorf("%s sees %s", kind, got)
			}
		}
		_, reader := s.account("readAdmin")
		admin, readAdmin := visibleTypes(s), visibleTypes(s.as(reader))
		if !slices.Equal(admin, readAdmin) || slices.Contains(admin, "zone") {
			t.Errorf("an administrator sees %v, an observer %v", admin, readAdmin)
		}
	})
}

func TestSchemasOfAnAdministrator(t *testing.T) {
	stories(t, func(s *server) {
		a := s.get("/v1/schemas/Agents").is(200)
		a.has(map[string]string{
			"id": `"agent"`, "type": `"schema"`, "pluralName": `"agents"`, "actions": "{}", "links": `{"collection":"http://h/v1/agents","self":"http://h/v1/schemas/agent"}`,
			"collectionMethods": `["GET","POST"]`, "resourceMethods": `["GET","PUT","DELETE"]`, "collectionActions": "{}", "collectionFields": "{}",
			"resourceFields.managedConfig": `{"create":true,"default":true,"invalidChars":null,"max":null,"maxLength":255,"min":null,"minLength":null,"nullable":false,"options":null,"required":false,"type":"boolean","unique":false,"update":true,"validChars":null}`,
			"resourceFields.id.maxLength":  "null", "resourceFields.id.create": "false", "resourceFields.zoneId": "null", "resourceFields.uri.unique": "true",
			"resourceFields.state.options":      `["activating","active","deactivating","inactive","purged","purging","reconnecting","registering","removed","removing","requested","restoring","updating-active","updating-inactive"]`,
			"collectionFilters.zoneId":          `{"modifiers":["eq","ne","null","notnull"]}`,
			"collectionFilters.name.modifiers":  `["eq","ne","prefix","like","notlike","null","notnull"]`,
			"includeableLinks":                  `["account","agentgroup","configitemstatuses","hosts","instances","storagepools"]`,
			"resourceActions.reconnect":         `{"input":null,"output":"agent"}`,
			"resourceFields.accountId.type":     `"reference[account]"`,
			"collectionFilters.user":            "null",
			"resourceFields.revision":           "null",
			"collectionFilters.claimProcessId":  "null",
			"resourceFields.transitioning.type": `"enum"`,
		})
		s.get("/v1/schemas/container").has(map[string]string{"resourceFields.startOnCreate.default": "true", "resourceActions.stop": `{"input":"instanceStop","output":"instance"}`,
			"resourceFields.state.options": `["creating","migrating","purged","purging","removed","removing","requested","restarting","restoring","running","starting","stopped","stopping","updating-running","updating-stopped"]`})
		s.get("/v1/schemas/activesetting").has(map[string]string{"links.collection": "null", "collectionMethods": "[]", "resourceMethods": `["GET","PUT","DELETE"]`})
		s.get("/v1/schemas/nothing").is(404)
	})
}

func TestRowsAreScopedByAccount(t *testing.T) {
	stories(t, func(s *server) {
		me, keys := s.account("user")
		u := s.as(keys)
		_, other := s.account("user")
		mine := u.make("/v1/containers", `{"imageUuid":"sim:x","accountId":"1a1"}`)
		if mine.at("accountId") != nil || mine.at("data") != nil || mine.at("memoryMb") != nil {
			t.Errorf("a user sees too much: %s", mine.text)
		}
		id := mine.str("id")
		s.get("/v1/containers/" + id).has(map[string]string{"accountId": fmt.Sprintf(`"1a%d"`, me), "memoryMb": "null"})
		path := "/v1/containers/" + id
		for method, body := range map[string]string{"GET": "", "PUT": "{}", "DELETE": ""} {
			s.as(other).send(method, path, body).is(404)
		}
		s.as(other).post(path+"/?action=stop", "{}").is(404)
		if len(s.as(other).get("/v1/containers").ids()) != 0 || len(u.get("/v1/instances").ids()) != 1 {
			t.Error("the lists are wrong")
		}
		u.get("/v1/accounts").is(404)
		// Public rows are read by all and written by none but their own.
		if got := len(s.as(other).get("/v1/images").ids()); got != 1 {
			t.Errorf("%d images are public", got)
		}
		host := s.row("host", map[string]any{"state": "active", "accountId": int64(1)})
		open := s.row("host", map[string]any{"state": "active", "accountId": int64(1), "isPublic": true})
		u.get(fmt.Sprintf("/v1/hosts/1h%d", host)).is(404)
		u.get(fmt.Sprintf("/v1/hosts/1h%d", open)).is(200).has(map[string]string{"actions": "{}"})
		u.post(fmt.Sprintf("/v1/hosts/1h%d/?action=deactivate", open), "{}").is(404)
		u.post("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","requestedHostId":"1h%d"}`, host)).fails(422, "InvalidReference", "requestedHostId")
		u.make("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","requestedHostId":"1h%d"}`, open))
		u.make("/v1/apikeys", `{"publicValue":"mine"}`).has(map[string]string{"publicValue": "null", "kind": `"apiKey"`})
	})
}

func TestObserversChangeNothing(t *testing.T) {
	stories(t, func(s *server) {
		_, keys := s.account("readAdmin")
		r := s.as(keys)
		host := fmt.Sprintf("/v1/hosts/1h%d", s.row("host", map[string]any{"state": "active", "accountId": int64(1)}))
		a := r.get(host).is(200)
		if len(a.at("actions").(map[string]any)) != 0 {
			t.Errorf("an observer is offered %v", a.at("actions"))
		}
		r.send("PUT", host, "{}").is(405)
		r.send("DELETE", host, "").is(405)
		r.post("/v1/hosts", "{}").is(405)
		r.post(host+"/?action=deactivate", "{}").fails(422, "InvalidAction", "action")
		r.send("PUT", "/v1/activesettings/a.b", `{"value":"1"}`).is(405)
		r.post("/v1/subscribe", `{"eventNames":["ping"]}`).is(503) // nobody serves it here
		r.post("/v1/publish", `{"name":"x"}`).is(405)
	})
}

func TestAgentsHavePlainIDs(t *testing.T) {
	stories(t, func(s *server) {
		account, keys := s.account("agent")
		id := s.row("agent", map[string]any{"state": "active", "accountId": account, "name": "a"})
		s.row("agent", map[string]any{"state": "active", "accountId": int64(1)})
		a := s.as(keys)
		a.get("/v1/agents").has(map[string]string{"data.0.id": fmt.Sprintf(`"%d"`, id), "data.0.name": `"a"`, "data.0.links.self": fmt.Sprintf(`"http://h/v1/agents/%d"`, id)})
		if n := len(a.get("/v1/agents").ids()); n != 1 {
			t.Errorf("an agent sees %d agents", n)
		}
		a.get(fmt.Sprintf("/v1/agents/%d", id)).is(200).has(map[string]string{"uri": "null"})
		a.get("/v1/hosts").is(404)
		_, keys = s.account("agentRegister")
		s.as(keys).make("/v1/agents", `{"uri":"sim://r","name":"x"}`).has(map[string]string{"uri": `"sim://r"`, "name": "null", "links.self": "null"})
	})
}

func TestPlainIDsOnRequest(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("host", map[string]any{"state": "active", "accountId": int64(1)})
		s.get("/v1/hosts?_plainId").has(map[string]string{"data.0.id": fmt.Sprintf(`"%d"`, id), "data.0.accountId": "1"})
		s.get(fmt.Sprintf("/v1/hosts/%d?_plainId=true", id)).is(200).has(map[string]string{"links.account": fmt.Sprintf(`"http://h/v1/hosts/%d/account"`, id)})
		s.get(fmt.Sprintf("/v1/hosts/%d", id)).is(404)
		_, keys := s.account("user")
		s.as(keys).get("/v1/credentials?_plainId=true").has(map[string]string{"data.0.id": `"1c1"`})
	})
}

func TestSecurity(t *testing.T) {
	stories(t, func(s *server) {
		_, keys := s.account("user")
		_, odd := s.account("test")
		inactive := s.row("account", map[string]any{"kind": "user", "state": "inactive"})
		s.row("credential", map[string]any{"kind": "apiKey", "state": "active", "accountId": inactive, "publicValue": "OFF", "secretValue": "secret"})
		s.row("credential", map[string]any{"kind": "sshKey", "state": "active", "accountId": int64(1), "publicValue": "SSH", "secretValue": "secret"})
		s.row("credential", map[string]any{"kind": "apiKey", "state": "inactive", "accountId": int64(1), "publicValue": "OLD", "secretValue": "secret"})
		wrong := []string{"", "None:None", "KEY4:wrong", "OFF:secret", "SSH:secret", "OLD:secret", "a\x00b:c", "registrationToken:a:1:b"}
		for _, k := range wrong {
			s.as(k).get("/v1/accounts").is(200) // the default administrator
		}
		s.as(keys).get("/v1/accounts").is(404)
		if got := visibleTypes(s.as(odd)); !slices.Contains(got, "zone") {
			t.Error("a kind without projection does not see the bare model")
		}
		if got := s.as(odd).get("/v1/accounts").ids(); len(got) != 1 {
			t.Errorf("a kind without projection sees accounts %v", got)
		}
		s.send("PUT", "/v1/activesettings/api.security.enabled", `{"value":"true"}`).is(200)
		for _, k := range append(wrong, odd) {
			a := s.as(k).get("/v1/accounts").fails(401, "Unauthorized", "-")
			if a.header.Get("WWW-Authenticate") != `Basic realm="Enter API access key and secret key as username and password"` {
				t.Errorf("asked for %q", a.header.Get("WWW-Authenticate"))
			}
			if a.header.Get("X-API-Schemas") == "" || a.header.Get("X-API-Client-IP") != "" {
				t.Error("the headers are wrong")
			}
		}
		s.as(keys).get("/v1/containers").is(200)
	})
}

func TestGuessingEnds(t *testing.T) {
	t.Parallel()
	s := embedded(t, func(*configOf) {})
	_, keys := s.account("admin")
	user, _, _ := strings.Cut(keys, ":")
	s.settings.SetDatabase(map[string]string{"api.security.enabled": "true"})
	for range 20 {
		s.as(user + ":wrong").get("/v1").is(401)
	}
	if a := s.as(user+":wrong").get("/v1").fails(429, "Too Many Requests", "-"); a.header.Get("Retry-After") == "" {
		t.Error("nobody says when to come again")
	}
	s.as(keys).get("/v1").is(429) // with it nobody was let in before
	_, other := s.account("admin")
	s.as(other).get("/v1").is(200)
}

func TestImpersonation(t *testing.T) {
	stories(t, func(s *server) {
		_, keys := s.account("user")
		s.row("account", map[string]any{"kind": "user", "state": "active", "uuid": "target"})
		s.with("X-Account-Uuid", "target").get("/v1/accounts").is(200)
		s.settings.SetDatabase(map[string]string{"api.auth.header.enabled": "true"})
		s.send("PUT", "/v1/accounts/1a1", `{"name":"admin"}`) // callers are looked up again
		s.with("X-Account-Uuid", "target").get("/v1/accounts").is(404)
		s.as(keys).with("X-Account-Uuid", "admin").get("/v1/accounts").is(404)
		s.with("X-Account-Uuid", "nobody").get("/v1/accounts").is(401)
	})
}

func TestARevokedKeyIsRefusedAtOnce(t *testing.T) {
	stories(t, func(s *server) {
		_, keys := s.account("user")
		s.as(keys).get("/v1/accounts").is(404)
		s.post("/v1/credentials/1c1/?action=deactivate", "").is(202)
		s.as(keys).get("/v1/accounts").is(200) // the default administrator
	})
}
