package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cattleio/cattle/functions"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/wire"
)

// silent is an agent that does not answer the command that starts an instance.
func silent(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }

func TestWhyASilentAgentIsWaitedFor(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		c := w.container(nil)
		w.agent.mute = silent
		w.once(w.worker(), c)
		p := w.pending(c, "instance.create")
		f.process(p).says(map[string]string{
			"waiting.kind": "agent", "waiting.for": "agent 1 to answer compute.instance.activate", "waiting.process": "instance.create",
			"waiting.as": "instance.start", "waiting.step": "instance.create:" + c.Key() + "->(InstanceStart)->", "waiting.attempts": "0",
			"waiting.agent.id": "1a1", "waiting.agent.uuid": "agent", "waiting.agent.state": "active", "waiting.agent.disconnectedSince": "<nil>",
			"waiting.next": "Z", "waiting.deadline": "Z", "waiting.overdue": "false", "waiting.lastErrors": "[]",
		}).offers("retry", "cancel")
		if h := f.process(p).str("waiting.handler"); h == "" {
			t.Error("nobody says in which handler it waits")
		}
		f.send("GET", "/v1/containers/1i"+c.Key(), "").is(200).says(map[string]string{"actions.why": "/v1/containers/1i" + c.Key() + "/?action=why"})
		f.why(c).is(200).says(map[string]string{"type": "why", "resourceId": "1i" + c.Key(), "state": "starting",
			"for": "agent 1 to answer", "processes.0.kind": "agent", "processes.0.processId": "1pi" + p.Key(), "processes.1": "<nil>"})
		w.agent.mute = nil
		w.work(w.worker())
		if a := f.process(w.find("processInstance", process.Match{"id": p.ID()})[0]).offers(); a.at("waiting") != nil {
			t.Errorf("a process that has ended waits for %v", a.at("waiting"))
		}
		f.why(c).is(200).says(map[string]string{"for": "nothing: it is running", "processes": "[]"})
		if a := f.send("GET", "/v1/containers/1i"+c.Key(), ""); a.at("actions.why") != nil {
			t.Error("a resource at rest offers why")
		}
	})
}

func TestWhyAnAgentThatIsGoneIsWaitedForSinceWhen(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		a := w.post("agent", map[string]any{"uri": "event://gone", "uuid": "gone", "managedConfig": false})
		w.once(w.worker(), a)
		there := map[int64]bool{}
		clock := functions.New(functions.Deps{Store: w.store, Settings: f.settings, Server: "clock",
			Connected: func(context.Context, []int64) (map[int64]bool, error) { return there, nil }})
		look := func() {
			if err := clock.Task(w.ctx, "agent.ping"); err != nil {
				t.Fatal(err)
			}
		}
		p := w.pending(a, "agent.create")
		f.process(p).says(map[string]string{"waiting.kind": "agent", "waiting.for": "agent 2 to connect", "waiting.agent.disconnectedSince": "<nil>"})
		look()
		since := f.process(p).str("waiting.agent.disconnectedSince")
		look()
		f.process(p).says(map[string]string{"waiting.agent.disconnectedSince": since, "waiting.agent.state": "activating",
			"waiting.for": "the agent is disconnected since " + since}).offers("retry", "cancel")
		if since == "" {
			t.Fatal("nobody says since when")
		}
		f.why(a).is(200).says(map[string]string{"for": since})
		there[a.ID()] = true
		look()
		f.process(p).says(map[string]string{"waiting.agent.disconnectedSince": "<nil>"})
	})
}

func TestWhyAHandlerOutsideIsWaitedFor(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		w.post("externalHandler", map[string]any{"name": "billing", "processNames": []any{"instance.start"}})
		w.work(k)
		c := w.container(nil)
		k = w.worker() // knows what is attached now
		w.once(k, c)
		p := w.pending(c, "instance.create")
		f.process(p).says(map[string]string{"waiting.kind": "handler", "waiting.for": "a handler from outside to connect, to answer instance.start",
			"waiting.agent": "<nil>", "waiting.handler": "billing"}).offers("retry", "cancel")
		f.order(p, "retry", "").is(200)
		w.aged(p)
		f.order(p, "force", `{"reason":"nobody bills","outcome":"done"}`).is(200)
		w.want(c, "running")
	})
}

