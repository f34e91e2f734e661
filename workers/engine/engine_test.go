package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/placement"
)

func TestAContainerLivesItsLife(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(map[string]any{"name": "one"})
		w.want(c, "creating")
		for _, step := range []struct{ process, state string }{
			{"", "running"}, {"instance.stop", "stopped"}, {"instance.start", "running"}, {"instance.restart", "running"},
			{"instance.stop", "stopped"}, {"instance.remove", "removed"}, {"instance.restore", "stopped"},
			{"instance.start", "running"}, {"instance.stop", "stopped"}, {"instance.remove", "removed"}, {"instance.purge", "purged"},
		} {
			if step.process != "" {
				w.act(c, step.process)
			}
			w.work(k)
			w.want(c, step.state)
		}
		if free := freeCompute(w); free != 2_000_000 {
			t.Errorf("the hosts did not get their compute back: %d", free)
		}
	})
}

func freeCompute(w *world) (sum int64) {
	for _, h := range w.find("host", nil) {
		sum += h.Int("computeFree")
	}
	return sum
}

// The worker dies at every seam of the life of a container in turn: before each
// transaction begins, before it commits, after it has, and after each effect on the
// host. Another one goes on. The seams are found by running the life once. This is
// Postgres; TestEveryProcessThroughEveryDeath does so with every process on SQLite.
func TestDeathAtEverySeamChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.PostgresSchema(t))
	w.work(w.worker())
	w.container(nil) // stages the image, so that every life below is alike
	w.work(w.worker())
	seams := w.life(0)
	if seams < 20 {
		t.Fatalf("only %d seams were found", seams)
	}
	for n := 1; n <= seams; n++ {
		w.life(n)
	}
	t.Logf("died at each of %d seams", seams)
}

// life takes a container through its states and kills the worker at the n-th seam,
// never for 0. It tells how many seams it passed.
func (w *world) life(n int) int {
	w.t.Helper()
	before := freeCompute(w)
	passed, killed := 0, false
	mortal := func() *worker {
		k := w.worker()
		pass := func() error {
			if k.dead {
				return errDead
			}
			if passed++; passed == n && !killed {
				k.dead, killed = true, true
				return errDead
			}
			return nil
		}
		k.store.Seam = func(store.Seam, string) error { return pass() }
		w.agent.after = func(*wire.Event) error { return pass() }
		return k
	}
	k := mortal()
	defer func() { w.agent.after = nil }()
	c := w.container(nil)
	for _, step := range []struct{ process, state string }{
		{"", "running"}, {"instance.restart", "running"}, {"instance.stop", "stopped"}, {"instance.remove", "removed"}, {"instance.purge", "purged"},
	} {
		if step.process != "" {
			w.act(c, step.process)
		}
		w.work(k)
		if k.dead {
			k = mortal()
			w.work(k)
		}
		if got := w.again(c).State(); got != step.state {
			w.t.Fatalf("after death at seam %d the instance is %s, not %s: %s", n, got, step.state, w.processes(c))
		}
		w.check(n, c, step.state)
	}
	for _, p := range w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()}) {
		if p.Get("endTime") == nil || p.Str("result") != "SUCCESS" {
			w.t.Fatalf("after death at seam %d process %s ended %s", n, p.Str("processName"), p.Str("exitReason"))
		}
	}
	if got := freeCompute(w); got != before {
		w.t.Fatalf("after death at seam %d the hosts have %d units left, not %d", n, got, before)
	}
	return passed
}

// check compares the records with the host, and counts children.
func (w *world) check(n int, c *schema.Row, state string) {
	w.t.Helper()
	if running := w.agent.running[c.UUID()]; running != (state == "running") {
		w.t.Fatalf("after death at seam %d the instance is %s and its host runs it: %v", n, state, running)
	}
	if volumes := w.find("volume", process.Match{"instanceId": c.ID()}); len(volumes) != 1 {
		w.t.Fatalf("after death at seam %d the instance has %d volumes", n, len(volumes))
	}
	if ties := w.find("instanceHostMap", process.Match{"instanceId": c.ID()}); len(ties) != 1 {
		w.t.Fatalf("after death at seam %d the instance has %d placements", n, len(ties))
	}
}

