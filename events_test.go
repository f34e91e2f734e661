package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/testkit"
)

// listener is an open event stream.
type listener struct {
	t      *testing.T
	p      *program
	frames chan object
	close  func()
}

// as is the same server with somebody else asking.
func (p *program) as(access, secret string) *program {
	q := *p
	host := p.url[strings.LastIndexAny(p.url, "/@")+1:]
	q.url = "http://" + access + ":" + secret + "@" + host
	return &q
}

// account makes an account with a key and returns the server as it sees it.
func (p *program) account(kind string) (*program, object) {
	p.t.Helper()
	_, a := p.ask("POST", "/v1/accounts", object{"kind": kind, "name": kind})
	p.becomes("/v1/accounts/"+a.id(), "active")
	var key object
	until(p.t, "the key of the account", 20*time.Second, func() bool {
		for _, k := range p.list("/v1/credentials?kind=apiKey&state=active&accountId=" + a.id()) {
			key = k
		}
		return key != nil
	})
	return p.as(key["publicValue"].(string), key["secretValue"].(string)), a
}

// send posts text and returns the status and the body.
func (p *program) send(path, kind, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest("POST", p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// publish sends an event that must be taken.
func (p *program) publish(e object) {
	p.t.Helper()
	b, _ := json.Marshal(e)
	if status, text := p.send("/v1/publish", "", string(b)); status != 201 || text != "" {
		p.t.Fatalf("publish answers %d %q", status, text)
	}
}

// listen opens a stream of lines with a POST, and waits for it to be in force.
func (p *program) listen(kind, body string) *listener {
	p.t.Helper()
	req, err := http.NewRequest("POST", p.url+"/v1/subscribe", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	l := &listener{p.t, p, make(chan object, 10_000), func() { _ = resp.Body.Close() }}
	p.t.Cleanup(l.close)
	if resp.StatusCode != 201 || resp.Header.Get("Content-Type") != "text/plain" {
		b, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("subscribe answers %s: %s", resp.Status, b)
	}
	go func() {
		defer close(l.frames)
		for r := bufio.NewReader(resp.Body); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if empty, _ := r.ReadString('\n'); empty != "\n" {
				p.t.Errorf("behind an event there is %q", empty)
			}
			o := object{}
			if json.Unmarshal([]byte(line), &o) != nil {
				p.t.Errorf("an event is %q", line)
			}
			l.frames <- o
		}
	}()
	l.ready()
	return l
}

// names is the body of a subscription.
func names(n ...string) string {
	b, _ := json.Marshal(object{"eventNames": n})
	return string(b)
}

// watch opens a WebSocket, and waits for it to be in force.
func (p *program) watch(query string) *listener {
	p.t.Helper()
	l := &listener{p.t, p, make(chan object, 10_000), nil}
	header := http.Header{}
	address := strings.Replace(p.url, "http", "ws", 1)
	if req, err := http.NewRequest("GET", p.url, nil); err == nil && req.URL.User != nil {
		password, _ := req.URL.User.Password()
		req.SetBasicAuth(req.URL.User.Username(), password)
		header = req.Header
		address = "ws://" + req.URL.Host
	}
	conn, _, err := gws.NewClient(frames{l: l}, &gws.ClientOption{Addr: address + "/v1/subscribe?" + query, RequestHeader: header})
	if err != nil {
		p.t.Fatal(err)
	}
	l.close = func() { _ = conn.NetConn().Close() }
	p.t.Cleanup(l.close)
	go conn.ReadLoop()
	l.ready()
	return l
}

type frames struct {
	gws.BuiltinEventHandler
	l *listener
}

func (f frames) OnMessage(_ *gws.Conn, m *gws.Message) {
	o := object{}
	if json.Unmarshal(m.Bytes(), &o) != nil {
		f.l.t.Errorf("a frame is %q", m.Bytes())
	}
	f.l.frames <- o
}

func (f frames) OnClose(*gws.Conn, error) { close(f.l.frames) }

// ready takes the first frame, which says that the stream is in force.
func (l *listener) ready() {
	l.t.Helper()
	if o := l.next("the first ping", func(object) bool { return true }); o["name"] != "ping" || o["replyTo"] != nil {
		l.t.Fatalf("the first frame is %v", o)
	}
}

// next waits for an event; others are passed over.
func (l *listener) next(what string, wanted func(object) bool) object {
	l.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case o, open := <-l.frames:
			if !open {
				l.t.Fatalf("the stream ended before %s", what)
			}
			if wanted(o) {
				return o
			}
		case <-limit:
			l.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// named wants the next event of a name.
func (l *listener) named(name string) object {
	l.t.Helper()
	return l.next(name, func(o object) bool { return o["name"] == name })
}

func embedded(t *testing.T, env ...string) *program {
	t.Helper()
	return (&installation{t, append(env, "CATTLE_HOME="+t.TempDir(), "CATTLE_HTTP_PORT="+freePort(t))}).start()
}

func TestEveryWayToSubscribe(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		const demo = "instance.start;handler=de-mo"
		var form bytes.Buffer
		form.WriteString("--x\r\nContent-Disposition: form-data; name=\"eventNames\"\r\n\r\n" + demo +
			"\r\n--x\r\nContent-Disposition: form-data; name=\"eventNames\"\r\n\r\nother\r\n--x--\r\n")
		all := []*listener{
			p.listen("", names(demo, "other")),
			p.listen("application/x-www-form-urlencoded", names(demo, "other")), // as curl -d says
			p.listen("application/x-www-form-urlencoded", "eventNames="+demo+"&eventNames=other"),
			p.listen("multipart/form-data; boundary=x", form.String()),
			p.watch("eventNames=" + demo + "&eventNames=other"),
			p.watch("eventNames=instance.start%3Bhandler%3Dde-mo&eventNames=other"),
			p.watch("eventNames=*&eventNames=other"),
			p.watch("eventNames=instance.*"),
		}
		p.publish(object{"name": demo, "resourceType": "instance", "resourceId": "1i7", "data": object{"a": "<b>"}, "time": "12", "timeoutMillis": 5, "replyTo": "reply.a.b"})
		for i, l := range all {
			o := l.named(demo)
			if data, _ := o["data"].(map[string]any); o["resourceId"] != "1i7" || o["resourceType"] != "instance" || data["a"] != "<b>" || o["time"] != 12.0 {
				t.Errorf("listener %d reads %v", i, o)
			}
			for _, key := range []string{"id", "previousIds", "previousNames", "replyTo", "publisher", "timeoutMillis", "transitioning",
				"transitioningMessage", "transitioningInternalMessage", "transitioningProgress", "context"} {
				if _, ok := o[key]; !ok {
					t.Errorf("listener %d misses %s", i, key)
				}
			}
		}
	})
}

func TestPingsShowThatAStreamLives(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_API_SUB_PING_INTERVAL_MILLIS=30", "CATTLE_API_SUB_MAX_PINGS=4")
	for _, l := range []*listener{p.listen("", "{}"), p.watch("")} {
		for range 3 {
			l.named("ping")
		}
		if o, open := <-l.frames; open {
			t.Errorf("after the last ping came %v", o)
		}
	}
}

func TestWhatCannotBeSubscribedToOrPublished(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_API_SECURITY_ENABLED=false")
	user, _ := p.account("user")
	reader, _ := p.account("readAdmin")
	for _, x := range []struct {
		who         *program
		path, body  string
		status      int
		code, field string
	}{
		{p, "/v1/subscribe", `{"eventNames":["a b"]}`, 422, "InvalidCharacters", "eventNames"},
		{p, "/v1/subscribe", `{"eventNames":[""]}`, 422, "MinLengthExceeded", "eventNames"},
		{p, "/v1/subscribe", `{"eventNames":null}`, 422, "NotNullable", "eventNames"},
		{p, "/v1/subscribe", `{"eventNames":[`, 400, "InvalidBodyContent", ""},
		{p, "/v1/subscribe", `{"agentId":"1a99"}`, 422, "InvalidReference", "agentId"},
		{p, "/v1/publish", `{"data":{}}`, 422, "MissingRequired", "name"},
		{p, "/v1/publish", `no`, 400, "InvalidBodyContent", ""},
		{reader, "/v1/publish", `{"name":"a"}`, 405, "Method not allowed", ""},
		{user, "/v1/publish", `{"name":"a"}`, 404, "Not Found", ""},
	} {
		status, text := x.who.send(x.path, "", x.body)
		o := object{}
		_ = json.Unmarshal([]byte(text), &o)
		field, _ := o["fieldName"].(string)
		if status != x.status || o["code"] != x.code || field != x.field || o["type"] != "error" {
			t.Errorf("%s %s answers %d %s", x.path, x.body, status, text)
		}
	}
	if status, o := p.ask("GET", "/v1/subscribe?eventNames=a", nil); status != 200 || o["type"] != "collection" {
		t.Errorf("a GET answers %d %v", status, o)
	}
}

// A front end may say what it was asked for, and by whom, to the part with the streams as
// to any other; without the setting nobody is believed.
func TestAFrontEndSaysWhatItWasAskedFor(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[string][2]string{"true": {"https://front/v1/schemas", "10.9.9.9"}, "false": {"", "127.0.0.1"}} {
		p := embedded(t, "CATTLE_API_ALLOW_CLIENT_OVERRIDE="+allowed)
		if want[0] == "" {
			want[0] = p.url + "/v1/schemas"
		}
		for _, x := range [][2]string{{"POST", "/v1/publish"}, {"GET", "/v1/hosts"}} {
			req, err := http.NewRequest(x[0], p.url+x[1], strings.NewReader(`{"name":"front"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-API-request-url", "https://Front"+x[1])
			req.Header.Set("X-API-client-ip", "10.9.9.9")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := [2]string{resp.Header.Get("X-API-Schemas"), resp.Header.Get("X-API-Client-IP")}; resp.StatusCode >= 400 || got != want {
				t.Errorf("%s answers %s and %v, not %v", x[1], resp.Status, got, want)
			}
		}
	}
}

func TestAccountsHearWhatIsTheirs(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	user, account := p.account("user")
	number := strings.TrimPrefix(account.id(), "1a")
	l := user.listen("", names("news;account=1", "last"))
	p.publish(object{"name": "news"})
	p.publish(object{"name": "news;account=1"})
	p.publish(object{"name": "last"})
	p.publish(object{"name": "news;account=" + number, "data": object{"for": "you"}})
	if o := l.next("the news", func(o object) bool { return o["name"] != "ping" }); o["name"] != "news" || o["data"] == nil {
		t.Errorf("the user hears %v", o)
	}
}

func TestSecuredStreamsWantAKey(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_API_SECURITY_ENABLED=true", "CATTLE_HTTP_HOST=0.0.0.0")
	var access, secret string
	until(t, "the key", 5*time.Second, func() bool {
		for _, line := range strings.Fields(p.log.String()) {
			if v, ok := strings.CutPrefix(line, "CATTLE_ACCESS_KEY="); ok {
				access = v
			}
			if v, ok := strings.CutPrefix(line, "CATTLE_SECRET_KEY="); ok {
				secret = v
			}
		}
		return secret != ""
	})
	for _, path := range []string{"/v1/subscribe", "/v1/publish"} {
		for _, who := range []*program{p, p.as(access, "wrong"), p.as("nobody", secret)} {
			for _, body := range []string{`{"name":"a"}`, `{"name":`} {
				if status, text := who.send(path, "", body); status != 401 || !strings.Contains(text, `"Unauthorized"`) {
					t.Errorf("a stranger who sends %s gets %d %s", body, status, text)
				}
			}
		}
	}
	admin := p.as(access, secret)
	l := admin.listen("", names("news"))
	admin.publish(object{"name": "news"})
	l.named("news")
}

// One port answers for the API and for the event stream: whoever asks cannot tell them apart.
func TestTheEventStreamAnswersAsTheRestOfTheAPI(t *testing.T) {
	t.Parallel()
	in, access, secret := secured(t, "CATTLE_API_AUTH_REALM=The \"house\"", "CATTLE_API_ALLOW_CLIENT_OVERRIDE=true")
	p := in.start()
	ask := func(method, path, key string, header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true // the first request on a connection decides who gets it
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		req.SetBasicAuth(access, key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for _, path := range []string{"/v1/hosts", "/v1/subscribe"} {
		if got := ask("POST", path, "wrong").Header.Get("WWW-Authenticate"); got != `Basic realm="The 'house'"` {
			t.Errorf("%s asks for keys with %s", path, got)
		}
		if got := ask("POST", path, secret, "X-API-client-ip", "10.1.2.3").Header.Get("X-API-Client-IP"); got != "10.1.2.3" {
			t.Errorf("%s says that the client is at %s", path, got)
		}
		if got := ask("POST", path, secret, "X-API-client-ip", "10.1.2.3", "X-Forwarded-For", "10.3.2.1").Header.Get("X-API-Client-IP"); got != "10.3.2.1" {
			t.Errorf("%s says that the client is at %s behind its proxy", path, got)
		}
		if got := ask("POST", path, secret, "X-API-request-url", "https://outside:8/v1/"+path).Header.Get("X-API-Schemas"); got != "https://outside:8/v1/schemas" {
			t.Errorf("%s has its schemas at %s", path, got)
		}
		page := ask("GET", path, secret, "User-Agent", "Mozilla/5.0")
		if text, _ := io.ReadAll(page.Body); page.StatusCode != 200 || !strings.HasPrefix(string(text), "<!DOCTYPE html>") || page.Header.Get("Set-Cookie") == "" {
			t.Errorf("%s shows a browser %s: %s", path, page.Status, text)
		}
		if resp := ask("GET", "/v1/subscribe", secret, "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "8"); resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("what is no clean upgrade is answered %s as %s", resp.Status, resp.Header.Get("Content-Type"))
		}
		fresh := ask("POST", path, "wrong", "User-Agent", "Mozilla/5.0").Header.Get("Set-Cookie")
		if value, rest, _ := strings.Cut(strings.TrimPrefix(fresh, "CSRF="), ";"); len(value) != 32 || !strings.EqualFold(rest, " path=/") {
			t.Errorf("%s refuses a browser with the cookie %q", path, fresh)
		}
		foreign := ask("POST", path, secret, "User-Agent", "Mozilla/5.0", "Cookie", "CSRF=0123456789ABCDEF")
		if got := foreign.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "CSRF=0123456789ABCDEF;") {
			t.Errorf("%s gives a foreign page the cookie %q", path, got)
		}
		if text, _ := io.ReadAll(foreign.Body); foreign.StatusCode != 403 || !strings.Contains(string(text), "must repeat the cookie") {
			t.Errorf("%s answers a foreign page %s: %s", path, foreign.Status, text)
		}
		for _, action := range []string{"", "nothing"} {
			refused := ask("POST", path+"?action="+action, secret)
			if text, _ := io.ReadAll(refused.Body); refused.StatusCode != 422 || !strings.Contains(string(text), `"InvalidAction"`) || !strings.Contains(string(text), `"fieldName":"action"`) {
				t.Errorf("the action %q of %s is answered %s: %s", action, path, refused.Status, text)
			}
		}
		if got := ask("POST", strings.Replace(path, "v1", "V1", 1), secret).StatusCode; got != 422 {
			t.Errorf("%s of another version answers %d", path, got)
		}
	}
}

// An event has all its keys, and so have the data of those that the server tells.
func TestEventsHaveTheirKeys(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	observer, _ := p.account("readAdmin")
	l := p.listen("", names("api.change", "odd"))
	plain := map[string]*listener{"1": p.watch("eventNames=api.change&_plainId"), "1h1": p.watch("eventNames=api.change&_plainId=false")}
	veiled := observer.watch("eventNames=api.change&_plainId")
	_, h := p.ask("POST", "/v1/hosts", object{})
	p.becomes("/v1/hosts/"+h.id(), "active")
	p.ask("POST", "/v1/hosts/"+h.id()+"/?action=deactivate", object{})
	for _, want := range []object{
		{"method": "POST", "type": "host", "id": "1", "action": nil, "responseCode": 201.0, "accountId": 1.0},
		{"method": "POST", "type": "host", "id": "1", "action": "deactivate", "responseCode": 202.0, "accountId": 1.0},
	} {
		e := l.named("api.change")
		if got, _ := e["data"].(map[string]any); e["resourceType"] != "host" || e["resourceId"] != h.id() || fmt.Sprint(got) != fmt.Sprint(map[string]any(want)) {
			t.Errorf("told was %v, not %v", e, want)
		}
	}
	for want, l := range plain {
		if e := l.named("api.change"); e["resourceId"] != want {
			t.Errorf("the id is written as %v, not %s", e["resourceId"], want)
		}
	}
	if e := veiled.named("api.change"); e["resourceId"] != "1h1" {
		t.Errorf("an observer, who may not ask for plain ids, reads %v", e["resourceId"])
	}
	p.publish(object{"name": "odd", "resourceId": "1h1"})
	if e := l.named("odd"); e["resourceId"] != nil {
		t.Errorf("an id of no type is shown: %v", e)
	}
}

// Every state that a resource enters is told, whoever has set it: a request, the clock or
// a process.
func TestEveryStateIsTold(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_TASK_PURGE_RESOURCES_SCHEDULE=1", "CATTLE_OBJECT_REMOVE_TIME_DELAY_SECONDS=1")
	l := p.listen("", names("state.change"))
	_, h := p.ask("POST", "/v1/hosts", object{})
	path := "/v1/hosts/" + h.id()
	for _, act := range []object{{"active": "deactivate"}, {"inactive": "remove"}} {
		for state, action := range act {
			p.becomes(path, state)
			p.ask("POST", path+"/?action="+fmt.Sprint(action), object{})
		}
	}
	told := map[string]bool{}
	l.next("the host to be purged", func(o object) bool {
		moved := data(o)
		if o["resourceType"] == "host" && o["resourceId"] == h.id() {
			told[fmt.Sprint(moved["previousState"], " ", moved["state"], " ", moved["accountId"])] = true
		}
		return moved["state"] == "purged"
	})
	for _, move := range []string{"requested registering", "registering activating", "activating active", "active deactivating", "deactivating inactive",
		"inactive removing", "removing removed", "removed purging", "purging purged"} {
		if !told[move+" 1"] {
			t.Errorf("that it went from %s was not told: %v", strings.Replace(move, " ", " to ", 1), told)
		}
	}
}

// Whoever may see a resource is told of it once it has changed, and reads it as a
// GET would give it.
func TestAResourceChanges(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		user, account := p.account("user")
		other, _ := p.account("user")
		admins := p.watch("eventNames=resource.change&include=instanceHostMaps")
		users := user.listen("", names("resource.change"))
		others := other.listen("", names("resource.change", "last"))
		suffixed := p.listen("", names("resource.change;account="+strings.TrimPrefix(account.id(), "1a")))

		_, c := user.ask("POST", "/v1/containers", object{"imageUuid": "sim:x", "name": "seen"})
		running := func(o object) bool {
			data, _ := o["data"].(map[string]any)
			r, _ := data["resource"].(map[string]any)
			return r["id"] == c.id() && r["state"] == "running"
		}
		resource := func(o object) object { return o["data"].(map[string]any)["resource"].(map[string]any) }
		r := resource(admins.next("the container to run", running))
		if maps, _ := r["instanceHostMaps"].([]any); len(maps) != 1 || r["accountId"] != account.id() {
			t.Errorf("the administrator reads %v", r)
		}
		path := "/v1/containers/" + c.id()
		r = resource(users.next("the container to run", running))
		_, want := user.ask("GET", path, nil)
		for name, v := range want {
			if fmt.Sprint(r[name]) != strings.ReplaceAll(fmt.Sprint(v), user.url, p.url) {
				t.Errorf("the user reads %s %v, not %v", name, r[name], v)
			}
		}
		suffixed.next("the container to run", running)

		p.ask("PUT", path, object{"description": "renamed by the administrator"})
		users.next("the new description", func(o object) bool {
			data, _ := o["data"].(map[string]any)
			r, _ := data["resource"].(map[string]any)
			return r["description"] == "renamed by the administrator"
		})
		for len(others.frames) > 0 {
			if o := <-others.frames; o["name"] != "ping" && fmt.Sprint(o["resourceId"]) == c.id() {
				t.Errorf("another account hears %v", o)
			}
		}
	})
}

// Who loses the right to listen stops hearing.
func TestAKeyIsWithdrawn(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	for _, what := range []string{"credentials", "accounts"} {
		user, account := p.account("user")
		lines, socket := user.listen("", names("resource.change")), user.watch("eventNames=resource.change")
		path := "/v1/accounts/" + account.id()
		if what == "credentials" {
			path = "/v1/credentials/" + p.list("/v1/credentials?kind=apiKey&accountId=" + account.id())[0].id()
		}
		p.ask("POST", path+"/?action=deactivate", object{})
		for _, l := range []*listener{lines, socket} {
			end := time.After(20 * time.Second)
			for open := true; open; {
				select {
				case _, open = <-l.frames:
				case <-end:
					t.Fatalf("the stream outlives its %s", what)
				}
			}
		}
	}
}

// A gateway that cannot hear that a key is withdrawn looks for itself once it hears again.
func TestAKeyIsWithdrawnWhileAGatewayIsDeaf(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	u, err := url.Parse(strings.TrimPrefix(in.env[1], "CATTLE_REDIS_URL="))
	if err != nil {
		t.Fatal(err)
	}
	ear := way(t, u.Host, nil)
	u.Host = ear.Address()
	p := in.part("api")
	in.part("worker")
	gate := in.part("gateway", "CATTLE_REDIS_URL="+u.String(), "CATTLE_API_SUB_PING_INTERVAL_MILLIS=1000")
	a := p.event("deaf")
	own := p.agentKey(a)
	own.url = strings.Replace(own.url, strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(gate.url, "http://"), 1)
	l := own.listen("", names("ping"))
	l.next("the stream", func(object) bool { return true })
	ear.Refuse(true)
	ear.Cut()
	key := p.list("/v1/credentials?kind=agentApiKey")[0]
	p.ask("POST", "/v1/credentials/"+key.id()+"/?action=deactivate", object{})
	p.becomes("/v1/credentials/"+key.id(), "inactive")
	ear.Refuse(false)
	end := time.After(time.Minute) // without the news it looks every two
	for open := true; open; {
		select {
		case _, open = <-l.frames:
		case <-end:
			t.Fatal("the agent's stream outlives its key")
		}
	}
}

// The gateway holds the streams and has no database; everything else is another
// process. Redis forgets all it knows meanwhile.
func TestEventsBetweenPartsOnTheirOwn(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	part := func(profile string) *program {
		return start(t, append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, in.env...), "server", "--profile", profile)
	}
	p := part("api")
	part("api")
	part("worker") // two would learn of the handler one after the other
	gate := part("gateway")
	part("scheduler")
	p.simulators(1)
	defer in.erase()()
	p.attach("demo", object{"processNames": []string{"pre.instance.start"}})
	l := gate.listen("", names("pre.instance.start;handler=demo"))
	for range 5 {
		path := p.container(nil)
		told := gate.listen("", names("resource.change"))
		c, _ := l.answer(p, path, func(object) object { return object{"data": object{"+data": object{"hello": "world"}}} })
		if data(c)["hello"] != "world" {
			t.Errorf("the reply was not merged: %v", data(c))
		}
		told.next("the container to run", func(o object) bool {
			r, _ := data(o)["resource"].(map[string]any)
			return "/v1/containers/"+fmt.Sprint(r["id"]) == path && r["state"] == "running"
		})
	}
}

// The API of a dashboard and that of the public are processes of their own, and no
// gateway is among them: what one is asked for, the other tells its listeners. Agents
// are sent to a gateway.
func TestAnAPIByItselfHasItsEventStream(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	dashboard, public := in.part("api"), in.part("api", "CATTLE_API_RATE_PER_ADDRESS=1000")
	in.part("worker")
	in.part("gateway")
	in.part("scheduler")
	public.simulators(1)
	line, socket := dashboard.listen("", names("resource.change", "news")), dashboard.watch("eventNames=resource.change&eventNames=news")
	_, c := public.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
	for _, l := range []*listener{line, socket} {
		until(t, "news of "+c.id(), 20*time.Second, func() bool {
			data, _ := l.named("resource.change")["data"].(map[string]any)
			r, _ := data["resource"].(map[string]any)
			return r["id"] == c.id() && r["state"] == "running"
		})
	}
	public.publish(object{"name": "news", "resourceType": "instance", "resourceId": "1i7"})
	for _, l := range []*listener{line, socket} {
		if o := l.named("news"); o["resourceId"] != "1i7" {
			t.Errorf("the news is %v", o)
		}
	}
	agents := dashboard.list("/v1/agents?limit=1")
	if status, text := dashboard.send("/v1/subscribe", "", `{"eventNames":["ping"],"agentId":"`+agents[0].id()+`"}`); status != 503 {
		t.Errorf("an agent is answered %d %s", status, text)
	}
}

// However much happens while somebody subscribes, the first that is read is the ping.
func TestThePingComesFirst(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	ctx, stop := context.WithCancel(t.Context())
	var storm sync.WaitGroup
	defer storm.Wait()
	defer stop()
	for range 4 {
		storm.Go(func() {
			for ctx.Err() == nil {
				_, _ = p.send("/v1/publish", "", `{"name":"news"}`)
			}
		})
	}
	for range 40 {
		l := p.watch("eventNames=*&eventNames=news")
		l.named("news")
		l.close()
	}
}
