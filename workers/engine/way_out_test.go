package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// failing is an agent that cannot start instances.
func failing(e *wire.Event) string {
	if e.Name == wire.ComputeInstanceActivate {
		return "no memory"
	}
	return ""
}

// broken makes an instance whose start has failed once, and returns its process.
func (w *world) broken(k *worker) (c, p *schema.Row) {
	w.t.Helper()
	c = w.container(nil)
	w.agent.fail = failing
	w.once(k, c)
	w.agent.fail = nil
	w.want(c, "starting")
	return c, w.pending(c, "instance.create")
}

// due tells whether a process should be running now.
func (w *world) due(p *schema.Row) bool {
	w.t.Helper()
	due, err := w.store.Due(w.ctx, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range due {
		if b.ID == p.ID() {
			return true
		}
	}
	return false
}

func TestARetryComesAtOnceAndCountsNothing(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c, p := w.broken(k)
		if w.due(p) {
			t.Fatal("it does not back off")
		}
		for range 2 {
			f.order(p, "retry", "").is(200).says(map[string]string{"type": "processInstance", "waiting.attempts": "1", "waiting.kind": "queue", "waiting.position": "1"})
		}
		if !w.due(p) {
			t.Fatal("the next attempt is not due")
		}
		if err := k.Execute(w.ctx, p.ID()); err != nil {
			t.Fatal(err)
		}
		w.want(c, "running")
		f.order(p, "retry", "").refused(422, "ActionNotAvailable", "action")
	})
}

// However often an administrator asks again, the agent is not given up earlier.
func TestARetryOfAWaitUsesUpNoneOfItsTries(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c := w.container(nil)
		asked := map[string]int{}
		w.agent.mute = func(e *wire.Event) bool {
			if silent(e) {
				asked[e.ID]++
				return true
			}
			return false
		}
		w.once(k, c)
		p := w.pending(c, "instance.create")
		for range 6 {
			f.order(p, "retry", "").is(200)
			if err := k.Execute(w.ctx, p.ID()); err != nil {
				t.Fatal(err)
			}
		}
		f.process(p).says(map[string]string{"waiting.kind": "agent", "waiting.attempts": "0"})
		if len(asked) != 1 {
			t.Errorf("the agent was asked under %d ids", len(asked))
		}
		w.agent.mute = nil
		w.work(k)
		w.want(c, "running")
	})
}

func TestACancelLeadsBackToWhatTheUserAskedFor(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		for _, made := range []bool{true, false} {
			c := w.container(nil)
			if !made {
				w.work(k)
				w.act(c, "instance.stop")
				w.work(k)
				w.act(c, "instance.start")
			}
			name, back, end := "instance.create", "instance.remove", "removed"
			if !made {
				name, back, end = "instance.start", "instance.stop", "stopped"
			}
			w.agent.mute = silent
			w.once(k, c)
			w.agent.mute = nil
			p := w.pending(c, name)
			a := f.process(p).offers("retry", "cancel")
			if does := fmt.Sprint(a.at("waiting.actions")); !strings.Contains(does, "Launches "+back) || !strings.Contains(does, "to "+end) {
				t.Errorf("before it is done it says %s", does)
			}
			f.order(p, "cancel", `{"reason":null}`).refused(422, "NotNullable", "reason")
			f.order(p, "cancel", `{"reason":"`+strings.Repeat("x", 1025)+`"}`).refused(422, "MaxLengthExceeded", "reason")
			f.order(p, "cancel", `{"reason":"not needed any more"}`).is(200)
			f.order(p, "cancel", `{}`).refused(422, "ActionNotAvailable", "action")
			undo := w.pending(c, back)
			if data := fmt.Sprint(undo.Data()["canceled"]); !strings.Contains(data, "not needed any more") || !strings.Contains(data, "accountId:1") {
				t.Errorf("%s knows no reason: %s", back, data)
			}
			w.work(k)
			w.want(c, end)
			if got := w.processes(c); !strings.HasSuffix(got, name+" CANCELED, "+back+" DONE") {
				t.Errorf("the processes ended so: %s", got)
			}
			f.logged(p, "canceled by account 1: not needed any more")
		}
	})
}