func TestStopWhileStartingCancelsTheStart(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		w.once(k, c)
		w.want(c, "starting")
		w.act(c, "instance.stop")
		w.agent.mute = nil
		w.work(k)
		w.want(c, "stopped")
		if got := w.processes(c); got != "instance.create CANCELED, instance.stop DONE" {
			t.Errorf("the processes ended so: %s", got)
		}
		if n := w.count("agent_request"); n != 0 {
			t.Errorf("when both are over, %d requests are remembered", n)
		}
	})
}

// once makes one attempt at the pending process of a resource.
func (w *world) once(k *worker, row *schema.Row) {
	w.t.Helper()
	w.hurry()
	for _, p := range w.find("processInstance", process.Match{"resourceType": row.Type().Name, "resourceId": row.Key(), "endTime": nil}) {
		if err := k.Execute(w.ctx, p.ID()); err != nil && !errors.Is(err, errDead) {
			w.t.Fatal(err)
		}
	}
}

func TestASilentAgentHoldsNoWorker(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		var asked *wire.Event
		w.agent.mute = func(e *wire.Event) bool {
			if e.Name == wire.ComputeInstanceActivate {
				asked = e
			}
			return asked != nil
		}
		w.once(k, c) // returns although nobody answered
		w.want(c, "starting")
		w.agent.mute = nil
		reply, err := asked.Reply(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.worker().Accept(w.ctx, wire.Answer{AgentID: w.find("agent", nil)[0].ID(), Reply: reply}); err != nil { // any server may store it
			t.Fatal(err)
		}
		if due, err := w.store.Due(w.ctx, 10); err != nil || len(due) != 1 {
			t.Errorf("behind the reply %d processes are due: %v", len(due), err)
		}
		w.agent.fail = func(e *wire.Event) string { return "asked twice" } // the stored reply is used
		w.once(w.worker(), c)
		w.want(c, "running")
	})
}

// A server that stops in the middle of an attempt gives it back: it has not failed, and is
// due at once for another server.
func TestAServerThatStopsGivesItsAttemptBack(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		ctx, stop := context.WithCancel(w.ctx)
		k := w.worker(process.Handler{Name: "Patient", Stage: process.Post, Processes: []string{"instance.start"},
			Run: func(ctx context.Context, _ process.Run) (*process.Answer, error) {
				stop()
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		c := w.container(nil)
		if err := k.Execute(ctx, w.launched(c).ID()); err != nil {
			t.Fatal(err)
		}
		if p := w.launched(c); p.Int("attempts") != 0 || p.Get("runningProcessServerId") != nil {
			t.Errorf("%d attempts count, and %v has it", p.Int("attempts"), p.Get("runningProcessServerId"))
		}
		if due, err := w.store.Due(w.ctx, 10); err != nil || len(due) != 1 {
			t.Errorf("%d processes are due: %v", len(due), err)
		}
		w.work(w.worker())
		w.want(c, "running")
	})
}

// Two handlers disagree about what a stop is to go on as: the last one counts, and the log names both.
func TestOfTwoChainsTheLastCounts(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.work(w.worker())
		w.want(c, "running")
		onward := func(name, next string) process.Handler {
			return process.Handler{Name: name, Stage: process.Pre, Processes: []string{"instance.stop"},
				Run: func(context.Context, process.Run) (*process.Answer, error) { return &process.Answer{Chain: next}, nil }}
		}
		var journal bytes.Buffer
		w.journal = &journal
		k := w.worker(onward("A", "instance.start"), onward("B", "instance.remove"))
		w.act(c, "instance.stop")
		w.work(k)
		w.want(c, "removed")
		if line := journal.String(); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "next=instance.remove dropped=instance.start") {
			t.Errorf("the log does not name both: %s", line)
		}
	})
}

