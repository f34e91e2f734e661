package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// attach registers a handler from outside and waits for it to be in effect.
func (p *program) attach(name string, more object) object {
	p.t.Helper()
	body := object{"name": name}
	for k, v := range more {
		body[k] = v
	}
	status, h := p.ask("POST", "/v1/externalhandlers", body)
	if status != 201 || h.state() != "registering" {
		p.t.Fatalf("a registration answers %d: %v", status, h)
	}
	return p.becomes("/v1/externalhandlers/"+h.id(), "active")
}

// reply answers a request.
func (p *program) reply(request object, more object) {
	p.t.Helper()
	e := object{"name": request["replyTo"], "previousIds": []any{request["id"]}}
	for k, v := range more {
		e[k] = v
	}
	p.publish(e)
}

// answer answers every request until a container runs, and tells in which order the
// handlers were asked first: what goes wrong meanwhile may be tried again.
func (l *listener) answer(p *program, path string, with func(r object) object) (c object, asked []string) {
	l.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(45 * time.Second); ; {
		select {
		case r := <-l.frames:
			if r["replyTo"] == nil {
				continue
			}
			if name := fmt.Sprint(r["name"]); !slices.Contains(asked, name) {
				asked = append(asked, name)
			}
			l.p.reply(r, with(r))
		case <-tick.C:
			if _, c = p.ask("GET", path, nil); c.state() == "running" {
				return c, asked
			}
		case <-limit:
			l.t.Fatalf("%s is %s, not running, although %v answered", path, c.state(), asked)
		}
	}
}

// nothing is an answer without content.
func nothing(object) object { return nil }

func (p *program) container(more object) (path string) {
	p.t.Helper()
	body := object{"imageUuid": "sim:x"}
	for k, v := range more {
		body[k] = v
	}
	status, c := p.ask("POST", "/v1/containers", body)
	if status != 201 {
		p.t.Fatalf("a create answers %d: %v", status, c)
	}
	return "/v1/containers/" + c.id()
}

func data(o object) object {
	m, _ := o["data"].(map[string]any)
	return m
}

// A handler from outside is asked before, with and after the logic of a process,
// and adds to it.
func TestAHandlerFromOutsideAdds(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		h := p.attach("demo", object{"processNames": []any{[]any{"pre.instance.start, instance.start"}, "post.instance.start"}})
		if v, ok := h["processNames"]; ok && v != nil {
			t.Errorf("the names are still there: %v", v)
		}
		if names := p.list("/v1/externalhandlers/" + h.id() + "/externalhandlerprocesses"); len(names) != 3 {
			t.Errorf("it is attached to %v", names)
		}
		l := p.listen("", names("pre.instance.start;handler=demo", "instance.start;handler=demo", "post.instance.start;handler=demo"))
		path := p.container(object{"name": "one"})
		c, asked := l.answer(p, path, func(r object) object {
			if sent := data(r); r["resourceType"] != "instance" || "/v1/containers/"+fmt.Sprint(r["resourceId"]) != path ||
				sent["name"] != "one" || r["timeoutMillis"] != 15000.0 || r["previousIds"] != nil {
				t.Errorf("a request is %v", r)
			}
			return object{"data": object{"+data": object{fmt.Sprint(r["name"]): "was here"}, "state": "removed", "nothing": 1}}
		})
		if want := []string{"pre.instance.start;handler=demo", "instance.start;handler=demo", "post.instance.start;handler=demo"}; !slices.Equal(asked, want) {
			t.Errorf("asked were %v", asked)
		}
		for _, name := range asked {
			if data(c)[name] != "was here" {
				t.Errorf("the reply of %s was not merged: %v", name, data(c))
			}
		}
		if hosts := p.list(path + "/hosts"); len(hosts) != 1 {
			t.Errorf("the built-in logic did not run: %d hosts", len(hosts))
		}
	})
}

func TestAHandlerThatEndsTheList(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	p.attach("instead", object{"processNames": []string{"instance.start"}})
	l := p.listen("", names("instance.start;handler=instead"))
	path := p.container(nil)
	c, _ := l.answer(p, path, func(object) object {
		return object{"data": object{"shouldContinue": false, "+data": object{"hello": "world"}}}
	})
	if data(c)["hello"] != "world" {
		t.Errorf("the reply was not merged: %v", data(c))
	}
	if hosts := p.list(path + "/hosts"); len(hosts) != 0 {
		t.Error("the built-in logic ran")
	}
}

func TestHandlersFromOutsideHaveAnOrder(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	var listened []string
	for _, h := range []struct {
		name     string
		priority any
	}{{"z", 100}, {"b", nil}, {"a", nil}, {"last", 1999}, {"never", 2000}} {
		p.attach(h.name, object{"processNames": []string{"instance.start"}, "priority": h.priority})
		listened = append(listened, "instance.start;handler="+h.name)
	}
	l := p.listen("", names(listened...))
	_, asked := l.answer(p, p.container(nil), nothing)
	if want := "z a b last"; strings.ReplaceAll(strings.Join(asked, " "), "instance.start;handler=", "") != want {
		t.Errorf("the order is %v, not %v", asked, want)
	}
}