// logged expects a text in the logs of a process.
func (f *front) logged(p *schema.Row, text string) {
	f.w.t.Helper()
	a := f.send("GET", pathOf(p)+"/processexecutions", "").is(200)
	if !strings.Contains(a.text, text) {
		f.w.t.Errorf("the log says nothing of %q: %s", text, a.text)
	}
}

func TestWhatGoesOnlyForwardIsNotCanceled(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceDeactivate }
		w.act(c, "instance.stop")
		w.once(k, c)
		p := w.pending(c, "instance.stop")
		f.process(p).offers("retry")
		f.order(p, "cancel", "{}").refused(422, "ActionNotAvailable", "action")
		w.agent.mute = nil
		w.work(k)
		w.act(c, "instance.remove")
		p = w.pending(c, "instance.remove")
		f.process(p).offers("retry")
		f.order(p, "cancel", "{}").refused(422, "ActionNotAvailable", "action")
		w.want(c, "removing")
	})
}

func TestForceIsForWhatKeepsFailingAndNeedsAReason(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		fresh := w.container(nil)
		p := w.pending(fresh, "instance.create")
		f.order(p, "force", `{"reason":"x","outcome":"done"}`).refused(422, "ActionNotAvailable", "action")
		w.aged(p)
		f.process(p).says(map[string]string{"waiting.overdue": "true", "waiting.for": "this takes longer than it should"}).offers("retry", "cancel", "force")
		f.order(p, "force", `{"reason":"x","outcome":"error"}`).refused(422, "InvalidOption", "outcome") // it was nothing before
		w.want(fresh, "creating")

		c, p := w.broken(k)
		f.process(p).says(map[string]string{"waiting.overdue": "false"}).offers("retry", "cancel", "force")
		for _, bad := range []struct{ body, code, field string }{
			{``, "MissingRequired", "reason"}, {`{}`, "MissingRequired", "reason"}, {`{"outcome":"done"}`, "MissingRequired", "reason"},
			{`{"reason":"  ","outcome":"done"}`, "MissingRequired", "reason"}, {`{"reason":null,"outcome":"done"}`, "NotNullable", "reason"},
			{`{"reason":{},"outcome":"done"}`, "InvalidFormat", "reason"}, {`{"reason":"x"}`, "MissingRequired", "outcome"},
			{`{"reason":"x","outcome":"maybe"}`, "InvalidOption", "outcome"}, {`{"reason":"x","outcome":null}`, "NotNullable", "outcome"},
			{`{"reason":"` + strings.Repeat("ü", 1025) + `","outcome":"done"}`, "MaxLengthExceeded", "reason"},
		} {
			f.order(p, "force", bad.body).refused(422, bad.code, bad.field)
		}
		f.order(p, "force", `{"reason"`).refused(400, "InvalidBodyContent", "")
		w.want(c, "starting")
		if w.again(p).Get("endTime") != nil {
			t.Error("a bad order was carried out")
		}
	})
}

