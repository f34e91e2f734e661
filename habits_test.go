package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// classic is a client that knows nothing but what the schemas say and goes about it
// as the oldest clients do: it reads once which types there are, lists by
// links.collection, writes to links.self and acts by actions.
type classic struct {
	t              *testing.T
	p              *program
	types          map[string]object
	access, secret string // None where nobody has given it any
}

// reply is an answer with what clients look at beside the body.
type reply struct {
	status int
	header http.Header
	text   string
	body   object
}

// call sends a body as JSON text without naming its type.
func (c *classic) call(method, address string, body any) reply {
	c.t.Helper()
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, address, text)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(cmp.Or(c.access, "None"), cmp.Or(c.secret, "None"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(b)}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &r.body); err != nil {
			c.t.Fatalf("%s %s answers what is no JSON: %q", method, address, b)
		}
	}
	return r
}

// learn reads the schemas from where the first answer says they are.
func (c *classic) learn() {
	c.t.Helper()
	first := c.call("GET", c.p.url+"/v1", nil)
	at := first.header.Get("X-API-Schemas")
	if at == "" {
		c.t.Fatal("no answer says where the schemas are")
	}
	c.types = map[string]object{}
	for _, d := range c.call("GET", at, nil).body["data"].([]any) {
		if s := object(d.(map[string]any)); s["type"] == "schema" {
			c.types[s.id()] = s
		}
	}
}

// as is the same client with the keys of a new account, which has read its own schemas.
func (c *classic) as(kind string) *classic {
	c.t.Helper()
	q, _ := c.p.account(kind)
	u, err := url.Parse(q.url)
	if err != nil {
		c.t.Fatal(err)
	}
	other := &classic{t: c.t, p: c.p, access: u.User.Username()}
	other.secret, _ = u.User.Password()
	other.learn()
	return other
}

// in follows keys into an object.
func in(o any, keys ...string) any {
	for _, k := range keys {
		switch m := o.(type) {
		case object:
			o = m[k]
		case map[string]any:
			o = m[k]
		default:
			return nil
		}
	}
	return o
}

func (c *classic) methods(typ, which string) []string {
	var out []string
	list, _ := c.types[typ][which].([]any)
	for _, m := range list {
		out = append(out, m.(string))
	}
	return out
}

// at is where a type's collection is, "" if it cannot be listed.
func (c *classic) at(typ string) string {
	s, _ := in(c.types[typ], "links", "collection").(string)
	return s
}

func (c *classic) list(typ string, query ...string) reply {
	c.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		v.Add(query[i], query[i+1])
	}
	r := c.call("GET", c.at(typ)+"?"+v.Encode(), nil)
	if r.status != 200 {
		c.t.Fatalf("listing %s by %v answers %d %s", typ, query, r.status, r.text)
	}
	return r
}

// items are the elements of a collection.
func (r reply) items() []object {
	var out []object
	list, _ := r.body["data"].([]any)
	for _, d := range list {
		out = append(out, object(d.(map[string]any)))
	}
	return out
}

func (c *classic) create(typ string, body object) object {
	c.t.Helper()
	r := c.call("POST", c.at(typ), body)
	if r.status != 201 {
		c.t.Fatalf("a %s is refused: %s", typ, r.text)
	}
	return r.body
}

// reload reads an object again as these clients do: by its type and id, not by its
// own address.
func (c *classic) reload(o object) object {
	c.t.Helper()
	r := c.call("GET", c.at(o["type"].(string))+"/"+o.id(), nil)
	if r.status != 200 {
		c.t.Fatalf("%v %s cannot be read again: %s", o["type"], o.id(), r.text)
	}
	return r.body
}

// rest waits until an object is not on its way any more.
func (c *classic) rest(o object) object {
	c.t.Helper()
	for pause, end := 10*time.Millisecond, time.Now().Add(45*time.Second); ; pause = min(2*pause, 200*time.Millisecond) {
		if o = c.reload(o); o["transitioning"] != "yes" {
			return o
		}
		if time.Now().After(end) {
			c.t.Fatalf("%v %s is still %s: %v", o["type"], o.id(), o.state(), o["transitioningMessage"])
		}
		<-time.After(pause)
	}
}