// Whatever an agent says of its failure, the process can write it down.
func TestWhyIsToldOfErrorsThatNoDatabaseTakes(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c := w.container(nil)
		w.agent.fail = func(e *wire.Event) string {
			if silent(e) {
				return "a\x00b\xff" + strings.Repeat("ü", 600) + " end"
			}
			return ""
		}
		w.once(k, c)
		f.process(w.pending(c, "instance.create")).says(map[string]string{"waiting.kind": "retry", "waiting.for": "one attempt has failed: a", "waiting.attempts": "1"})
	})
}

func TestWhyABusyResourceNamesItsHolder(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c := w.container(nil)
		w.agent.mute = silent
		w.once(k, c)
		holder := w.pending(c, "instance.create")
		w.act(c, "instance.stop")
		stop := w.pending(c, "instance.stop")
		lock := map[string]string{"kind": "resource", "for": "instance " + c.Key() + ", which process " + holder.Key() + " (instance.create) holds since",
			"lock.resourceType": "instance", "lock.resourceId": "1i" + c.Key(), "lock.processId": "1pi" + holder.Key(), "lock.process": "instance.create", "lock.since": "Z"}
		within := func(where string) map[string]string {
			out := map[string]string{}
			for k, v := range lock {
				out[where+k] = v
			}
			return out
		}
		f.process(stop).says(within("waiting.")) // it has not even tried
		if err := k.Execute(w.ctx, stop.ID()); err != nil {
			t.Fatal(err)
		}
		f.process(stop).says(within("waiting.")).says(map[string]string{"waiting.busy": "1", "waiting.attempts": "0"}).offers("retry")
		f.why(c).is(200).says(map[string]string{"processes.0.process": "instance.create"}).says(within("processes.1."))
	})
}

func TestWhyABackoffTellsHowAttemptsFailed(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c := w.container(nil)
		n := 0
		w.agent.fail = func(e *wire.Event) string {
			if e.Name != wire.ComputeInstanceActivate {
				return ""
			}
			n++
			return fmt.Sprintf("no memory %d at https://me:hidden@registry/x with password=hidden2", n)
		}
		w.once(k, c)
		w.once(k, c)
		a := f.process(w.pending(c, "instance.create")).says(map[string]string{
			"waiting.kind": "retry", "waiting.for": "2 attempts have failed: no memory 2", "waiting.attempts": "2", "waiting.as": "instance.start",
			"waiting.lastErrors.0.message": "no memory 2", "waiting.lastErrors.1.message": "no memory 1", "waiting.lastErrors.0.time": "Z",
			"waiting.lastErrors.0.step": "(InstanceStart)", "waiting.lastErrors.2": "<nil>", "waiting.next": "Z",
		}).offers("retry", "cancel", "force")
		if strings.Contains(a.text, `"message":"no memory 1 at https://me:hidden`) || strings.Contains(fmt.Sprint(a.at("waiting")), "hidden") {
			t.Errorf("a secret is told: %v", a.at("waiting"))
		}
	})
}

func TestWhyOneIsQueuedBehindOthers(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		for n := 1; n <= 3; n++ {
			c := w.container(nil)
			f.process(w.pending(c, "instance.create")).says(map[string]string{"waiting.kind": "queue", "waiting.position": fmt.Sprint(n), "waiting.for": "a worker"}).
				offers("retry", "cancel")
			if n == 3 {
				f.why(c).is(200).says(map[string]string{"for": "a worker: 2 processes come before it"})
			}
		}
		for _, o := range f.send("GET", "/v1/processinstances?endTime_null=true", "").is(200).at("data").([]any) {
			if w, _ := o.(map[string]any)["waiting"].(map[string]any); w["kind"] != "queue" {
				t.Errorf("a list says %v", w)
			}
		}
	})
}

