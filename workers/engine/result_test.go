package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// What a handler from outside answers is made to fit, or left out: a value of another kind,
// a text that is too long, null where there must be something. The process goes on.
func TestAnAnswerThatDoesNotFitSpoilsNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(map[string]any{"memoryMb": int64(7)})
		w.work(k)
		h := w.post("externalHandler", map[string]any{"name": "odd", "processNames": []any{"instance.stop"}})
		w.work(k)
		w.want(h, "active")
		w.agent.outside = func(e *wire.Event) *wire.Event {
			reply, _ := e.Reply(map[string]any{"name": 5, "description": strings.Repeat("ä", 5000), "hostname": map[string]any{"a": true}, "memoryMb": "12",
				"compute": "many", "kind": nil, "firstRunning": []any{}, "requestedHostId": "1h1", "domain": "a\x00b", "nothing": 1, "state": "removed",
				"id": 99, "revision": 99, "claimProcessId": 99, "claimEpoch": -1})
			return reply
		}
		before := w.again(c)
		w.act(c, "instance.stop")
		w.work(w.worker())
		w.want(c, "stopped")
		got := w.again(c)
		if got.Int("claimEpoch") <= before.Int("claimEpoch") || got.Int("revision") > before.Int("revision")+20 {
			t.Errorf("it set the numbers of claims and writes: %v", got.Map())
		}
		for name, want := range map[string]any{"name": "5", "description": strings.Repeat("ä", 1024), "hostname": `{"a":true}`, "memoryMb": int64(12),
			"compute": before.Get("compute"), "kind": "container", "firstRunning": before.Get("firstRunning"), "domain": "ab"} {
			if got.Get(name) != want {
				t.Errorf("%s is %v, not %v", name, got.Get(name), want)
			}
		}
	})
}

// What a handler from outside has answered is kept while the attempt waits for something
// else and begins again, by whichever worker: it is asked once.
func TestAHandlerOutsideIsAskedOnceInAnAttempt(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		waits := 0
		late := process.Handler{Name: "Late", Stage: process.Pre, Priority: process.Last, Processes: []string{"instance.stop"},
			Run: func(context.Context, process.Run) (*process.Answer, error) {
				if waits++; waits < 4 {
					return nil, &process.WaitingError{For: "better times", After: time.Millisecond}
				}
				return nil, nil
			}}
		c := w.container(nil)
		w.work(w.worker())
		h := w.post("externalHandler", map[string]any{"name": "once", "processNames": []any{"pre.instance.stop"}})
		w.work(w.worker())
		w.want(h, "active")
		asked := 0
		w.agent.outside = func(e *wire.Event) *wire.Event {
			asked++
			reply, _ := e.Reply(map[string]any{"description": fmt.Sprint("asked ", asked)})
			return reply
		}
		w.act(c, "instance.stop")
		for waits < 4 {
			w.once(w.worker(late), c)
		}
		w.work(w.worker(late))
		w.want(c, "stopped")
		if got := w.again(c).Str("description"); asked != 1 || got != "asked 1" {
			t.Errorf("it was asked %d times, and the last answer is %q", asked, got)
		}
	})
}