// success waits until an object is at rest and expects that all went well.
func (c *classic) success(o object) object {
	c.t.Helper()
	if o = c.rest(o); o["transitioning"] != "no" {
		c.t.Fatalf("%v %s failed: %v", o["type"], o.id(), o["transitioningMessage"])
	}
	return o
}

// link is where an object's link or action leads.
func (o object) link(name string) string   { s, _ := in(o, "links", name).(string); return s }
func (o object) action(name string) string { s, _ := in(o, "actions", name).(string); return s }

func (c *classic) check(ok bool, what string, args ...any) {
	c.t.Helper()
	if !ok {
		c.t.Errorf(what, args...)
	}
}

// The clients that were there before us go on working: each of their habits by its
// number in the contract's tenth table.
func TestTheHabitsOfTheClientsThatAreThere(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, inst *installation) {
		p := inst.start()
		p.simulators(1)
		base := &classic{t: t, p: p}
		base.learn()
		running := base.success(base.create("container", object{"imageUuid": "sim:habits", "name": "running"}))
		if len(habits) != 31 {
			t.Fatalf("%d habits are tried, the table has 31", len(habits))
		}
		for i, h := range habits {
			t.Run(fmt.Sprintf("%d %s", i+1, h.name), func(t *testing.T) {
				h.try(&classic{t: t, p: p, types: base.types}, base.reload(running))
			})
		}
	})
}

// none stands for a key that is not there, where null is another thing.
const none = "none"

// unshown are fields of a container that are taken and never shown.
var unshown = []string{"credentialIds", "instanceLinks", "networkIds", "ports", "subnetIds", "vnetIds"}

