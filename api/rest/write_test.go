package rest_test

import (
	"bytes"
	"fmt"
	"maps"
	"mime/multipart"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
)

func TestACreatedResourceIsOnItsWay(t *testing.T) {
	stories(t, func(s *server) {
		a := s.make("/v1/containers", `{"imageUuid":"sim:x","name":"web","uuid":"mine","nothing":1,"environment":{"A":"b"},"requestedHostId":null,"data":{"x":1}}`)
		a.has(map[string]string{"type": `"container"`, "kind": `"container"`, "state": `"creating"`, "transitioning": `"yes"`,
			"transitioningMessage": `"In Progress"`, "transitioningProgress": "null", "name": `"web"`, "accountId": `"1a1"`, "startOnCreate": "true",
			"environment": `{"A":"b"}`, "memoryMb": "256", "allocationState": `"inactive"`, "instanceTriggeredStop": `"stop"`, "removed": "null",
			"data.x": "1", "data.fields.imageUuid": `"sim:x"`, "imageUuid": `"sim:x"`})
		if a.str("uuid") == "mine" {
			t.Error("an administrator may not choose a container's uuid")
		}
		for _, gone := range []string{"ports", "networkIds", "zoneId", "removedTS", "links.zone"} {
			if v := a.at(gone); v != nil {
				t.Errorf("%s is shown: %v", gone, v)
			}
		}
		if _, ok := a.body["removed"]; !ok {
			t.Error("a null is left out")
		}
		p := s.get("/v1/processinstances?resourceType=instance&resourceId=1&sort=startTime").is(200)
		p.has(map[string]string{"data.0.processName": `"instance.create"`, "data.0.endTime": "null", "data.0.resourceId": `"1"`, "data.0.phase": `"REQUESTED"`,
			"data.0.data.name": `"web"`, "data.0.data.imageId": "1", "data.0.startProcessServerId": `"here"`})
		s.get(a.str("links.self")[len("http://h"):]).has(map[string]string{"id": `"` + a.str("id") + `"`})
		s.make("/v1/hosts", "").has(map[string]string{"computeFree": "1000000", "state": `"registering"`, "isPublic": "false"})
	})
}

func TestBodiesOfEveryKind(t *testing.T) {
	stories(t, func(s *server) {
		form := s.with("Content-Type", "application/x-www-form-urlencoded")
		form.make("/v1/externalhandlers?name=q", "processNames=a&processNames=b&priority=7").has(map[string]string{"name": `"q"`, "priority": "7", "data.fields.processNames": `["a","b"]`})
		form.make("/v1/externalhandlers", "name=one&processNames=a").has(map[string]string{"data.fields.processNames": `["a"]`})
		form.make("/v1/externalhandlers", `{"name":"json","processNames":[["a,b"]]}`).has(map[string]string{"name": `"json"`, "data.fields.processNames": `["a,b"]`})
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		_ = w.WriteField("user", "core")
		_ = w.WriteField("uuid", "test-agent")
		_ = w.Close()
		s.with("Content-Type", w.FormDataContentType()).make("/v1/agents?name=ignored", body.String()).has(map[string]string{"user": `"core"`, "uuid": `"test-agent"`, "name": "null"})
		s.make("/v1/hosts?name=query", `{"name":"body"}`).has(map[string]string{"name": `"body"`})
		s.make("/v1/hosts?name=query", `["x"]`).has(map[string]string{"name": `"query"`})
		s.make("/v1/hosts", `"text"`)
		s.post("/v1/hosts", `{"name":`).fails(400, "InvalidBodyContent", "-")
		s.post("/v1/hosts", strings.Repeat("[", 20000)).fails(400, "InvalidBodyContent", "-")
	})
}