func TestForceEndsItWithoutItsLogic(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		for _, o := range []struct{ outcome, state, result, shown, message string }{
			{"done", "running", "SUCCESS", "no", "<nil>"}, {"error", "stopped", "FAILURE", "error", "the host burnt"},
		} {
			c, p := w.broken(k)
			w.agent.mute = silent
			w.once(k, c) // and now it waits, with a request on record
			w.agent.mute = nil
			w.act(c, "instance.start") // one more that waits for it
			next := w.pending(c, "instance.start")
			w.change("update process_instance set due_at = due_at + 1000000 where id = " + next.Key())
			starts := w.agent.effects["start "+c.UUID()]
			does := fmt.Sprint(f.process(p).at("waiting.actions"))
			for _, says := range []string{"With done the instance is shown as running", "With error it is stopped", "agent 1 was asked for compute.instance.activate"} {
				if !strings.Contains(does, says) {
					t.Errorf("before it is done it says nothing of %q: %s", says, does)
				}
			}
			f.order(p, "force", fmt.Sprintf(`{"reason":"the host burnt","outcome":"%s"}`, o.outcome)).is(200).says(map[string]string{
				"exitReason": "FORCED", "result": o.result, "endTime": "Z", "waiting": "<nil>", "data.forced.reason": "the host burnt",
				"data.forced.accountId": "1", "data.forced.outcome": o.outcome}).offers()
			f.send("GET", "/v1/containers/1i"+c.Key(), "").is(200).says(map[string]string{"state": o.state, "transitioning": o.shown, "transitioningMessage": o.message})
			f.logged(p, "forced to "+o.outcome+" by account 1: the host burnt")
			f.logged(p, "no memory") // what was before stays
			for _, again := range []string{"force", "retry", "cancel"} {
				f.order(p, again, `{"reason":"x","outcome":"done"}`).refused(422, "ActionNotAvailable", "action")
			}
			if w.agent.effects["start "+c.UUID()] != starts {
				t.Error("it ran logic")
			}
			if !w.due(next) {
				t.Error("whoever waited was not woken")
			}
			if n := w.count("agent_request where process_id = " + p.Key()); n != 0 {
				t.Errorf("%d requests are left", n)
			}
			w.work(k) // the claims are free
			w.want(c, "running")
		}
	})
}

func (w *world) count(from string) (n int) {
	w.t.Helper()
	db := w.raw()
	if err := db.QueryRow("select count(*) from " + from).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// The order comes between any two transactions of a run that makes its way to the
// end, and the run between the look and the order: exactly one of them counts.
func TestAForceAndARunThatEndsAtTheSameMoment(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		won := map[int]int{}
		for n := 1; n <= 8; n++ {
			c, p := w.broken(w.worker())
			k, at, code := w.worker(), 0, 0
			k.store.Seam = func(s store.Seam, _ string) error {
				if s == store.Committing {
					return nil // an open transaction holds its rows
				}
				if at++; at == n {
					k.store.Seam = nil
					w.aged(p)
					code = f.order(p, "force", `{"reason":"r","outcome":"error"}`).code
				}
				return nil
			}
			w.once(k, c)
			if code == 0 {
				code = f.order(p, "force", `{"reason":"r","outcome":"error"}`).code
			}
			won[code]++
			w.one(c, p, code == 200)
		}
		if won[200] == 0 || won[422] == 0 {
			t.Errorf("one side always won: %v", won)
		}
	})
}

// one expects that either the order or the run counted, and not both.
func (w *world) one(c, p *schema.Row, forced bool) {
	w.t.Helper()
	row, state := w.again(p), w.again(c)
	want, at := "DONE", "running"
	if forced {
		want, at = "FORCED", "stopped"
	}
	if row.Str("exitReason") != want || state.State() != at || (state.Field("transitioning") == "error") != forced {
		w.t.Errorf("forced: %v, but the process ended %s and the instance is %s (%v)", forced, row.Str("exitReason"), state.State(), state.Field("transitioning"))
	}
	if forced != (row.Data()["forced"] != nil) {
		w.t.Errorf("forced: %v, but the process says %v", forced, row.Data()["forced"])
	}
}

// The order is about the process as it was looked at: whether a run has ended it
// since, or only begun.
func TestAForceThatComesTooLateIsRefused(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		for _, ends := range []bool{true, false} {
			c, p := w.broken(w.worker())
			w.store.Seam = func(at store.Seam, label string) error {
				if at == store.Beginning && label == "force" {
					w.store.Seam = nil
					w.agent.mute = func(e *wire.Event) bool { return !ends && silent(e) }
					w.once(w.worker(), c)
				}
				return nil
			}
			f.order(p, "force", `{"reason":"r","outcome":"error"}`).refused(409, "Conflict", "")
			w.agent.mute = nil
			if !ends {
				f.process(p).says(map[string]string{"waiting.kind": "agent"})
				w.work(w.worker())
			}
			w.one(c, p, false)
		}
	})
}