// habits are the rows of the table, in its order. Each gets a running container,
// which it leaves running.
var habits = []struct {
	name string
	try  func(c *classic, running object)
}{
	{"schemas are found by a header", func(c *classic, running object) {
		for _, address := range []string{c.p.url + "/", c.p.url + "/v1", c.p.url + "/v1/schemas", running.link("self"), c.at("host"), c.at("subscribe")} {
			r := c.call("GET", address, nil)
			c.check(r.status == 200 && r.header.Get("X-API-Schemas") == c.p.url+"/v1/schemas", "%s answers %d with %q", address, r.status, r.header.Get("X-API-Schemas"))
			c.check(r.header.Get("X-API-Client-IP") == "127.0.0.1", "%s answers %q", address, r.header.Get("X-API-Client-IP"))
		}
		made := c.call("POST", c.at("network"), object{})
		c.success(made.body)
		for status, r := range map[int]reply{
			201: made,
			200: c.call("PUT", made.body.link("self"), object{"name": "header"}),
			202: c.call("POST", c.reload(made.body).action("deactivate"), object{}),
		} {
			c.check(r.status == status && r.header.Get("X-API-Schemas") == c.p.url+"/v1/schemas", "a write answers %d, not %d, with %q", r.status, status, r.header.Get("X-API-Schemas"))
		}
		all := c.call("GET", c.p.url+"/v1/schemas", nil)
		c.check(len(all.items()) == len(c.types) && all.body["type"] == "collection", "not all of the schemas are of that type")
		r := c.call("POST", c.p.url+"/v1/publish", object{"name": "habits"})
		c.check(r.status == 201 && r.header.Get("X-API-Schemas") == c.p.url+"/v1/schemas" && r.header.Get("X-API-Client-IP") == "127.0.0.1", "an event is taken with %d %v", r.status, r.header)
		c.check(len(c.types) > 70, "%d types are there", len(c.types))
	}},
	{"methods follow from the schemas", func(c *classic, _ object) {
		// Names become words where a capital follows a small letter, and nowhere else.
		words := regexp.MustCompile(`^[a-z]+([A-Z][a-z]+)*$`)
		for name, s := range c.types {
			c.check(words.MatchString(name), "%s is not found again from its words", name)
			for _, which := range []string{"collectionMethods", "resourceMethods"} {
				for _, m := range c.methods(name, which) {
					c.check(slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, m), "%s has method %s", name, m)
				}
			}
			c.check(s["resourceFields"] != nil, "%s has no fields", name)
		}
		for _, m := range [][3]string{{"processInstance", "collectionMethods", "GET"}, {"hostIpAddressMap", "collectionMethods", "POST"}, {"container", "resourceMethods", "PUT"}} {
			c.check(slices.Contains(c.methods(m[0], m[1]), m[2]), "%s has the %s %v", m[0], m[1], c.methods(m[0], m[1]))
		}
		for _, m := range [][3]string{{"processInstance", "collectionMethods", "POST"}, {"volume", "collectionMethods", "POST"}, {"volume", "resourceMethods", "PUT"}, {"activeSetting", "collectionMethods", "GET"}} {
			c.check(!slices.Contains(c.methods(m[0], m[1]), m[2]), "%s has the %s %v", m[0], m[1], c.methods(m[0], m[1]))
		}
	}},
	{"lists go by links.collection", func(c *classic, _ object) {
		for name := range c.types {
			lists := slices.Contains(c.methods(name, "collectionMethods"), "GET")
			c.check(lists == (c.at(name) != ""), "%s lists: %v, its collection: %q", name, lists, c.at(name))
			if !lists || name == "authorized" { // the one list that is plain text
				continue
			}
			r := c.list(name, "limit", "3")
			c.check(r.body["type"] == "collection" && r.body["resourceType"] == name, "the list of %s is %s", name, r.text)
		}
		c.check(c.types["unicorn"] == nil, "there are unicorns")
	}},
	{"objects are read again by type and id", func(c *classic, _ object) {
		user := c.as("user")
		user.success(user.create("container", object{"imageUuid": "sim:habits", "startOnCreate": false}))
		for _, c := range []*classic{c, user} {
			for name := range c.types {
				if c.at(name) == "" || name == "authorized" || name == "setting" { // settings go by their names
					continue
				}
				for _, o := range c.list(name, "limit", "5").items() {
					typ, _ := o["type"].(string)
					if o.id() == "" { // embedded objects have none
						continue
					}
					c.check(c.at(typ) != "", "an element of %s is of type %s, which is not listed", name, typ)
					again := c.reload(o)
					c.check(again.id() == o.id() && again["type"] == typ, "%s %s is read again as %s %s", typ, o.id(), again["type"], again.id())
				}
			}
		}
		c.check(len(user.list("instance").items()) == 1, "the user sees %v", user.list("instance").items())
	}},
	{"what is not there is 404 in JSON", func(c *classic, _ object) {
		for _, id := range []string{"1i99999", "1i", "42", "nonsense", "1i9999999999999999999999"} {
			r := c.call("GET", c.at("container")+"/"+id, nil)
			c.check(r.status == 404 && r.body["status"] == 404.0, "%s is %d %s", id, r.status, r.text)
		}
	}},
	{"updates and deletes go to links.self", func(c *classic, _ object) {
		o := c.success(c.create("network", object{"name": "before"}))
		r := c.call("PUT", o.link("self"), object{"name": "after"})
		c.check(r.status == 200 && r.body["name"] == "after", "an update answers %d %s", r.status, r.text)
		c.call("POST", o.action("deactivate"), object{})
		o = c.success(o)
		r = c.call("DELETE", o.link("self"), nil)
		c.check(r.status == 200 && r.body.state() == "removing", "a delete answers %d %s", r.status, r.text)
		c.check(c.success(o).state() == "removed", "it is not removed")
	}},
	{"whole objects are sent back", func(c *classic, running object) {
		o := c.success(c.create("physicalHost", object{"name": "whole"}))
		before := c.reload(o)
		o["name"], o["links"], o["nothing"], o["createdTS"] = "changed", object{"self": "x"}, []int{1}, 5
		r := c.call("PUT", before.link("self"), o)
		c.check(r.status == 200, "a whole object is refused: %s", r.text)
		after := c.reload(o)
		c.check(after["name"] == "changed" && after.id() == before.id() && after["createdTS"] == before["createdTS"] && after.state() == before.state() && after.link("self") == before.link("self"),
			"it became %v", after)
		r = c.call("PUT", running.link("self"), running)
		c.check(r.status == 200, "a whole container is refused: %s", r.text)
		for name, v := range c.reload(running) {
			c.check(reflect.DeepEqual(v, running[name]), "a container that was sent back has another %s: %v, not %v", name, v, running[name])
		}
	}},
	{"bodies are JSON without saying so", func(c *classic, _ object) {
		o := c.create("physicalHost", object{"name": "plain", "data": object{"fields": object{"x": []int{1}}}})
		c.check(o["name"] == "plain" && fmt.Sprint(in(o["data"], "fields", "x")) == "[1]", "it was read as %v", o)
	}},
	{"actions are addresses, and there only when possible", func(c *classic, running object) {
		for _, name := range []string{"stop", "restart", "migrate", "update"} {
			c.check(running.action(name) == running.link("self")+"/?action="+name, "%s is at %q", name, running.action(name))
		}
		c.check(len(running["actions"].(map[string]any)) == 4, "a running container offers %v", running["actions"])
		r := c.call("POST", running.action("restart"), object{})
		c.check(r.status == 202 && r.body.id() == running.id(), "an action answers %d %s", r.status, r.text)
		c.check(c.success(running).state() == "running", "it is not running any more")
		o := c.success(c.create("container", object{"imageUuid": "sim:habits"}))
		_, start := o["actions"].(map[string]any)["start"]
		c.check(!start, "what is running can be started: %v", o["actions"])
		c.call("POST", o.action("stop"), object{"remove": true})
		o = c.success(o)
		_, stop := o["actions"].(map[string]any)["stop"]
		c.check(!stop && o.state() == "removed", "stopped to be removed, it is %s and offers %v", o.state(), o["actions"])
	}},
	{"links and fields do not share names", func(c *classic, running object) {
		for name, s := range c.types {
			for field := range s["resourceFields"].(map[string]any) {
				link := slices.Contains(s["includeableLinks"].([]any), any(strings.ToLower(field)))
				c.check(!link || slices.Contains(unshown, field), "%s has a field that is called as its link %s", name, field)
			}
			if c.at(name) == "" || name == "authorized" {
				continue
			}
			for _, o := range c.list(name, "limit", "2").items() {
				links, _ := o["links"].(map[string]any)
				for link := range links {
					_, there := o[link]
					c.check(!there || link == "registrationUrl", "a %s has a field and a link %s", name, link)
				}
			}
		}
		c.check(len(c.call("GET", running.link("hosts"), nil).items()) == 1, "it is on no host")
		c.check(c.call("GET", running.link("account"), nil).body["type"] == "account", "it has no account")
	}},
	{"what is included is an attribute", func(c *classic, running object) {
		with := c.list("container", "include", "instanceHostMaps", "include", "volumes", "include", "nothing", "name", "running").items()[0]
		maps, _ := with["instanceHostMaps"].([]any)
		c.check(len(maps) == 1 && in(maps[0], "hostId") != nil, "included are %v", with["instanceHostMaps"])
		host := c.reload(object{"type": "host", "id": in(maps[0], "hostId")})
		c.check(host["type"] == "host", "its host is %v", host)
		bare := c.call("GET", running.link("self")+"?include=credentials&include=credentialInstanceMaps&include=agent", nil).body
		for _, name := range []string{"credentials", "credentialInstanceMaps", "agent"} {
			_, there := bare[name]
			c.check(!there && bare.link(name) == running.link(name), "nothing is related by %s, which is %v", name, bare[name])
		}
		c.check(bare.link("credentials") != "", "an empty relation has no link")
		_, there := running["instanceHostMaps"]
		c.check(!there, "it is included without being asked for")
	}},
	{"there is a next page, or none", func(c *classic, _ object) {
		for i := range 3 {
			c.create("physicalHost", object{"name": fmt.Sprint("page", i), "description": "pages"})
		}
		first := c.list("physicalHost", "limit", "2", "description", "pages")
		next, _ := in(first.body, "pagination", "next").(string)
		second := c.call("GET", next, nil)
		c.check(len(first.items()) == 2 && len(second.items()) == 1, "the pages have %d and %d", len(first.items()), len(second.items()))
		c.check(in(second.body, "pagination", "next") == nil && in(second.body, "pagination", "partial") == false, "the last page goes on: %v", second.body["pagination"])
		c.check(in(c.list("schema").body, "pagination") == nil, "schemas have pages")
	}},
	{"collections have data, and nothing else has a list of that name", func(c *classic, running object) {
		for name := range c.types {
			if c.at(name) == "" || name == "authorized" {
				continue
			}
			r := c.list(name, "limit", "2")
			_, list := r.body["data"].([]any)
			c.check(list, "the list of %s has no data", name)
			for _, o := range r.items() {
				_, list := o["data"].([]any)
				c.check(!list, "a %s looks like a collection", name)
			}
		}
		_, list := running["data"].([]any)
		c.check(!list, "a container looks like a collection")
	}},
	{"lists of values are repeated parameters", func(c *classic, _ object) {
		c.create("physicalHost", object{"name": "ab"})
		c.create("physicalHost", object{"name": "ac"})
		found := c.list("physicalHost", "name_like", "a%", "name_like", "%b").items()
		c.check(len(found) == 1 && found[0]["name"] == "ab", "found were %v", found)
	}},
	{"truth comes in capitals", func(c *classic, _ object) {
		yes := c.create("image", object{"name": "truth", "isPublic": true})
		no := c.create("image", object{"name": "truth", "isPublic": false})
		c.check(yes["isPublic"] == true && no["isPublic"] == false, "they are %v and %v", yes["isPublic"], no["isPublic"])
		for text, id := range map[string]string{"True": yes.id(), "False": no.id()} {
			found := c.list("image", "name", "truth", "isPublic", text).items()
			c.check(len(found) == 1 && found[0].id() == id, "%s finds %v", text, found)
		}
	}},
	{"the modifiers of filters are published", func(c *classic, _ object) {
		for name, s := range c.types {
			for field, f := range s["collectionFilters"].(map[string]any) {
				typ, _ := in(s["resourceFields"], field, "type").(string)
				want := "[eq ne null notnull]"
				switch {
				case field == "eventNames" || field == "token" && typ == "": // a parameter, not a column
					want = "[eq]"
				case typ == "string":
					want = "[eq ne prefix like notlike null notnull]"
				case typ == "int" || typ == "date":
					want = "[eq ne lt lte gt gte null notnull]"
				case typ == "": // a column that is not shown
					continue
				}
				c.check(fmt.Sprint(in(f, "modifiers")) == want, "%s.%s, which is a %s, has the modifiers %v", name, field, typ, in(f, "modifiers"))
			}
		}
	}},
	{"every refusal can be read", func(c *classic, running object) {
		for _, x := range []struct {
			method, address string
			body            any
			status          int
			code            string
			field           any // of a validation, none of others
		}{
			{"GET", c.p.url + "/v2", nil, 422, "UnsupportedVersion", nil},
			{"GET", c.p.url + "/v1/unicorns", nil, 404, "Not Found", none},
			{"GET", c.at("container") + "/42", nil, 404, "Not Found", none},
			{"PATCH", c.at("container"), nil, 405, "Method not allowed", none},
			{"POST", c.at("instance"), object{}, 405, "Method not allowed", none},
			{"POST", c.at("container"), object{}, 422, "MissingRequired", "imageUuid"},
			{"POST", running.link("self") + "/?action=start", object{}, 422, "ActionNotAvailable", "action"},
			{"POST", c.at("container"), object{"imageUuid": "sim:x", "requestedHostId": "1h0"}, 422, "InvalidReference", "requestedHostId"},
			{"DELETE", c.list("host").items()[0].link("self"), nil, 409, "Conflict", none},
		} {
			r := c.call(x.method, x.address, x.body)
			_, message := r.body["message"]
			field, there := r.body["fieldName"]
			c.check(r.status == x.status && r.body["status"] == float64(x.status) && r.body["code"] == x.code && r.body["type"] == "error" && message,
				"%s %s answers %d %s", x.method, x.address, r.status, r.text)
			c.check(there == (x.field != none) && (!there || field == x.field), "%s %s blames %v: %s", x.method, x.address, field, r.text)
		}
	}},
	{"a conflict has done nothing, so that it may be tried again", func(c *classic, _ object) {
		host := c.list("host").items()[0]
		for range 3 {
			r := c.call("DELETE", host.link("self"), nil)
			c.check(r.status == 409 && r.body["code"] == "Conflict", "an active host answers %d %s", r.status, r.text)
		}
		again := c.reload(host)
		c.check(again.state() == "active" && again["transitioning"] == "no", "it became %s", again.state())
		raw := strings.TrimLeft(host.id(), "1h")
		c.check(len(c.list("processInstance", "resourceType", "host", "resourceId", raw, "processName", "host.remove").items()) == 0, "a process was started")
		o := c.success(c.create("container", object{"imageUuid": "sim:habits", "startOnCreate": false, "ports": []string{"8080:80"}}))
		port := c.call("GET", o.link("ports"), nil).items()[0]
		c.call("POST", port.action("remove"), object{})
		port = c.success(port)
		for range 3 {
			r := c.call("PUT", port.link("self"), object{"publicPort": 8081})
			c.check(r.status == 409 && r.body["status"] == 409.0, "a removed port answers %d %s", r.status, r.text)
		}
		c.check(c.reload(port)["publicPort"] == 8080.0, "it became %v", c.reload(port))
	}},
	{"a delete has a body", func(c *classic, _ object) {
		o := c.create("configItem", object{"name": "deleted"})
		r := c.call("DELETE", o.link("self"), nil)
		c.check(r.status == 200 && r.body.id() == o.id(), "it answers %d %q", r.status, r.text)
	}},
	{"what was published is answered with nothing", func(c *classic, _ object) {
		r := c.call("POST", c.p.url+"/v1/publish", object{"name": "habit", "data": object{}})
		c.check(r.status == 201 && r.text == "", "it answers %d %q", r.status, r.text)
	}},
	{"what is created is on its way in the first answer", func(c *classic, _ object) {
		o := c.create("container", object{"imageUuid": "sim:habits"})
		c.check(o["transitioning"] == "yes" && o.state() == "creating", "it is %v %s", o["transitioning"], o.state())
		for _, typ := range []string{"network", "account", "physicalHost", "image", "storagePool"} {
			o := c.create(typ, object{})
			c.check(o["transitioning"] == "yes" && o.state() == "registering", "a %s is %v %s", typ, o["transitioning"], o.state())
		}
		c.success(o)
	}},
	{"at rest all went well, or there is a message", func(c *classic, _ object) {
		o := c.success(c.create("container", object{"imageUuid": "sim:habits"}))
		c.check(o.state() == "running" && o["transitioningMessage"] == nil && o["transitioningProgress"] == nil, "it is %v", o)
		o = c.rest(c.create("container", object{"imageUuid": "sim:habits", "data": object{"compute.instance.activate::fail": true,
			"io.cattle.platform.process.instance.InstanceStart": object{"computeTries": 1}}}))
		c.check(o["transitioning"] == "error" && o["transitioningMessage"] == "Failing [compute.instance.activate]" && o.state() == "removed", "it is %v", o)
		pending := c.list("processInstance", "resourceType", "instance", "resourceId", strings.TrimPrefix(o.id(), "1i"), "endTime_null", "").items()
		c.check(len(pending) == 0, "it was told before the end of %v", pending)
	}},
	{"what is removed stays readable", func(c *classic, _ object) {
		o := c.success(c.create("container", object{"imageUuid": "sim:habits"}))
		c.call("POST", o.action("stop"), object{})
		c.success(o)
		c.call("DELETE", o.link("self"), nil)
		o = c.success(o)
		_, ts := o["removedTS"].(float64)
		c.check(o.state() == "removed" && o["removed"] != nil && o["removeTime"] != nil && ts, "it is %v", o)
		c.check(o["removeTimeTS"].(float64) > o["removedTS"].(float64), "it may be erased before it is removed")
	}},
	{"what is null is there", func(c *classic, running object) {
		fields := c.types["container"]["resourceFields"].(map[string]any)
		for name := range fields {
			_, there := running[name]
			c.check(there != slices.Contains(unshown, name), "%s is there: %v", name, there)
		}
		c.check(running["description"] == nil && running["removed"] == nil, "what was not given is not null")
	}},
	{"defaults have the type of their field", func(c *classic, _ object) {
		c.check(in(c.types["container"], "resourceFields", "startOnCreate", "default") == true, "a container's start is no truth")
		for name, s := range c.types {
			for field, f := range s["resourceFields"].(map[string]any) {
				d, typ := in(f, "default"), in(f, "type")
				_, truth := d.(bool)
				_, number := d.(float64)
				c.check(d == nil || truth == (typ == "boolean") && number == (typ == "int"), "%s.%s has the default %v", name, field, d)
			}
		}
	}},
	{"filters may be missing", func(c *classic, _ object) {
		for name, s := range c.types {
			_, there := s["collectionFilters"].(map[string]any)
			c.check(there, "%s has no filters, not even none", name)
		}
	}},
	{"words are compared as they are", func(c *classic, running object) {
		c.check(running.state() == "running" && running["kind"] == "container" && running["transitioning"] == "no" && running["type"] == "container", "it is %v", running)
	}},
	{"dates are text, with numbers beside them", func(c *classic, running object) {
		at, err := time.Parse("2006-01-02T15:04:05Z", running["created"].(string))
		ts, _ := running["createdTS"].(float64)
		c.check(err == nil && at.Unix() == int64(ts)/1000, "it was created %v, %v", running["created"], running["createdTS"])
		_, there := running["removedTS"]
		c.check(!there, "what is null has a number")
	}},
	{"without security anybody is the administrator", func(c *classic, _ object) {
		other := &classic{t: c.t, p: c.p, access: "nobody", secret: "knows"}
		other.learn()
		for _, c := range []*classic{c, other} {
			c.check(c.types["processInstance"] != nil && c.types["account"] != nil, "a caller with keys that are none sees %d types", len(c.types))
		}
		c.check(other.reload(other.success(other.create("network", object{})))["accountId"] == c.create("network", object{})["accountId"], "it is no administrator who makes a network")
	}},
	{"commands are made from the schemas", func(c *classic, running object) {
		for name, s := range c.types {
			for field, f := range s["resourceFields"].(map[string]any) {
				for _, flag := range []string{"create", "update"} {
					v, truth := in(f, flag).(bool)
					c.check(truth && (field != "id" || !v || name == "publish"), "%s.%s says %s: %v", name, field, flag, in(f, flag))
				}
				_, text := in(f, "type").(string)
				c.check(text, "%s.%s has no type", name, field)
			}
			for action, a := range s["resourceActions"].(map[string]any) {
				input, _ := in(a, "input").(string)
				output, _ := in(a, "output").(string)
				c.check((input == "" || c.types[input] != nil) && c.types[output] != nil, "%s of %s takes %q and gives %q", action, name, input, output)
			}
		}
		// All values come as text, and the number of the status less 400 is the exit code.
		o := c.create("subnet", object{"networkAddress": "10.9.0.0", "cidrSize": "25", "networkId": c.create("network", object{}).id(), "isPublic": "true"})
		c.check(o["cidrSize"] == 25.0 && o["isPublic"] == true, "text became %v and %v", o["cidrSize"], o["isPublic"])
		found := c.list("container", "id", running.id()).items()
		c.check(len(found) == 1 && found[0].id() == running.id(), "by id are %v", found)
	}},
	{"tables are printed from any field", func(c *classic, _ object) {
		for _, o := range c.list("container").items() {
			for _, key := range []string{"id", "type", "links", "actions", "name", "state"} {
				_, there := o[key]
				c.check(there, "a row has no %s", key)
			}
		}
	}},
}