// A host takes long over an image, and says how far it is: the user reads it although no worker
// waits, and the host is given more time. What it says of other work gives it time alone, and
// what others say, or when something else has begun, nothing.
func TestProgressIsShownWhileAProcessWaits(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		image := w.post("image", map[string]any{"uuid": "sim:large"}) // no host has it yet
		w.work(k)
		c := w.container(map[string]any{"imageId": image.ID()})
		silent, asked := wire.StorageImageActivate, (*wire.Event)(nil)
		w.agent.mute = func(e *wire.Event) bool {
			asked = e
			return e.Name == silent
		}
		says := func(agent int64, message string, percent int) (row *schema.Row, longer bool) {
			t.Helper()
			w.hurry()
			reply, err := asked.Reply(nil)
			if err != nil {
				t.Fatal(err)
			}
			reply.Transitioning, reply.TransitioningMessage = wire.Text(wire.Progress), wire.Text(message)
			if percent >= 0 {
				reply.TransitioningProgress = &percent
			}
			_ = w.worker().Accept(w.ctx, wire.Answer{AgentID: agent, Reply: reply})
			due, err := w.store.Due(w.ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			return w.again(c), len(due) == 0
		}
		reads := func(row *schema.Row, message string, percent float64) {
			t.Helper()
			if row.Field("transitioningMessage") != message || row.Field("transitioningProgress") != percent {
				t.Errorf("the user reads %v, %v, not %s, %v", row.Field("transitioningMessage"), row.Field("transitioningProgress"), message, percent)
			}
		}
		w.once(k, c)
		reads(w.again(c), "create storage", 10)
		for _, said := range []struct {
			agent   int64
			message string
			percent int
			reads   string
			shown   float64
			longer  bool
		}{
			{1, "layer 3 of 6", 50, "create storage : layer 3 of 6", 50, true},
			{1, "", 75, "create storage", 70, true},
			{1, "unpacking", -1, "create storage : unpacking", 10, true},
			{1, "done soon", 200, "create storage : done soon", 90, true},
			{999, "of another", 1, "create storage : done soon", 90, false},
		} {
			row, longer := says(said.agent, said.message, said.percent)
			if reads(row, said.reads, said.shown); longer != said.longer {
				t.Errorf("after %q of agent %d it has longer: %v", said.message, said.agent, longer)
			}
		}
		w.act(c, "instance.remove")
		if row, longer := says(1, "layer 6 of 6", 60); row.Field("transitioningMessage") != nil || longer {
			t.Errorf("when it is being removed the user reads %v", row.Field("transitioningMessage"))
		}
		silent, c = wire.ComputeInstanceActivate, w.container(nil)
		w.once(k, c)
		row, longer := says(1, "booting", 50)
		if reads(row, "create compute", 90); longer { // what is being removed is due
			t.Error("the removal waits for the other")
		}
		if p := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0]; p.Int("dueAt") == 0 {
			t.Error("a host that says how it starts an instance is given no time")
		}
	})
}

func TestAnAgentIsAskedAsOftenAsItsSettingsSay(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.set(map[string]string{"agent.retries": "2", "agent.timeout.millis": "40", "eventing.retry": "7", "eventing.timeout.millis": "70"})
		c := w.container(nil)
		asked := 0
		w.agent.mute = func(e *wire.Event) bool {
			if e.Name != wire.ComputeInstanceActivate {
				return false
			}
			asked++
			if e.TimeoutMillis == nil || *e.TimeoutMillis != 40 {
				t.Errorf("the agent has %v milliseconds", e.TimeoutMillis)
			}
			return true
		}
		for range 3 { // the third finds that the second was the last
			w.once(k, c)
		}
		if asked != 2 {
			t.Errorf("the agent was asked %d times", asked)
		}
	})
}

func TestAReplyFromAnotherAgentIsIgnored(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		var asked []*wire.Event
		w.agent.mute = func(e *wire.Event) bool { asked = append(asked, e); return true }
		w.once(k, c)
		reply, err := asked[0].Reply(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Accept(w.ctx, wire.Answer{AgentID: 999, Reply: reply}); !errors.Is(err, store.ErrNotAsked) {
			t.Fatal(err)
		}
		w.once(k, c)
		if len(asked) != 2 || asked[1].ID != asked[0].ID {
			t.Fatalf("the question was put %d times", len(asked))
		}
		w.want(c, "starting")
	})
}