func TestValidation(t *testing.T) {
	stories(t, func(s *server) {
		host := s.row("host", map[string]any{"state": "active"})
		gone := s.row("network", map[string]any{"state": "removed", "removed": int64(1)})
		for _, c := range []struct{ path, body, code, field string }{
			{"externalhandlers", `{"name":"x"}`, "MissingRequired", "processNames"},
			{"externalhandlers", `{"processNames":[]}`, "MissingRequired", "processNames"},
			{"externalhandlers", `{"processNames":null}`, "NotNullable", "processNames"},
			{"externalhandlers", `{"processNames":["a"],"retries":0}`, "MinLimitExceeded", "retries"},
			{"externalhandlers", `{"processNames":["a"],"timeoutMillis":999}`, "MinLimitExceeded", "timeoutMillis"},
			{"externalhandlers", `{"processNames":["a"],"priority":"abc"}`, "InvalidFormat", "priority"},
			{"externalhandlers", `{"processNames":["a"],"priority":"1.5"}`, "InvalidFormat", "priority"},
			{"externalhandlers", `{"processNames":["a"],"priority":""}`, "InvalidFormat", "priority"},
			{"externalhandlers", `{"processNames":["a"],"priority":true}`, "InvalidFormat", "priority"},
			{"externalhandlers", `{"processNames":["a"],"priority":{}}`, "InvalidFormat", "priority"},
			{"subnets", `{"networkId":"1n77","networkAddress":"10.0.0.0","cidrSize":29}`, "InvalidReference", "networkId"},
			{"subnets", fmt.Sprintf(`{"networkId":"1n%d","networkAddress":"10.0.0.0","cidrSize":29}`, gone), "MaxLimitExceeded", "cidrSize"},
			{"subnets", fmt.Sprintf(`{"networkId":"1n%d"}`, gone), "MissingRequired", "networkAddress"},
			{"containers", `{"imageUuid":"sim:x","command":""}`, "MinLengthExceeded", "command"},
			{"containers", `{"imageUuid":"sim:x","name":"` + strings.Repeat("x", 256) + `"}`, "MaxLengthExceeded", "name"},
			{"containers", `{"imageUuid":"sim:x","environment":"x"}`, "InvalidFormat", "environment"},
			{"containers", `{"imageUuid":"sim:x","environment":null}`, "NotNullable", "environment"},
			{"containers", `{"imageUuid":"sim:x","startOnCreate":"maybe"}`, "InvalidFormat", "startOnCreate"},
			{"containers", `{"imageUuid":"sim:x","instanceTriggeredStop":"Stop"}`, "InvalidOption", "instanceTriggeredStop"},
			{"containers", `{"imageUuid":"sim:x","requestedHostId":"7"}`, "InvalidReference", "requestedHostId"},
			{"containers", `{"imageUuid":"sim:x","requestedHostId":"1h99"}`, "InvalidReference", "requestedHostId"},
			{"containers", `{"imageUuid":"sim:x","networkIds":["1n99"]}`, "InvalidReference", "networkIds"},
			{"containers", `{"imageUuid":"sim:x","name":"a\u0000b"}`, "InvalidFormat", "name"},
			{"containers", `{"imageUuid":"sim:x","requestedHostId":{}}`, "InvalidReference", "requestedHostId"},
			{"containers", `{"imageUuid":"sim:x","requestedHostId":"1h1\u0000"}`, "InvalidReference", "requestedHostId"},
			{"containers", `{"imageUuid":"sim:x","validHostIds":[{}]}`, "InvalidReference", "validHostIds"},
			{"containers", `{"imageUuid":"sim:x","instanceLinks":{"a":[{}]}}`, "InvalidReference", "instanceLinks"},
			{"externalhandlers", `{"processNames":[null]}`, "NotNullable", "processNames"},
			{"externalhandlers", `{"processNames":["a",null]}`, "NotNullable", "processNames"},
			{"containers", `{"name":"x"}`, "MissingRequired", "imageUuid"},
			{"containers", `{"imageUuid":"nothing"}`, "InvalidReference", "imageUuid"},
			{"containers", `{"imageUuid":"docker:"}`, "InvalidReference", "imageUuid"},
			{"containers", `{"imageUuid":"docker:a b"}`, "InvalidReference", "imageUuid"},
			{"configitemstatuses", `{"requestedUpdated":"yesterday"}`, "InvalidDateFormat", "requestedUpdated"},
			{"configitemstatuses", `{"requestedUpdated":{}}`, "InvalidDateFormat", "requestedUpdated"},
			{"subscribe", `{"eventNames":["a b"]}`, "InvalidCharacters", "eventNames"},
			{"subscribe", `{"eventNames":[null]}`, "NotNullable", "eventNames"},
			{"subscribe", `{"eventNames":[""]}`, "MinLengthExceeded", "eventNames"},
			{"publish", `{}`, "MissingRequired", "name"},
		} {
			a := s.post("/v1/"+c.path, c.body)
			if a.code != 422 || a.body["code"] != c.code || a.body["fieldName"] != c.field {
				t.Errorf("POST %s %.100s answered %s instead of %s %s", c.path, c.body, a.text, c.code, c.field)
			}
		}
		s.make("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","requestedHostId":"1h%d","startOnCreate":"False","commandArgs":"one","validHostIds":["1h%d"]}`, host, host)).has(map[string]string{
			"requestedHostId": fmt.Sprintf(`"1h%d"`, host), "data.fields.requestedHostId": fmt.Sprint(host), "startOnCreate": "false", "commandArgs": `["one"]`,
			"validHostIds": fmt.Sprintf(`["1h%d"]`, host), "data.fields.validHostIds": fmt.Sprintf("[%d]", host)})
		s.make("/v1/subnets", fmt.Sprintf(`{"networkId":"1n%d","networkAddress":"10.0.0.0"}`, gone)).has(map[string]string{"cidrSize": "24"})
		s.make("/v1/images", `{"instanceKind":null,"physicalSizeMb":3}`).has(map[string]string{"instanceKind": "null", "physicalSizeMb": "null"})
		s.make("/v1/hosts", `{"computeFree":1.9}`).has(map[string]string{"computeFree": "1"})
	})
}

func TestUUIDsAreUnique(t *testing.T) {
	stories(t, func(s *server) {
		s.make("/v1/hosts", `{"uuid":"one"}`).has(map[string]string{"uuid": `"one"`})
		s.post("/v1/hosts", `{"uuid":"one"}`).fails(409, "Conflict", "-")
		if n := len(s.get("/v1/processinstances?processName=host.create").ids()); n != 1 {
			t.Errorf("there are %d processes", n)
		}
	})
}

func TestANamedCreateIsDoneOnce(t *testing.T) {
	stories(t, func(s *server) {
		named := s.with("Idempotency-Key", "k1")
		var wait sync.WaitGroup
		ids := make([]string, 6)
		for i := range ids {
			wait.Go(func() { ids[i] = named.make("/v1/containers", `{"imageUuid":"sim:x"}`).str("id") })
		}
		wait.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("made were %v", ids)
			}
		}
		a := named.make("/v1/agents", `{"uri":"sim://once"}`)
		named.make("/v1/agents", `{"uri":"sim://once"}`).has(map[string]string{"id": `"` + a.str("id") + `"`})
		_, keys := s.account("user")
		if id := named.as(keys).make("/v1/containers", `{"imageUuid":"sim:x"}`).str("id"); id == ids[0] {
			t.Error("another account got the same container")
		}
		if id := s.with("Idempotency-Key", "k2").make("/v1/containers", `{"imageUuid":"sim:x"}`).str("id"); id == ids[0] {
			t.Error("another name got the same container")
		}
	})
}

// Who names no kind for an account gets one of a user, who may log in.
func TestAnAccountWithoutAKindIsAUsers(t *testing.T) {
	stories(t, func(s *server) {
		s.make("/v1/accounts", `{"name":"somebody"}`).has(map[string]string{"kind": `"user"`})
		s.make("/v1/accounts", `{"kind":"admin"}`).has(map[string]string{"kind": `"admin"`})
	})
}

func TestAgents(t *testing.T) {
	stories(t, func(s *server) {
		s.settings.SetDatabase(map[string]string{"agent.filter.default.uri.reverse.dns": "false"})
		c := s.with("X-Forwarded-For", "10.1.1.1")
		a := c.make("/v1/agents", "").has(map[string]string{"uri": `"ssh://root@10.1.1.1:22"`, "accountId": "null", "managedConfig": "true", "state": `"registering"`})
		c.post("/v1/agents", "").fails(422, "NotUnique", "uri")
		c.make("/v1/agents", `{"user":"core"}`).has(map[string]string{"uri": `"ssh://core@10.1.1.1:22"`})
		_, keys := s.account("agentRegister")
		register := c.as(keys)
		register.post("/v1/agents", `{"uri":"ssh://ann@10.1.1.1:22"}`).fails(422, "InvalidOption", "uri") // so he says
		s.settings.SetDatabase(map[string]string{"agent.filter.default.uri.reverse.dns": "false", "api.trusted.proxies": "0.0.0.0/0"})
		register.post("/v1/agents", `{"user":"root@10.1.1.2:22/"}`).fails(422, "InvalidOption", "uri")
		register.post("/v1/agents", `{"uri":"ssh://root@10.1.1.2:22"}`).fails(422, "InvalidOption", "uri")
		register.post("/v1/agents", `{"uri":"SSH://root@10.1.1.2:22"}`).fails(422, "InvalidOption", "uri")
		register.make("/v1/agents", `{"uri":"ssh://ann@10.1.1.1:22"}`).has(map[string]string{"uri": `"ssh://ann@10.1.1.1:22"`})
		s.make("/v1/agents", `{"uri":"sim://a","accountId":"1a1"}`).has(map[string]string{"accountId": `"1a1"`})
		s.post("/v1/agents", `{"uri":"sim://a"}`).fails(422, "NotUnique", "uri")
		self := strings.TrimPrefix(a.str("links.self"), "http://h")
		s.send("PUT", self, `{"uri":"ssh://root@10.1.1.1:22","name":"n"}`).is(200).has(map[string]string{"name": `"n"`})
		s.send("PUT", self, `{"uri":"sim://a"}`).fails(422, "NotUnique", "uri")
	})
}

func TestUpdateWritesWhatChanged(t *testing.T) {
	stories(t, func(s *server) {
		a := s.make("/v1/hosts", `{"name":"a","data":{"fields":{"capabilities":["x"],"transitioning":"no"},"own":1}}`)
		self := strings.TrimPrefix(a.str("links.self"), "http://h")
		// A client sends the whole object back.
		whole := strings.Replace(a.text, `"name":"a"`, `"name":"b"`, 1)
		s.send("PUT", self, whole).is(200).has(map[string]string{"name": `"b"`, "state": `"registering"`, "uuid": `"` + a.str("uuid") + `"`, "data.own": "1"})
		s.send("PUT", self, `{"description":"d","id":"1h99","state":"active","created":"2001-01-01T00:00:00Z"}`).has(map[string]string{
			"name": `"b"`, "description": `"d"`, "id": `"` + a.str("id") + `"`, "state": `"registering"`, "created": `"` + a.str("created") + `"`})
		s.send("PUT", self, `{"name":null,"data":{"new":true,"fields":{"transitioning":"error","free":1}}}`).has(map[string]string{
			"name": "null", "data.new": "true", "data.own": "null", "data.fields.free": "1", "data.fields.transitioning": "null"})
		// Nor does it undo what it does not know, because it came later.
		s.send("PUT", self, strings.Replace(a.text, `"name":"a"`, `"name":"c"`, 1)).has(map[string]string{
			"name": `"c"`, "data.new": "true", "data.own": "1", "data.fields.free": "1", "data.fields.transitioning": "null"})
		s.send("PUT", self, `{"data":{"own":2}}`).has(map[string]string{"data": `{"fields":{},"own":2}`})
		s.send("PUT", self, `{"isPublic":null}`).fails(422, "NotNullable", "isPublic")
		s.send("PUT", self, `{"removeTime":"2031-01-02T03:04:05Z"}`).has(map[string]string{"removeTime": `"2031-01-02T03:04:05Z"`, "removeTimeTS": "1925089445000"})
		s.send("PUT", self, `{"accountId":"1a77"}`).fails(422, "InvalidReference", "accountId")
		s.send("PUT", "/v1/hosts/1h999", "{}").is(404)
		if n := len(s.get("/v1/processinstances?processName=host.update").ids()); n != 0 {
			t.Error("an update process started")
		}
		s.send("PUT", self, `{"data":null}`).has(map[string]string{"data": `{"fields":{}}`})
		item := s.make("/v1/configitems", `{"name":"i"}`)
		s.send("PUT", strings.TrimPrefix(item.str("links.self"), "http://h"), `{"sourceVersion":null}`).is(200).has(map[string]string{"sourceVersion": `""`})
	})
}

// A document counts the letters that are shown of it. One that came to be longer, by a field
// that has no bound, is sent back with the rest of its resource.
func TestDocumentsAtTheirLongest(t *testing.T) {
	stories(t, func(s *server) {
		for _, letter := range []string{"é", "<"} {
			room := 65535 - len(`{"x":""}`)
			s.make("/v1/hosts", `{"data":{"x":"`+strings.Repeat(letter, room)+`"}}`)
			s.post("/v1/hosts", `{"data":{"x":"`+strings.Repeat(letter, room+1)+`"}}`).fails(422, "MaxLengthExceeded", "data")
		}
		a := s.make("/v1/containers", `{"imageUuid":"sim:x","data":{"n":1.5},"environment":{"A":"`+strings.Repeat("x", 70_000)+`"}}`)
		self := strings.TrimPrefix(a.str("links.self"), "http://h")
		s.send("PUT", self, strings.Replace(a.text, `"name":null`, `"name":"n"`, 1)).is(200).has(map[string]string{"name": `"n"`, "data.n": "1.5"})
		s.send("PUT", self, strings.Replace(a.text, `"n":1.5`, `"n":2`, 1)).fails(422, "MaxLengthExceeded", "data")
	})
}

func TestAChangedPortStartsItsUpdate(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("port", map[string]any{"state": "active", "publicPort": int64(80), "protocol": "tcp"})
		self := fmt.Sprintf("/v1/ports/1p%d", id)
		s.send("PUT", self, `{"publicPort":80,"name":"n"}`).is(200).has(map[string]string{"state": `"active"`})
		s.send("PUT", self, `{"publicPort":81}`).is(200).has(map[string]string{"state": `"updating-active"`, "transitioning": `"yes"`, "publicPort": "81"})
		s.get("/v1/processinstances?processName=port.update").has(map[string]string{"data.0.data": `{"publicPort":81}`})
	})
}

func TestConcurrentUpdatesAllArrive(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("host", map[string]any{"state": "active"})
		fields := []string{"name", "description", "computeFree", "computeTotal"}
		var wait sync.WaitGroup
		for i, f := range fields {
			wait.Go(func() { s.send("PUT", fmt.Sprintf("/v1/hosts/1h%d", id), fmt.Sprintf(`{"%s":"%d"}`, f, i+1)).is(200) })
		}
		wait.Wait()
		s.get(fmt.Sprintf("/v1/hosts/1h%d", id)).has(map[string]string{"name": `"1"`, "description": `"2"`, "computeFree": "3", "computeTotal": "4"})
	})
}

func TestDelete(t *testing.T) {
	stories(t, func(s *server) {
		host := func(state string) string {
			return fmt.Sprintf("/v1/hosts/1h%d", s.row("host", map[string]any{"state": state}))
		}
		s.send("DELETE", host("inactive"), "").is(200).has(map[string]string{"state": `"removing"`, "type": `"host"`})
		s.send("DELETE", host("active"), "").fails(409, "Conflict", "-")
		s.send("DELETE", host("removed"), "").is(200).has(map[string]string{"state": `"removed"`})
		run := s.row("container", map[string]any{"state": "running"})
		s.send("DELETE", fmt.Sprintf("/v1/containers/1i%d", run), "").is(200).has(map[string]string{"state": `"stopping"`, "type": `"container"`})
		s.get("/v1/processinstances?processName=instance.stop").has(map[string]string{"data.0.data": `{"remove":true}`})
		item := strings.TrimPrefix(s.make("/v1/configitems", `{"name":"i"}`).str("links.self"), "http://h")
		s.send("DELETE", item, "").is(200).has(map[string]string{"name": `"i"`})
		s.get(item).is(404)
		s.send("DELETE", item, "").is(404)
	})
}

func TestActions(t *testing.T) {
	stories(t, func(s *server) {
		id := s.row("container", map[string]any{"state": "running", "data": map[string]any{"fields": map[string]any{"transitioning": "error", "transitioningMessage": "bad", "transitioningInternalMessage": "inside"}}})
		self := fmt.Sprintf("/v1/containers/1i%d", id)
		a := s.get(self).has(map[string]string{"transitioning": `"error"`, "transitioningMessage": `"bad : inside"`,
			"actions": fmt.Sprintf(`{"migrate":"http://h%[1]s/?action=migrate","restart":"http://h%[1]s/?action=restart","stop":"http://h%[1]s/?action=stop","update":"http://h%[1]s/?action=update"}`, self)})
		_ = a
		s.post(self+"/?action=nothing", "{}").fails(422, "InvalidAction", "action")
		s.post(self+"/?action=start", "{}").fails(422, "ActionNotAvailable", "action")
		s.post(self+"/?action=console", "{}").fails(422, "ActionNotAvailable", "action")
		s.post("/v1/containers/1i999?action=stop", "{}").is(404)
		s.post("/v1/containers?action=stop", "{}").fails(422, "InvalidAction", "action")
		s.post(self+"/?action=stop", `{"remove":"yes please"}`).fails(422, "InvalidFormat", "remove")
		s.post(self+"/?action=stop", `{"remove":"true","other":1}`).is(202).has(map[string]string{"state": `"stopping"`, "type": `"container"`, "transitioning": `"yes"`, "transitioningMessage": `"In Progress"`})
		s.get("/v1/processinstances?processName=instance.stop").has(map[string]string{"data.0.data": `{"remove":true}`})
		host := s.row("host", map[string]any{"state": "inactive"})
		s.post(fmt.Sprintf("/v1/hosts/1h%d/?action=activate", host), `{"any":[1]}`).is(202).has(map[string]string{"state": `"activating"`})
		s.get("/v1/processinstances?processName=host.activate").has(map[string]string{"data.0.data": `{"any":[1]}`})
		volume := s.row("volume", map[string]any{"state": "inactive"})
		s.get(fmt.Sprintf("/v1/volumes/1v%d", volume)).has(map[string]string{"actions.allocate": fmt.Sprintf(`"http://h/v1/volumes/1v%d/?action=allocate"`, volume)})
		pool := s.row("ipPool", map[string]any{"state": "active"})
		s.post(fmt.Sprintf("/v1/ippools/1ip%d/?action=acquire", pool), "").is(200).has(map[string]string{"type": `"ipAddress"`, "kind": `"pooledIpAddress"`, "state": `"registering"`})
	})
}

// Every state of every type offers what the contract lists and nothing else, but for why
// where something is on its way.
func TestActionsOfEveryState(t *testing.T) {
	plain := map[string]string{
		"requested": "create remove", "registering": "activate create remove", "inactive": "activate remove update",
		"activating": "activate deactivate remove", "active": "deactivate update", "deactivating": "deactivate remove",
		"updating-active": "deactivate remove update", "updating-inactive": "deactivate remove update",
		"removing": "remove", "removed": "purge restore", "purging": "purge", "purged": "", "restoring": "restore",
	}
	instance := map[string]string{
		"requested": "create remove", "creating": "create remove start", "stopped": "remove start update", "starting": "remove start stop",
		"running": "console migrate restart stop update", "stopping": "remove stop",
		"updating-running": "remove stop update", "updating-stopped": "remove stop update",
		"removing": "remove", "removed": "purge restore", "purging": "purge", "purged": "", "restoring": "restore",
		"migrating": "migrate", "restarting": "restart",
	}
	more := map[string]map[string]string{ // of a state that is plain, or all of another
		"agent":     {"activating": "reconnect", "active": "reconnect", "reconnecting": "deactivate reconnect"},
		"ipAddress": {"active": "associate", "associating": "associate disassociate", "associated": "disassociate", "disassociating": "disassociate"},
		"ipPool":    {"active": "acquire"},
		"volume":    {"inactive": "allocate", "activating": "allocate deallocate", "active": "deallocate", "deactivating": "deallocate"},
	}
	able := map[string]any{"fields": map[string]any{"capabilities": []any{"console", "associate"}}}
	stories(t, func(s *server) {
		types := 0
		for _, k := range resource.All.Kinds() {
			if len(k.Processes) == 0 || k.Type.Name == "agentGroup" { // whose processes are nobody's to start
				continue
			}
			types++
			for _, state := range k.Type.Field("state").Options {
				want := strings.Fields(plain[state] + " " + more[k.Type.Name][state])
				if k.Type.Name == "instance" {
					want = strings.Fields(instance[state])
				}
				if resource.All.Moving(k.Type, state) {
					want = append(want, "why")
				}
				slices.Sort(want)
				id := s.row(k.Type.Name, map[string]any{"state": state, "data": able})
				got := slices.Sorted(maps.Keys(s.get("/v1/" + k.Type.Name + "/" + k.Type.Obfuscate(fmt.Sprint(id))).at("actions").(map[string]any)))
				if !slices.Equal(got, want) {
					t.Errorf("%s %s offers %v, not %v", k.Type.Name, state, got, want)
				}
			}
		}
		if types != 34 {
			t.Errorf("%d types were looked at, not 34", types)
		}
		id := s.row("agentGroup", map[string]any{"state": "active"})
		s.get(fmt.Sprintf("/v1/agentgroups/1ag%d", id)).has(map[string]string{"actions": "{}"})
		unable := s.row("container", map[string]any{"state": "running"})
		s.get(fmt.Sprintf("/v1/containers/1i%d", unable)).has(map[string]string{"actions.console": "null"})
	})
}

func TestImages(t *testing.T) {
	stories(t, func(s *server) {
		pool := s.row("storagePool", map[string]any{"kind": "sim", "external": true, "state": "active"})
		s.make("/v1/containers", `{"imageUuid":"sim:x"}`)
		image := s.get("/v1/images?uuid=sim:x").has(map[string]string{"data.0.name": `"x"`, "data.0.format": `"sim"`, "data.0.instanceKind": "null", "data.0.isPublic": "true", "data.0.accountId": `"1a2"`, "data.0.state": `"registering"`})
		s.get("/v1/imagestoragepoolmaps").has(map[string]string{"data.0.imageId": `"` + image.str("data.0.id") + `"`, "data.0.storagePoolId": fmt.Sprintf(`"1sp%d"`, pool), "data.0.state": `"registering"`})
		s.make("/v1/containers", `{"imageUuid":"sim:x"}`).has(map[string]string{"imageId": `"` + image.str("data.0.id") + `"`})
		if n := len(s.get("/v1/images").ids()); n != 1 {
			t.Errorf("there are %d images", n)
		}
		s.make("/v1/containers", `{"imageUuid":"docker:ibuildthecloud/helloworld"}`)
		s.get("/v1/images?uuid=docker:ibuildthecloud/helloworld").has(map[string]string{"data.0.format": `"docker"`, "data.0.instanceKind": `"container"`,
			"data.0.name":             `"ibuildthecloud/helloworld:latest"`,
			"data.0.data.dockerImage": `{"fullName":"ibuildthecloud/helloworld:latest","id":null,"namespace":"ibuildthecloud","qualifiedName":"ibuildthecloud/helloworld","repository":"helloworld","tag":"latest"}`})
		for _, body := range []string{`{"imageUuid":"docker:ibuildthecloud/helloworld"}`, `{"imageUuid":"docker:other"}`} {
			s.post("/v1/virtualmachines", body).fails(422, "InvalidImageInstanceKind", "-")
		}
		s.make("/v1/containers", `{"imageUuid":"docker:ubuntu:14.04"}`)
		s.settings.SetDatabase(map[string]string{"api.instance.require.image": "false"})
		s.make("/v1/containers", `{}`).has(map[string]string{"imageId": "null"})
	})
}

// What gives a container power over its host, or another agent its name, is not a user's to
// ask for, also not as a part of the data.
func TestWhatOfAHostAUserMayNotHave(t *testing.T) {
	stories(t, func(s *server) {
		s.row("storagePool", map[string]any{"kind": "sim", "external": true, "state": "active"})
		_, keys := s.account("user")
		user := s.as(keys)
		for field, value := range map[string]string{"privileged": "true", "dockerVolumes": `["/:/host"]`, "uuid": `"another"`, "agentId": `"1a1"`,
			"data": `{"fields":{"privileged":true,"dockerVolumes":["/:/host"]},"imported":true,"libvirt":{"template":"/etc/passwd"}}`} {
			made := user.make("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","%s":%s}`, field, value))
			row := s.get("/v1/containers/" + made.str("id"))
			data, _ := row.body["data"].(map[string]any)
			fields, _ := data["fields"].(map[string]any)
			if row.body["privileged"] == true || row.body["dockerVolumes"] != nil || row.body["agentId"] != nil || row.body["uuid"] == "another" ||
				fields["privileged"] == true || fields["dockerVolumes"] != nil || data["imported"] != nil || data["libvirt"] != nil {
				t.Errorf("with %s a user has %v", field, row.body)
			}
		}
		admin := s.make("/v1/containers", `{"imageUuid":"sim:x","privileged":true,"dockerVolumes":["/:/host:ro"]}`)
		admin.has(map[string]string{"privileged": "true", "dockerVolumes": `["/:/host:ro"]`})
	})
}

