package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commands are what a classic agent listens for.
var commands = []string{"ping", "compute.instance.activate", "compute.instance.deactivate", "storage.image.activate",
	"storage.volume.activate", "storage.volume.deactivate", "storage.volume.remove"}

// event registers a classic agent by hand.
func (p *program) event(uuid string) object {
	p.t.Helper()
	status, a := p.ask("POST", "/v1/agents", object{"uri": "event://" + uuid, "uuid": uuid, "managedConfig": false, "kind": "classic"})
	if status != 201 {
		p.t.Fatalf("an agent was refused: %v", a)
	}
	return a
}

// serve answers commands until the stream ends, and tells which.
func (l *listener) serve(uuid string) (told chan object) {
	told = make(chan object, 10_000)
	go func() {
		for r := range l.frames {
			told <- r
			if r["replyTo"] == nil {
				continue
			}
			reply := object{"state": "removed", "accountId": 1, "host": object{"+data": object{"meddled": true}}, "instance": object{"name": "meddled", "agentId": 1, "+data": object{"seen": true}}}
			options, _ := data(r)["options"].(map[string]any)
			if r["name"] == "ping" && options["resources"] == true {
				reply = object{"options": options, "resources": []object{
					{"type": "host", "kind": "classic", "uuid": uuid + "-host", "name": uuid},
					{"type": "storagePool", "kind": "classic", "uuid": uuid + "-pool", "hostUuid": uuid + "-host"}}}
			}
			l.p.reply(r, object{"data": reply, "resourceId": r["resourceId"], "id": ""})
		}
		close(told)
	}()
	return told
}

// heard waits for a command.
func heard(t *testing.T, told chan object, name string) object {
	t.Helper()
	limit := time.After(45 * time.Second)
	for {
		select {
		case o, open := <-told:
			if !open {
				t.Fatalf("the stream ended before %s", name)
			}
			if o["name"] == name {
				return o
			}
		case <-limit:
			t.Fatalf("waited in vain for %s", name)
		}
	}
}

// A classic agent subscribes in every way there is, as an administrator that names
// it or with its own key, and starts an instance.
func TestAClassicAgent(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		for i, open := range []func(own *program, a object) *listener{
			func(_ *program, a object) *listener {
				return p.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["%s"]}`, a.id(), strings.Join(commands, `","`)))
			},
			func(own *program, a object) *listener {
				return own.listen("", fmt.Sprintf(`{"agentId":%s,"eventNames":["%s"]}`, strings.TrimPrefix(a.id(), "1a"), strings.Join(commands, `;agent=5","`)))
			},
			func(own *program, _ object) *listener { return own.watch(url.Values{"eventNames": commands}.Encode()) },
			func(_ *program, a object) *listener {
				return p.watch(url.Values{"eventNames": commands, "agentId": {a.id()}}.Encode())
			},
		} {
			uuid := fmt.Sprintf("classic%d", i)
			a := p.event(uuid)
			own := p.agentKey(a)
			l := open(own, a)
			told := l.serve(uuid)
			p.becomes("/v1/agents/"+a.id(), "active")
			_, image := p.ask("POST", "/v1/images", object{"uuid": uuid})
			p.becomes("/v1/images/"+image.id(), "active")
			path := p.container(object{"imageUuid": nil, "imageId": image.id(), "requestedHostId": p.list("/v1/hosts?uuid=" + uuid + "-host")[0].id()})
			r := heard(t, told, "compute.instance.activate")
			prefix := "1ihm"
			if l.p != p {
				prefix = ""
			}
			if id := fmt.Sprint(r["resourceId"]); strings.TrimRight(id, "0123456789") != prefix || r["resourceType"] != "instanceHostMap" || r["fence"] != nil {
				t.Errorf("agent %d reads %v", i, r)
			}
			if c := p.becomes(path, "running"); c["name"] != nil || c["agentId"] != nil || data(c)["seen"] != true {
				t.Errorf("the agent made the instance %v", c)
			}
			if host := p.list(path + "/hosts")[0]; data(host)["meddled"] != nil {
				t.Errorf("the agent made the host %v", host)
			}
			l.close()
		}
	})
}

// agentKey is the server as the agent itself sees it.
func (p *program) agentKey(a object) *program {
	p.t.Helper()
	var key object
	until(p.t, "the key of the agent", 30*time.Second, func() bool {
		_, a = p.ask("GET", "/v1/agents/"+a.id(), nil)
		if a["accountId"] == nil {
			return false
		}
		for _, k := range p.list(fmt.Sprintf("/v1/credentials?kind=agentApiKey&state=active&accountId=%v", a["accountId"])) {
			key = k
		}
		return key != nil
	})
	return p.as(key["publicValue"].(string), key["secretValue"].(string))
}

// The account of several agents says which of them it means.
func TestAnAccountOfSeveralAgentsNamesOne(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a := p.event("first")
	own := p.agentKey(a)
	_, a = p.ask("GET", "/v1/agents/"+a.id(), nil)
	_, b := p.ask("POST", "/v1/agents", object{"uri": "event://second", "managedConfig": false, "accountId": a["accountId"]})
	_, stranger := p.ask("POST", "/v1/agents", object{"uri": "event://third", "managedConfig": false})
	until(t, "both agents to be its own", 10*time.Second, func() bool { return len(p.list(fmt.Sprintf("/v1/agents?accountId=%v", a["accountId"]))) == 2 })
	if status, text := own.send("/v1/subscribe", "", names("ping")); status != 422 || !strings.Contains(text, `"MissingRequired"`) || !strings.Contains(text, `"agentId"`) {
		t.Errorf("a subscription for no agent answers %d %s", status, text)
	}
	own.listen("", fmt.Sprintf(`{"eventNames":["ping"],"agentId":%s}`, strings.TrimPrefix(b.id(), "1a")))
	for query, want := range map[string]int{"": 422, "?agentId=" + strings.TrimPrefix(b.id(), "1a"): 404, "?agentId=" + strings.TrimPrefix(stranger.id(), "1a"): 404} {
		if status, o := own.ask("GET", "/v1/configcontent/pyagent"+query, nil); status != want || want == 422 && o["fieldName"] != "agentId" {
			t.Errorf("an item for %q answers %d %v", query, status, o)
		}
	}
}

// What an agent is asked can be read beside it: by administrators as it is, and by those
// who may only read without what it is about. The agent stays the agent.
func TestAnAgentIsObserved(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		a := p.event("observed")
		agent := p.agentKey(a).listen("", names("ping"))
		observer, _ := p.account("readAdmin")
		name := "ping;agent=" + strings.TrimPrefix(a.id(), "1a")
		administrator := p.listen("", names(name))
		several := observer.watch("eventNames=" + url.QueryEscape(name))
		named := observer.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["ping;agent=7"]}`, a.id()))
		asked := func(o object) bool { return o["replyTo"] != nil }
		r := named.next("a command", asked)
		if r["name"] != "ping" || r["resourceType"] != "agent" || r["resourceId"] != a.id() || r["data"] != nil {
			t.Errorf("an observer reads %v", r)
		}
		if r := several.next("a command", asked); r["name"] != name || r["data"] != nil {
			t.Errorf("an observer of a name reads %v", r)
		}
		if r := administrator.next("a command", asked); r["name"] != name || r["data"] == nil {
			t.Errorf("an administrator reads %v", r)
		}
		agent.next("the command that was observed", func(o object) bool { return o["id"] == r["id"] })
		agent.p.reply(r, nil)
		p.becomes("/v1/agents/"+a.id(), "active")
	})
}