// Two runs believe that they have the process: one stood still, the other took it
// over and waits for the agent. The first may write nothing, although the process
// has not ended.
func TestAWorkerThatComesBackDisturbsNoWait(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		slow, other := w.worker(), w.worker()
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		at := 0
		slow.store.Seam = func(s store.Seam, _ string) error {
			if s == store.Beginning {
				if at++; at == 2 { // it has claimed and wants to write
					slow.store.Seam = nil
					w.once(other, c)
				}
			}
			return nil
		}
		w.once(slow, c)
		row := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0]
		if row.Int("runEpoch") != 2 || row.Int("waitAgentId") == 0 {
			t.Fatalf("epoch %d, waits for agent %d", row.Int("runEpoch"), row.Int("waitAgentId"))
		}
		if n := len(w.find("volume", process.Match{"instanceId": c.ID()})); n != 1 {
			t.Errorf("the instance has %d volumes", n)
		}
		w.agent.mute = nil
		w.work(other)
		w.want(c, "running")
	})
}

func TestALaunchWakesWhatWaitsForTheSameResource(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.agent.mute = func(*wire.Event) bool { return true }
		w.once(w.worker(), c)
		if due, err := w.store.Due(w.ctx, 10); err != nil || len(due) != 0 {
			t.Fatalf("the start does not wait: %v %v", due, err)
		}
		w.act(c, "instance.stop")
		if due, err := w.store.Due(w.ctx, 10); err != nil || len(due) != 2 {
			t.Fatalf("%d processes are due after a stop, not the start and the stop: %v", len(due), err)
		}
	})
}

// An agent comes to life on Postgres although its worker dies at every seam, with one
// account, one key and one set of hosts.
func TestAnAgentJoinsThroughEveryDeath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.PostgresSchema(t))
	for n, passed := 1, 1<<30; n <= passed; n++ {
		passed = w.join(n)
	}
}

// join makes an agent and kills the worker at the n-th seam.
func (w *world) join(n int) (passed int) {
	w.t.Helper()
	mortal := func() *worker {
		k := w.worker()
		k.store.Seam = func(store.Seam, string) error {
			if k.dead {
				return errDead
			}
			if passed++; passed == n {
				k.dead = true
				return errDead
			}
			return nil
		}
		return k
	}
	uuid := fmt.Sprintf("agent-%d", n)
	w.agent.alias = uuid
	agent := w.post("agent", map[string]any{"uri": "sim://" + uuid, "uuid": uuid, "managedConfig": false})
	w.work(mortal())
	w.work(mortal())
	w.want(agent, "active")
	accounts := w.find("account", process.Match{"uuid": fmt.Sprintf("agentAccount%d", agent.ID())})
	if len(accounts) != 1 || accounts[0].State() != "active" {
		w.t.Fatalf("after death at seam %d the agent has %d accounts", n, len(accounts))
	}
	keys := w.find("credential", process.Match{"accountId": accounts[0].ID()})
	if len(keys) != 2 || keys[0].State() != "active" || keys[1].State() != "active" || keys[0].Str("secretValue") == "" {
		w.t.Fatalf("after death at seam %d the agent has %d credentials", n, len(keys))
	}
	if hosts := w.find("host", process.Match{"agentId": agent.ID()}); len(hosts) != 2 || hosts[1].State() != "active" {
		w.t.Fatalf("after death at seam %d the agent has %d hosts", n, len(hosts))
	}
	return passed
}

// A command says which logic of which process it is for, from the top.
func TestACommandSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	var told map[string]string
	w.agent.mute = func(e *wire.Event) bool {
		if e.Name == wire.StorageVolumeActivate {
			told = e.Context
		}
		return false
	}
	c := w.container(nil)
	w.work(w.worker())
	w.want(c, "running")
	for name, want := range map[string]string{"processName": "volumestoragepoolmap.activate", "topProcessName": "instance.start", "logicName": "VolumeStoragePoolMapActivate",
		"logicPath": "instance.start->(InstanceStart)->volume.activate->(VolumeActivate)->volumestoragepoolmap.activate",
		"resouceId": "1", "resouceType": "volumeStoragePoolMap", "topResourceId": "1", "topResourceType": "instance",
		"prettyResource": "instance:1->volume:1->volumeStoragePoolMap:1",
		"prettyProcess":  "instance.create->(InstanceStart)->volume.activate->(VolumeActivate)->volumestoragepoolmap.activate"} {
		if told[name] != want {
			t.Errorf("%s is %q, not %q", name, told[name], want)
		}
	}
}