func TestWhyAProcessThatNobodyKnowsIsParked(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		c := w.container(nil)
		p := w.pending(c, "instance.create")
		w.change("update process_instance set process_name = 'instance.fly' where id = " + p.Key())
		w.once(w.worker(), c)
		w.aged(p)
		f.process(p).says(map[string]string{"waiting.kind": "parked", "waiting.for": "a server that knows instance.fly", "waiting.next": "Z"}).offers("retry")
		f.order(p, "force", `{"reason":"x","outcome":"done"}`).refused(422, "ActionNotAvailable", "action")
		f.order(p, "retry", "").is(200).says(map[string]string{"waiting.kind": "parked"})
	})
}

// A worker that died leaves its name; a hand in the records leaves nobody.
func TestWhyNobodyWorksOnIt(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		c := w.container(nil)
		p := w.pending(c, "instance.create")
		w.change("update process_instance set lease_until = 1, attempts = 1, running_process_server_id = 'dead', exit_reason = null where id = " + p.Key())
		f.process(p).says(map[string]string{"waiting.kind": "queue", "waiting.for": "has not been heard of", "waiting.server": "dead"}).offers("retry", "cancel", "force")
		w.change("update process_instance set end_time = 1 where id = " + p.Key())
		f.why(c).is(200).says(map[string]string{"for": "no process is pending that would take it on, so its record was changed by hand; from here it can be taken on by create or",
			"state": "creating", "processes": "[]"})
	})
}

// Every type with processes explains itself, and no other does.
func TestEveryTypeWithProcessesSaysWhy(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		for _, k := range resource.All.Kinds() {
			if k.Type.Table == "" || k.Type.Access["admin"] == "" {
				continue
			}
			a := f.send("POST", "/v1/"+strings.ToLower(k.Type.Plural)+"/1x99999/?action=why", "{}")
			if len(resource.All.Processes(k.Type)) > 0 {
				a.is(404)
			} else if a.code != 422 && a.code != 404 && a.code != 405 {
				t.Errorf("%s answers %d", k.Type.Name, a.code)
			}
		}
	})
}

func TestWhyAUserIsToldNothingOfOthers(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		me, mine := f.as("user")
		_, other := f.as("user")
		_, reader := f.as("readAdmin")
		c := w.container(map[string]any{"accountId": me})
		w.agent.fail = func(e *wire.Event) string {
			if e.Name == wire.ComputeInstanceActivate {
				return "host 4711 is full, says process 4712"
			}
			return ""
		}
		w.once(k, c)
		w.agent.fail, w.agent.mute = nil, silent
		w.once(k, c)
		w.act(c, "instance.stop")
		other.why(c).is(404)
		for _, shown := range []string{"true", "false"} {
			f.settings.SetDatabase(map[string]string{"api.show.transitioning.internal.message": shown})
			a := mine.why(c).is(200).says(map[string]string{"for": "a worker", "processes.0.process": "instance.create", "processes.0.attempts": "1",
				"processes.0.lastErrors.0.message": "host is full, says process", "processes.1.kind": "resource", "processes.1.lock.process": "instance.create"})
			for _, hidden := range []string{"4711", "4712", "processId", "agentId", `"server"`, "uuid", "actions\":[", "agent 1", `"1pi`} {
				if strings.Contains(a.text, hidden) {
					t.Errorf("a user reads %s: %s", hidden, a.text)
				}
			}
		}
		mine.send("GET", "/v1/containers/1i"+c.Key(), "").is(200).says(map[string]string{"actions.why": "action=why"})
		reader.why(c).is(200).says(map[string]string{"processes.0.processId": "1pi", "processes.0.actions": "[]"})
		// What went wrong inside is told only where the setting says so.
		w.agent.mute = func(*wire.Event) bool { panic("lost in agent 4713") }
		d := w.container(map[string]any{"accountId": me})
		w.once(k, d)
		mine.why(d).is(200).says(map[string]string{"processes.0.lastErrors.0.message": "an internal error, which the administrator can read"})
		f.settings.SetDatabase(map[string]string{"api.show.transitioning.internal.message": "true"})
		mine.why(d).is(200).says(map[string]string{"processes.0.lastErrors.0.message": "internal error in instance.start"})
	})
}