func TestForcesAndRunsSideBySide(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		k := w.worker()
		for range 5 {
			c, p := w.broken(k)
			w.aged(p)
			w.hurry()
			var both sync.WaitGroup
			codes := make([]int, 2)
			both.Go(func() { _ = k.Execute(w.ctx, p.ID()) })
			for i := range codes {
				both.Go(func() { codes[i] = f.order(p, "force", `{"reason":"r","outcome":"error"}`).code })
			}
			both.Wait()
			if codes[0] == 200 && codes[1] == 200 {
				t.Error("it was forced twice")
			}
			w.work(k)
			w.one(c, p, codes[0] == 200 || codes[1] == 200)
		}
	})
}

// A worker hangs in a handler and keeps its lease. What it writes once it goes on
// changes nothing.
func TestAForceWhileAWorkerHangs(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		hangs, goOn := make(chan struct{}), make(chan struct{})
		k := w.leased("1", process.Handler{Name: "Hang", Stage: process.Post, Processes: []string{"instance.start"},
			Run: func(ctx context.Context, run process.Run) (*process.Answer, error) {
				close(hangs)
				<-goOn
				run.Resource().Set("name", "from the grave")
				if err := run.Save(ctx, run.Resource()); err != nil {
					return nil, err
				}
				_, err := run.Create(context.WithoutCancel(ctx), "volume", map[string]any{"name": "from the grave"})
				return nil, err
			}})
		c := w.container(nil)
		w.work(w.worker())
		w.act(c, "instance.stop")
		w.work(w.worker())
		w.act(c, "instance.start")
		p := w.pending(c, "instance.start")
		ended := make(chan error)
		go func() { ended <- k.Execute(w.ctx, p.ID()) }()
		<-hangs
		until(t, "the run to say where it is", func() bool { return f.process(p).str("waiting.handler") == "Hang" })
		f.process(p).says(map[string]string{"waiting.kind": "running", "waiting.step": "instance.start:" + c.Key() + "->(Hang)", "waiting.for": "an attempt is running on"}).offers("cancel")
		f.order(p, "retry", "").refused(422, "ActionNotAvailable", "action")
		f.order(p, "force", `{"reason":"r","outcome":"error"}`).refused(422, "ActionNotAvailable", "action")
		w.aged(p)
		f.process(p).says(map[string]string{"waiting.overdue": "true"}).offers("cancel", "force")
		f.order(p, "force", `{"reason":"it hangs","outcome":"error"}`).is(200)
		close(goOn)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		w.one(c, p, true)
		if row := w.again(c); row.Str("name") != "" {
			t.Errorf("the instance is called %s", row.Str("name"))
		}
		if n := len(w.find("volume", process.Match{"name": "from the grave"})); n != 0 {
			t.Errorf("there are %d volumes from the grave", n)
		}
		w.act(c, "instance.start") // nobody holds the instance
		w.work(w.worker())
		w.want(c, "running")
	})
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The ways out are the administrators'.
func TestWhoMayTakeAWayOut(t *testing.T) {
	fronts(t, func(t *testing.T, w *world, f *front) {
		c, p := w.broken(w.worker())
		mine, user := f.as("user")
		w.change(fmt.Sprintf("update instance set account_id = %d where id = %s", mine, c.Key()))
		_, reader := f.as("readAdmin")
		_, agent := f.as("agent")
		_, register := f.as("agentRegister")
		for name, who := range map[string]*front{"user": user, "agent": agent, "agentRegister": register} {
			for _, action := range []string{"retry", "cancel", "force"} {
				if a := who.order(p, action, `{"reason":"r","outcome":"done"}`); a.code != 404 {
					t.Errorf("%s of a %s is answered %d", action, name, a.code)
				}
			}
		}
		for _, action := range []string{"retry", "cancel", "force"} {
			reader.order(p, action, `{"reason":"r","outcome":"done"}`).refused(422, "InvalidAction", "action")
		}
		reader.process(p).says(map[string]string{"waiting.kind": "retry", "waiting.lastErrors.0.message": "no memory"}).offers()
		w.want(c, "starting")
		if row := w.again(p); row.Get("endTime") != nil || row.Int("attempts") != 1 {
			t.Error("somebody changed the process")
		}
		_, admin := f.as("admin")
		admin.process(p).offers("retry", "cancel", "force")
	})
}