// A start is told to the host in commands, which are found by running one. Whichever of
// them never succeeds, the start ends in what undoes it, and says why.
func TestAStartThatCannotSucceedEndsWithItsReason(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		fresh := func(name string) *schema.Row { // of an image that no host has
			image := w.post("image", map[string]any{"uuid": "sim:" + name})
			w.work(k)
			return w.container(map[string]any{"imageId": image.ID()})
		}
		told := map[string]bool{}
		w.agent.fail = func(e *wire.Event) string { told[e.Name] = true; return "" }
		c := fresh("all")
		w.work(k)
		w.want(c, "running")
		if len(told) < 3 {
			t.Errorf("the host was told %v only", told)
		}
		for command := range told {
			w.agent.fail = nil
			c := fresh(command)
			tries, most := 0, 1
			if command == wire.ComputeInstanceActivate {
				most = 3
			}
			w.agent.fail = func(e *wire.Event) string {
				if e.Name == command {
					tries++
					return "Failing [" + command + "]"
				}
				return ""
			}
			w.work(k)
			w.want(c, "removed")
			row := w.again(c)
			if row.Field("transitioning") != "error" || row.Field("transitioningMessage") != "Failing ["+command+"]" || tries != most {
				t.Errorf("after %d tries the user reads %v: %v", tries, row.Field("transitioning"), row.Field("transitioningMessage"))
			}
			if got := w.processes(c); got != "instance.create CANCELED, instance.remove DONE" {
				t.Errorf("the processes ended so: %s", got)
			}
		}
	})
}

func TestALaterStartThatFailsStopsAndIsForgottenByTheNext(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.stop")
		w.work(k)
		w.act(c, "instance.start")
		tries := 0
		w.agent.fail = func(e *wire.Event) string {
			if e.Name != wire.ComputeInstanceActivate {
				return ""
			}
			tries++
			return "broken"
		}
		w.work(k)
		w.agent.fail = nil
		w.want(c, "stopped")
		if row := w.again(c); row.Field("transitioningMessage") != "broken" || tries != 3 {
			t.Errorf("after %d tries the user reads %v", tries, row.Field("transitioningMessage"))
		}
		w.act(c, "instance.start")
		if row := w.again(c); row.Field("transitioning") != nil || row.Field("transitioningMessage") != nil || row.Field("transitioningProgress") != nil {
			t.Errorf("what is asked for again shows the old error: %v", row.Fields())
		}
		w.work(k)
		w.want(c, "running")
		if row := w.again(c); row.Field("transitioning") != nil {
			t.Errorf("the error outlived the success: %v", row.Fields())
		}
	})
}

func TestNoHostNoPlacement(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		host := w.find("host", nil)[1]
		chosen := w.container(map[string]any{"requestedHostId": float64(host.ID())})
		w.work(k)
		w.want(chosen, "running")
		if tie := w.find("instanceHostMap", process.Match{"instanceId": chosen.ID()})[0]; tie.Int("hostId") != host.ID() {
			t.Errorf("the instance went to host %d", tie.Int("hostId"))
		}
		w.act(w.find("agent", nil)[0], "agent.deactivate")
		w.work(k)
		c := w.container(nil)
		w.work(k)
		w.want(c, "removed")
		if m := w.again(c).Field("transitioningMessage"); m != "Failed to find a placement" {
			t.Errorf("the user reads %v", m)
		}
	})
}