func TestManyInstancesOfOneNewImage(t *testing.T) {
	stories(t, func(s *server) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() { s.make("/v1/containers", `{"imageUuid":"sim:same"}`) })
		}
		wait.Wait()
		if n := len(s.get("/v1/images").ids()); n != 1 {
			t.Errorf("there are %d images", n)
		}
	})
}

func TestPortsAndNetworksOfInstances(t *testing.T) {
	stories(t, func(s *server) {
		n := s.row("network", map[string]any{"state": "active"})
		sub := s.row("subnet", map[string]any{"state": "active", "networkId": n})
		for port, code := range map[string]string{"80": "", "8080:80": "", "8080:80/udp": "", "80/tcp": "", "a:b:c": "PortWrongFormat", "": "PortWrongFormat",
			"x:80": "PortInvalidPublicPort", "70000:80": "PortInvalidPublicPort", "80:x": "PortInvalidPrivatePort", "0": "PortInvalidPrivatePort", "80/icmp": "PortInvalidProtocol"} {
			a := s.post("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","ports":["%s"]}`, port))
			if code == "" {
				a.is(201)
				continue
			}
			a.fails(422, code, "-")
		}
		s.post("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","networkIds":["1n%d"],"subnetIds":["1s%d"]}`, n, sub)).fails(422, "NetworkIdsSubnetIdsMutuallyExclusive", "-")
		s.make("/v1/containers", fmt.Sprintf(`{"imageUuid":"sim:x","networkIds":["1n%d"]}`, n)).has(map[string]string{"data.fields.networkIds": fmt.Sprintf("[%d]", n), "networkIds": "null"})
	})
}

func TestBellsRingAfterTheCommit(t *testing.T) {
	t.Parallel()
	var rung []store.Bell
	s := embedded(t, func(c *configOf) { c.Ring = func(b []store.Bell) { rung = append(rung, b...) } })
	s.make("/v1/containers", `{"imageUuid":"sim:x"}`)
	if len(rung) != 2 { // of the image and of the instance
		t.Errorf("rung were %v", rung)
	}
	s.post("/v1/hosts", `{"uuid":"x"}`).is(201)
	n := len(rung)
	s.post("/v1/hosts", `{"uuid":"x"}`).is(409)
	if len(rung) != n {
		t.Error("a bell rang for nothing")
	}
}