// Each of the three rows takes the handler out and brings it back, from the next
// process on.
func TestHandlersFromOutsideFollowTheirRows(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_EVENTING_TIMEOUT_MILLIS=60000")
	p.simulators(1)
	h := p.attach("demo", object{"processNames": []string{"pre.instance.start"}})
	l := p.listen("", names("pre.instance.start;handler=demo"))
	rows := []string{"/v1/externalhandlers/" + h.id()}
	for _, typ := range []string{"externalhandlerprocesses", "externalhandlerexternalhandlerprocessmaps"} {
		rows = append(rows, "/v1/"+typ+"/"+p.list("/v1/" + typ)[0].id())
	}
	for range 5 {
		for _, row := range rows {
			p.ask("POST", row+"/?action=deactivate", object{})
			p.becomes(p.container(nil), "running") // nobody is asked: nobody has to answer
			p.ask("POST", row+"/?action=activate", object{})
			p.becomes(row, "active")
			if _, asked := l.answer(p, p.container(nil), nothing); len(asked) != 1 {
				t.Errorf("with %s active again the handler was not asked", row)
			}
		}
	}
}

func TestAHandlerFromOutsideFails(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_PROCESS_RETRY_BACKOFF_INITIAL_MS=10")
	p.simulators(1)
	p.attach("demo", object{"processNames": []string{"pre.instance.start"}})
	l := p.listen("", names("pre.instance.start;handler=demo"))
	path := p.container(nil)
	seen := map[any]bool{}
	for range 3 {
		r := l.named("pre.instance.start;handler=demo")
		if seen[r["id"]] {
			t.Errorf("a new attempt asks with the old id")
		}
		seen[r["id"]] = true
		p.reply(r, object{"transitioning": "error", "transitioningMessage": "not now", "data": object{"+data": object{"bad": true}}})
		until(t, "the attempt to be judged", 20*time.Second, func() bool {
			all := p.list("/v1/processinstances?resourceType=instance&endTime_null=true")
			return len(all) == 1 && (all[0]["exitReason"] == "UNKNOWN_EXCEPTION" || len(l.frames) > 0)
		})
	}
	if c, _ := l.answer(p, path, nothing); data(c)["bad"] != nil {
		t.Error("the data of a failure was merged")
	}
}

// A handler that is away is asked again with the same id, then the attempt ends in
// a timeout and the next one asks anew. Nobody's slot is held meanwhile.
func TestAHandlerFromOutsideIsSilent(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_WORKER_SLOTS=1", "CATTLE_PROCESS_RETRY_BACKOFF_INITIAL_MS=10")
		p := in.start()
		p.simulators(1)
		p.attach("demo", object{"processNames": []string{"pre.instance.start"}, "retries": 2, "timeoutMillis": 1000})
		l := p.listen("", names("pre.instance.start;handler=demo"))
		path := p.container(nil)
		first, second, third := l.named("pre.instance.start;handler=demo"), l.named("pre.instance.start;handler=demo"), l.named("pre.instance.start;handler=demo")
		if first["id"] != second["id"] || second["id"] == third["id"] || first["timeoutMillis"] != 1000.0 {
			t.Errorf("asked as %v, %v, %v", first["id"], second["id"], third["id"])
		}
		_, a := p.ask("POST", "/v1/accounts", object{"kind": "user"})
		p.becomes("/v1/accounts/"+a.id(), "active")
		p.reply(third, object{"data": "no object"})
		l.answer(p, path, nothing)
		p.reply(first, object{"transitioning": "error"}) // nobody cares any more
		if o := p.becomes(path, "running"); o["transitioning"] != "no" {
			t.Errorf("a late reply had an effect: %v", o["transitioning"])
		}
	})
}

// The reply finds its process on the server that is there when it comes.
func TestAReplyAfterARestart(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		p.attach("demo", object{"processNames": []string{"pre.instance.start"}, "timeoutMillis": 120_000})
		l := p.listen("", names("pre.instance.start;handler=demo"))
		path := p.container(nil)
		r := l.named("pre.instance.start;handler=demo")
		until(t, "the slot to be given back", 20*time.Second, func() bool {
			all := p.list("/v1/processinstances?resourceType=instance&endTime_null=true")
			return len(all) == 1 && all[0]["runningProcessServerId"] == nil
		})
		p.kill()
		p = in.start()
		p.reply(r, object{"data": object{"+data": object{"hello": "world"}}})
		if c := p.becomes(path, "running"); data(c)["hello"] != "world" {
			t.Errorf("the reply was not merged: %v", data(c))
		}
	})
}