// A host is active a moment before its agent is. What is asked for in between waits for it,
// but not for an agent that never becomes active.
func TestAHostThatIsJoiningIsWaitedFor(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		agents := func(state string) { w.change("update agent set state = '" + state + "'") }
		agents("activating")
		c := w.container(nil)
		w.once(k, c)
		if p := w.pending(c, "instance.create"); !strings.Contains(p.Str("lastError"), "a host that is joining") {
			t.Fatalf("it waits for %v: %s", p.Get("lastError"), w.processes(c))
		}
		agents("active")
		w.work(k)
		w.want(c, "running")

		agents("activating")
		c = w.container(nil)
		w.once(k, c)
		p := w.pending(c, "instance.create")
		p.Data()["io.cattle.platform.process.instance.InstanceStart"].(map[string]any)["joining"] = 1
		text, err := json.Marshal(p.Data())
		if err != nil {
			t.Fatal(err)
		}
		w.change("update process_instance set data = '" + string(text) + "' where id = " + p.Key())
		w.work(k)
		w.want(c, "removed")
		if m := w.again(c).Field("transitioningMessage"); m != placement.None {
			t.Errorf("the user reads %v", m)
		}
	})
}

// What has lost its disk for good is not restored, and says so.
func TestAnInstanceWithoutItsVolumeSaysWhyItIsNotRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	c := w.container(nil)
	w.work(k)
	for _, name := range []string{"instance.stop", "instance.remove"} {
		w.act(c, name)
		w.work(k)
	}
	volume := w.find("volume", process.Match{"instanceId": c.ID()})[0]
	w.act(volume, "volume.purge")
	w.work(k)
	w.act(c, "instance.restore")
	w.once(k, c)
	want := fmt.Sprintf("Cannot be restored: volume %s is purged", volume.Key())
	if row := w.again(c); row.Field("transitioning") != "error" || row.Field("transitioningMessage") != want {
		t.Errorf("the user reads %v, %v", row.Field("transitioning"), row.Field("transitioningMessage"))
	}
}

// The host that is asked for has to be one of those that are valid: the two do not widen
// each other.
func TestTheHostThatIsAskedForIsOneOfTheValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(folder(t), "cattle.db"))
	k := w.worker()
	hosts := w.find("host", nil)
	first, second := float64(hosts[0].ID()), float64(hosts[1].ID())
	for _, x := range []struct {
		asked any
		valid []any
		state string
		on    float64
	}{{first, []any{second}, "removed", 0}, {second, []any{first, second}, "running", second}, {nil, []any{second}, "running", second}} {
		c := w.container(map[string]any{"data": map[string]any{"fields": map[string]any{"requestedHostId": x.asked, "validHostIds": x.valid}}})
		w.work(k)
		w.want(c, x.state)
		for _, tie := range w.find("instanceHostMap", process.Match{"instanceId": c.ID(), "removed": nil}) {
			if float64(tie.Int("hostId")) != x.on {
				t.Errorf("asked for %v of %v it runs on %d", x.asked, x.valid, tie.Int("hostId"))
			}
		}
	}
}

func TestContainersSpreadOverHosts(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		for range 6 {
			w.container(nil)
			w.work(k)
		}
		for _, h := range w.find("host", nil) {
			if n := len(w.find("instanceHostMap", process.Match{"hostId": h.ID()})); n != 3 {
				t.Errorf("host %d has %d of 6 containers", h.ID(), n)
			}
		}
	})
}

// A worker that stood still while another took its process over writes nothing
// more, wherever it stood.
func TestAWorkerThatComesBackTooLateWritesNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		w.container(nil)
		w.work(w.worker())
		for n := 1; n <= 12; n++ {
			c := w.container(nil)
			w.late(c, n)
			w.want(c, "running")
			if starts := w.agent.effects["start "+c.UUID()]; starts != 1 {
				t.Errorf("with a pause at %d the instance was started %d times", n, starts)
			}
			if got := w.processes(c); got != "instance.create DONE" {
				t.Errorf("with a pause at %d: %s", n, got)
			}
		}
	})
}