// Who asks for the pings of all agents reads those of agents that nobody else observes.
func TestAllAgentsAreObserved(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	observer, _ := p.account("readAdmin")
	administrator, veiled := p.listen("", names("ping;agent=*")), observer.watch("eventNames="+url.QueryEscape("ping;agent=*"))
	for _, uuid := range []string{"one", "other"} {
		a := p.event(uuid)
		p.agentKey(a).listen("", names("ping"))
		of := func(o object) bool { return o["resourceId"] == a.id() && o["replyTo"] != nil }
		if r := administrator.next("a ping of "+uuid, of); r["name"] != "ping;agent="+strings.TrimPrefix(a.id(), "1a") || r["data"] == nil {
			t.Errorf("an administrator reads %v", r)
		}
		if r := veiled.next("a ping of "+uuid, of); r["data"] != nil {
			t.Errorf("an observer reads %v", r)
		}
	}
}

// An administrator who is an agent reads ids as it asks for them, and may send them back so.
func TestAnAgentAsksForPlainIDs(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	for field, want := range map[string]string{"": "1a%s", `"_plainId":"true",`: "%s"} {
		a := p.event("plain" + want)
		want = fmt.Sprintf(want, strings.TrimPrefix(a.id(), "1a"))
		agent := p.listen("", fmt.Sprintf(`{%s"agentId":%q,"eventNames":["ping"]}`, field, a.id()))
		r := agent.next("a command", func(o object) bool { return o["replyTo"] != nil })
		if r["resourceId"] != want {
			t.Errorf("with %s the id is written %v, not %s", field, r["resourceId"], want)
		}
		p.reply(r, object{"resourceId": r["resourceId"]})
		p.becomes("/v1/agents/"+a.id(), "active")
	}
}

func TestTheNewestStreamOfAnAgentWins(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a := p.event("twice")
	body := fmt.Sprintf(`{"agentId":%q,"eventNames":["ping"]}`, a.id())
	first := p.listen("", body)
	second := p.listen("", body).serve("twice")
	for open := true; open; {
		_, open = <-first.frames
	}
	p.becomes("/v1/agents/"+a.id(), "active")
	p.ask("POST", "/v1/agents/"+a.id()+"/?action=deactivate", object{})
	for open := true; open; { // agent.close ends it
		_, open = <-second
	}
	p.becomes("/v1/agents/"+a.id(), "inactive")
}