// Each answer of logic is merged into the resource: + goes deeper into what is there, or
// begins it; other names replace it. The name of a row that is referred to leads there.
func TestAnAnswerIsMerged(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		var logic []process.Handler
		replaces := m{"z": 3}
		for i, answer := range []m{
			{"+data": m{"+a": m{"b": 2, "+deep": m{"q": 2}}, "c": replaces}},
			{"+data": m{"+new": m{"+newer": m{"n": 4}}}, "_log": 1, "nothing": 1, "offering": m{"name": "of nothing"}},
			{"+environment": m{"B": "2"}, "+dockerPorts": m{"80/tcp": "8080"}, "description": "said"},
			{"+data": m{"+c": m{"w": 4}}},
			{"Image": m{"name": "named by a container", "+data": m{"+a": m{"b": 5}}}},
		} {
			logic = append(logic, process.Handler{Name: fmt.Sprint("Say", i), Stage: process.Pre, Priority: i, Processes: []string{"instance.update"},
				Run: func(context.Context, process.Run) (*process.Answer, error) { return &process.Answer{Data: answer}, nil }})
		}
		c := w.container(m{"startOnCreate": false, "environment": m{"A": "1"}, "data": m{"a": m{"x": 1, "deep": m{"p": 1}}, "c": m{"y": 1}, "d": 1}})
		w.work(w.worker())
		image := w.find("image", process.Match{"id": c.Int("imageId")})[0]
		w.sql("update image set data = '" + `{"a":{"x":1}}` + "' where id = " + image.Key())
		w.act(c, "instance.update")
		w.work(w.worker(logic...))
		w.want(c, "stopped")
		got, after := w.again(c), w.again(image)
		for what, is := range map[string]struct{ got, want any }{
			"a map that is added to":     {got.Data()["a"], m{"x": 1, "b": 2, "deep": m{"p": 1, "q": 2}}},
			"a map that is replaced":     {got.Data()["c"], m{"z": 3, "w": 4}},
			"an answer, for the log":     {replaces, m{"z": 3}},
			"what is not named":          {got.Data()["d"], 1},
			"a map that was not there":   {got.Data()["new"], m{"newer": m{"n": 4}}},
			"a field that is added to":   {got.Field("environment"), m{"A": "1", "B": "2"}},
			"a field that was not there": {got.Field("dockerPorts"), m{"80/tcp": "8080"}},
			"a column":                   {got.Str("description"), "said"},
			"what is for the log alone":  {[]any{got.Data()["_log"], got.Data()["nothing"]}, []any{nil, nil}},
			"the image's name":           {after.Str("name"), "named by a container"},
			"a map of the image":         {after.Data()["a"], m{"x": 1, "b": 5}},
		} {
			one, _ := json.Marshal(is.got)
			other, _ := json.Marshal(is.want)
			if string(one) != string(other) {
				t.Errorf("%s is %s, not %s", what, one, other)
			}
		}
	})
}

// A process that will be tried again tells which list of its logic the attempt came to.
func TestAnAttemptThatFailsTellsItsPhase(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(map[string]any{"startOnCreate": false})
		w.work(w.worker())
		w.act(c, "instance.update")
		for stage, phase := range map[process.Stage]string{process.Pre: "PRE_LISTENERS", process.Main: "HANDLERS", process.Post: "POST_LISTENERS"} {
			w.once(w.worker(process.Handler{Name: "Fail", Stage: stage, Processes: []string{"instance.update"},
				Run: func(context.Context, process.Run) (*process.Answer, error) { return nil, errors.New("no") }}), c)
			p := w.find("processInstance", process.Match{"processName": "instance.update"})[0]
			if p.Str("phase") != phase || p.Str("exitReason") != "UNKNOWN_EXCEPTION" {
				t.Errorf("it is %s %s, not %s", p.Str("phase"), p.Str("exitReason"), phase)
			}
		}
		w.work(w.worker())
		if p := w.find("processInstance", process.Match{"processName": "instance.update"})[0]; p.Str("phase") != "DONE" {
			t.Errorf("it ended as %s", p.Str("phase"))
		}
	})
}

// Settings rearrange a list of logic by names: exactly these, these as well, all but these.
func TestSettingsRearrangeTheLogic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.PostgresSchema(t))
	names := func(settings map[string]string, of string, stage process.Stage) string {
		var out []string
		for _, h := range w.set(settings).Attached(of, stage) {
			out = append(out, h.Name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		settings map[string]string
		want     string
	}{
		{nil, "AgentApiKeyCreate ApiKeyCreate RegisterTokenCreate SshKeyCreate"},
		{map[string]string{"process.credential.create.pre.listeners.exclude": "ApiKeyCreate, SshKeyCreate"}, "AgentApiKeyCreate RegisterTokenCreate"},
		{map[string]string{"process.credential.create.pre.listeners.list": "SshKeyCreate,ApiKeyCreate,Nobody"}, "SshKeyCreate ApiKeyCreate"},
		{map[string]string{"process.credential.create.pre.listeners.include": "InstanceStartToken,ApiKeyCreate"}, "InstanceStartToken AgentApiKeyCreate ApiKeyCreate RegisterTokenCreate SshKeyCreate"},
	} {
		if got := names(c.settings, "credential.create", process.Pre); got != c.want {
			t.Errorf("with %v the list is %s, not %s", c.settings, got, c.want)
		}
	}
}