// late lets a worker stand still between its n-th transaction and the next while
// another does all the work, then go on.
func (w *world) late(c *schema.Row, n int) {
	w.t.Helper()
	slow, at := w.worker(), 0
	slow.store.Seam = func(s store.Seam, _ string) error {
		if s == store.Committing {
			return nil // an open transaction holds its rows: nobody else could go on
		}
		if at++; at == n {
			slow.store.Seam = nil
			w.work(w.worker())
		}
		return nil
	}
	w.once(slow, c)
	w.work(w.worker())
}

func TestEveryBellTenTimes(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		for range 3 {
			w.hurry()
			for _, p := range w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()}) {
				for range 10 {
					if err := w.worker().Execute(w.ctx, p.ID()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		w.want(c, "running")
		if got := w.processes(c); got != "instance.create DONE" {
			t.Errorf("the process ended so: %s", got)
		}
		if logs := w.find("processExecution", nil); len(logs) == 0 {
			t.Error("no attempt left a log")
		}
	})
}

func TestAPanicIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		panics := 2
		w.agent.fail = func(e *wire.Event) string {
			if panics > 0 && e.Name == wire.ComputeInstanceActivate {
				panics--
				panic("a mistake of ours")
			}
			return ""
		}
		w.once(k, c)
		p := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0]
		stored, err := w.store.Process(w.ctx, p.ID())
		if err != nil || p.Str("exitReason") != "UNKNOWN_EXCEPTION" || p.Get("runningProcessServerId") != nil || stored.LastError != "internal error in instance.start" {
			t.Errorf("after a panic it is %v, because of %q: %v", p.Map(), stored.LastError, err)
		}
		w.work(k)
		w.want(c, "running")
	})
}

func TestBusyIsNoAttempt(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		w.once(k, c) // waits, and holds the instance
		w.act(c, "instance.stop")
		stop := w.find("processInstance", process.Match{"processName": "instance.stop"})[0]
		for range 5 {
			w.hurry()
			if err := k.Execute(w.ctx, stop.ID()); err != nil {
				t.Fatal(err)
			}
		}
		row := w.find("processInstance", process.Match{"processName": "instance.stop"})[0]
		if row.Int("attempts") != 0 || row.Str("exitReason") != "RESOURCE_BUSY" || row.Get("endTime") != nil {
			t.Errorf("attempts %d, reason %s", row.Int("attempts"), row.Str("exitReason"))
		}
		w.agent.mute = nil
		w.work(k)
		w.want(c, "stopped")
	})
}

// A process that failed and backs off holds nothing meanwhile, though it was in the middle of
// its work: another may have what it had, and goes first.
func TestWhoBacksOffHoldsNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.agent.fail = func(e *wire.Event) string {
			if e.Name == wire.ComputeInstanceActivate {
				return "broken"
			}
			return ""
		}
		w.once(k, c)
		tie := w.find("instanceHostMap", process.Match{"instanceId": c.ID()})[0]
		w.want(tie, "activating")
		w.act(tie, "instancehostmap.deactivate")
		w.once(k, tie)
		if got := w.processes(tie); got != "instancehostmap.deactivate DONE" {
			t.Errorf("beside a start that backs off: %s", got)
		}
	})
}

// A newer server has launched what this one does not know: it is left to that one, and looked
// at again after half a minute.
func TestWhatAServerDoesNotKnowIsLeftToOthers(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		network := w.post("network", nil)
		p := w.find("processInstance", process.Match{"resourceType": "network"})[0]
		w.sql("update process_instance set process_name = 'network.fly' where id = " + p.Key())
		before, _ := w.store.Now(w.ctx)
		w.once(k, network)
		if row := w.again(p); row.Get("endTime") != nil || row.Int("attempts") != 0 || row.Get("runningProcessServerId") != nil || row.Int("dueAt") < before+30_000 {
			t.Errorf("it is %v", row.Map())
		}
		w.sql("update process_instance set process_name = 'network.create' where id = " + p.Key())
		w.work(k)
		w.want(network, "active")
	})
}