// The stream that an agent has opened is its own: agent.reconnect asks over it whether the
// agent is there, and leaves it open.
func TestAClassicAgentKeepsItsStreamWhenItIsReconnected(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a := p.event("lasting")
	told := p.listen("", fmt.Sprintf(`{"agentId":%q,"eventNames":["ping"]}`, a.id())).serve("lasting")
	p.becomes("/v1/agents/"+a.id(), "active")
	for range 2 {
		for len(told) > 0 {
			<-told
		}
		p.ask("POST", "/v1/agents/"+a.id()+"/?action=reconnect", object{})
		for r := heard(t, told, "ping"); r["replyTo"] == nil; {
			r = heard(t, told, "ping")
		}
		p.becomes("/v1/agents/"+a.id(), "active")
	}
}

// A classic agent that keeps its stream open and answers nothing is found out, and is back
// as soon as it answers.
func TestAClassicAgentThatFallsSilentIsReconnected(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_TASK_AGENT_PING_SCHEDULE=1", "CATTLE_AGENT_PING_TIMEOUT_SECONDS=1", "CATTLE_AGENT_PING_RECONNECT_AFTER_FAILED_COUNT=2")
	a := p.event("silent")
	l := p.agentKey(a).listen("", names("ping"))
	for o := a; o.state() != "active"; _, o = p.ask("GET", "/v1/agents/"+a.id(), nil) {
		l.p.reply(l.next("a ping", func(o object) bool { return o["replyTo"] != nil }), nil)
	}
	p.becomes("/v1/agents/"+a.id(), "reconnecting")
	l.serve("silent")
	p.becomes("/v1/agents/"+a.id(), "active")
}

// The image of older agents registers, asks for a script with the keys that it got, and runs
// that: it makes the host one of ours.
func TestAnImageOfOlderAgentsRunsOurs(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	_, a := p.ask("POST", "/v1/agents", object{"uri": "event://older", "managedConfig": false})
	key, err := url.Parse(p.agentKey(a).url)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := key.User.Password()
	if status, text := p.as(key.User.Username(), secret).ask("GET", "/v1/scripts/other", nil); status != 404 {
		t.Errorf("a script that is none: %d %v", status, text)
	}
	resp, err := http.Get(key.JoinPath("v1", "scripts", "bootstrap").String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%s %v: %s", resp.Status, err, text)
	}
	home, script := t.TempDir(), filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(script, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is asked for again when the agent has ended
		agent := startFrom(t, "/bin/sh", []string{"CATTLE_HOME=" + home, "CATTLE_URL=" + p.url + "/v1", "CATTLE_ACCESS_KEY=" + key.User.Username(),
			"CATTLE_SECRET_KEY=" + secret, "CATTLE_DRIVERS=sim"}, script, "--ip", "192.0.2.7")
		p.becomes("/v1/agents/"+a.id(), "active")
		p.hosts(1, "&kind=sim")
		agent.kill()
		until(t, "the agent to be missed", 30*time.Second, func() bool { return strings.Contains(why(p, "/v1/agents/"+a.id()), "it is disconnected since") })
	}
}

// An agent that answers is there, also if nobody can read what it says it has.
func TestAnAgentThatTalksNonsenseIsThere(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a := p.event("nonsense")
	l := p.agentKey(a).listen("", names("ping"))
	l.p.reply(l.next("a ping", func(o object) bool { return o["replyTo"] != nil }), object{"data": object{"resources": "none"}})
	p.becomes("/v1/agents/"+a.id(), "active")
}

// An agent hears and answers only what is its own.
func TestAnAgentKeepsToItself(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	a, b := p.event("one"), p.event("other")
	own, other := p.agentKey(a), p.agentKey(b)
	for _, x := range []struct {
		path, body string
		status     int
	}{
		{"/v1/subscribe", fmt.Sprintf(`{"agentId":%q,"eventNames":["ping"]}`, b.id()), 403},
		{"/v1/publish", `{"name":"instance.start"}`, 403},
		{"/v1/publish", `{"name":"reply.nobody.here"}`, 201},
	} {
		if status, text := own.send(x.path, "", x.body); status != x.status {
			t.Errorf("%s %s answers %d %s", x.path, x.body, status, text)
		}
	}
	l := own.listen("", names("ping", "state.change", "resource.change", "*"))
	r := l.next("a command", func(o object) bool { return o["replyTo"] != nil })
	other.reply(r, nil)
	again := l.next("the command again", func(o object) bool {
		if o["name"] != "ping" {
			t.Errorf("the agent hears %v", o)
		}
		return o["replyTo"] != nil
	})
	if again["id"] != r["id"] {
		t.Error("the answer of another agent was taken")
	}
	own.reply(again, nil)
	p.becomes("/v1/agents/"+a.id(), "active")
}