// Logic that lets the refusal of a process inside it pass, or asks for a delegate that there is
// not, has failed: its process neither ends nor goes on as another one.
func TestARefusalInsideIsAFailure(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		other := w.post("network", nil)
		w.work(w.worker())
		for name, logic := range map[string]func(ctx context.Context, run process.Run) (*process.Answer, error){
			"a refusal": func(ctx context.Context, run process.Run) (*process.Answer, error) {
				return nil, run.Execute(ctx, "network.restore", other, nil)
			},
			"a delegate that does not fit": func(context.Context, process.Run) (*process.Answer, error) {
				return &process.Answer{Delegate: true}, nil
			},
		} {
			network := w.post("network", nil)
			w.work(w.worker())
			w.act(network, "network.update")
			w.once(w.worker(process.Handler{Name: "Fail", Stage: process.Pre, Processes: []string{"network.update"}, Run: logic}), network)
			w.want(network, "updating-active")
			p := w.find("processInstance", process.Match{"resourceType": "network", "resourceId": network.Key(), "processName": "network.update"})[0]
			if p.Str("exitReason") != "UNKNOWN_EXCEPTION" || p.Get("endTime") != nil || p.Int("attempts") != 1 {
				t.Errorf("after %s it is %v", name, p.Map())
			}
			w.work(w.worker())
			w.want(network, "active")
		}
	})
}

// What is removed can be restored for as long as the settings say, its type's before that of all.
func TestWhatIsRemovedCanBeRestoredForAWhile(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.set(map[string]string{"object.network.remove.time.delay.seconds": "5"})
		for typ, seconds := range map[string]int64{"network": 5, "account": 60} {
			row := w.post(typ, nil)
			w.work(k)
			w.act(row, typ+".deactivate")
			w.work(k)
			w.act(row, typ+".remove")
			w.work(k)
			if got := w.again(row); got.State() != "removed" || got.Int("removed") == 0 || got.Int("removeTime") != got.Int("removed")+1000*seconds {
				t.Errorf("the %s is %s since %d, until %d", typ, got.State(), got.Int("removed"), got.Int("removeTime"))
			}
			w.act(row, typ+".restore")
			w.work(k)
			if got := w.again(row); got.State() != "inactive" || got.Get("removed") != nil || got.Get("removeTime") != nil {
				t.Errorf("restored it is %v", got.Map())
			}
		}
	})
}

// A process that found its resource taken is next as soon as that is free, also when
// the one before it began without knowing of anybody else.
func TestWhoeverEndsWakesTheNext(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.stop")
		stops := func() []*schema.Row { return w.find("processInstance", process.Match{"processName": "instance.stop"}) }
		var second int64
		w.agent.after = func(e *wire.Event) error {
			if second == 0 && e.Name == wire.ComputeInstanceDeactivate {
				w.act(c, "instance.stop")
				second = stops()[1].ID()
				return w.worker().Execute(w.ctx, second)
			}
			return nil
		}
		if err := k.Execute(w.ctx, stops()[0].ID()); err != nil {
			t.Fatal(err)
		}
		w.want(c, "stopped")
		next, err := w.store.Process(w.ctx, second)
		if err != nil {
			t.Fatal(err)
		}
		if next.BusyCount != 1 || next.WakeSeq != 1 {
			t.Errorf("the second stop was busy %d times and woken %d times: %s", next.BusyCount, next.WakeSeq, w.processes(c))
		}
	})
}

// A stop is asked for while a start waits for its turn. The start comes to look
// only after the stop is done, when the instance is back where a start begins: it is
// over all the same.
func TestACanceledProcessNeverBeginsAgain(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.work(k)
		w.act(c, "instance.stop")
		w.work(k)
		w.act(c, "instance.start")
		start := w.find("processInstance", process.Match{"processName": "instance.start"})[0]
		w.want(c, "starting")
		w.act(c, "instance.stop")
		stops := w.find("processInstance", process.Match{"processName": "instance.stop"})
		if err := k.Execute(w.ctx, stops[1].ID()); err != nil {
			t.Fatal(err)
		}
		w.want(c, "stopped")
		w.work(k)
		w.want(c, "stopped")
		if start = w.again(start); start.Str("result") != "CANCELED" {
			t.Errorf("the start ended %s: %s", start.Str("exitReason"), w.processes(c))
		}
	})
}
