package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/handler"
)

// The server that a client talks to dies at each seam of the write. Whatever it was,
// the resource, its state and its process are there together or not at all.
func TestARequestIsThereWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.work(w.worker())
		there := 0
		for n := 1; n <= 3; n++ {
			api, passed := w.worker().store, 0
			api.Seam = func(store.Seam, string) error {
				if passed++; passed == n {
					return errDead
				}
				return nil
			}
			write := func(row *schema.Row, name string) {
				passed = 0
				err := api.Write(w.ctx, "api", func(tx *store.Tx) error {
					_, err := tx.Launch(w.ctx, store.Launch{Process: resource.All.Process(name), Row: row})
					return err
				})
				if !errors.Is(err, errDead) {
					t.Fatalf("it did not die at %d: %v", n, err)
				}
			}
			uuid := fmt.Sprint("network-", n)
			write(store.NewRow(resource.All.Type("network"), 1, map[string]any{"uuid": uuid}), "network.create")
			rows := w.find("network", process.Match{"uuid": uuid})
			switch {
			case len(rows) == 0 && len(w.find("processInstance", process.Match{"resourceType": "network"})) == there:
			case len(rows) == 1 && rows[0].State() == "registering" && w.processes(rows[0]) == "network.create SCHEDULED":
				there++
			default:
				t.Errorf("after a death at %d there are %d rows", n, len(rows))
			}
			write(w.again(c), "instance.stop")
			state, stops := w.again(c).State(), len(w.find("processInstance", process.Match{"processName": "instance.stop"}))
			if state == "stopping" != (stops == 1) || stops > 1 {
				t.Errorf("after a death at %d the instance is %s with %d stops", n, state, stops)
			}
		}
		if there != 1 || w.again(c).State() != "stopping" {
			t.Errorf("the commit made %d networks; the instance is %s", there, w.again(c).State())
		}
	})
}

// A worker stands still at each of its seams with the process in its hands. Meanwhile
// that ends, and the resource comes back to where it begins. Then the worker goes on:
// nothing of the ended row changes, and no logic runs for it.
func TestAnEndedProcessIsNeverTouchedAgain(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.work(w.worker())
		w.act(c, "instance.stop")
		w.work(w.worker())
		for n := 1; n <= 9; n++ {
			w.act(c, "instance.start")
			starts := w.find("processInstance", process.Match{"processName": "instance.start"})
			start := starts[len(starts)-1]
			slow, at, thawed := w.worker(), 0, false
			var ended string
			slow.store.Seam = func(s store.Seam, _ string) error {
				if s == store.Committing {
					return nil
				}
				if at++; at == n {
					slow.store.Seam = nil
					w.work(w.worker())
					w.act(c, "instance.stop")
					w.work(w.worker())
					ended, thawed = written("", w.whole(start)), true
				}
				return nil
			}
			effects := w.agent.effects["start "+c.UUID()]
			if err := slow.Execute(w.ctx, start.ID()); err != nil {
				t.Fatal(err)
			}
			if !thawed { // it was done before that
				w.act(c, "instance.stop")
				w.work(w.worker())
				continue
			}
			w.want(c, "stopped")
			if now := written("", w.whole(start)); now != ended {
				t.Errorf("with a pause at %d the ended process became %s\nfrom %s", n, now, ended)
			}
			if w.agent.running[c.UUID()] || w.agent.effects["start "+c.UUID()] > effects+1 {
				t.Errorf("with a pause at %d the host was told to start once more", n)
			}
		}
	})
}

// A worker stands still, and another does its work: it ends the process, or waits for a host
// in it. Nothing on which both of them write is left to stop the first: it makes rows of its
// own and tells hosts what to do. Neither happens.
func TestARunThatLostItsProcessMakesNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		told, waits := map[string]int{}, false
		logic := func(by string) process.Handler {
			return process.Handler{Name: "Tell", Stage: process.Pre, Processes: []string{"network.create"},
				Run: func(ctx context.Context, run process.Run) (*process.Answer, error) {
					if _, err := run.Create(ctx, "zone", map[string]any{"name": fmt.Sprint(by, " ", run.Resource().Key())}); err != nil {
						return nil, err
					}
					_, err := run.Call(ctx, process.Call{AgentID: 1, Name: wire.StorageVolumeRemove, Resource: run.Resource(), Data: map[string]any{"by": by}})
					return nil, err
				}}
		}
		w.agent.mute = func(e *wire.Event) bool {
			var data struct{ By string }
			_ = json.Unmarshal(e.Data, &data)
			told[data.By]++
			return waits && data.By == "quick"
		}
		stood := 0
		for n := 2; n < 14; n++ {
			network := w.post("network", nil)
			made := func() int { return len(w.find("zone", process.Match{"name": "slow " + network.Key()})) }
			slow, at, rows, commands := w.worker(logic("slow")), 0, -1, 0
			slow.store.Seam = func(s store.Seam, _ string) error {
				if s == store.Committing { // its rows are locked: nobody else could go on
					return nil
				}
				if at++; at == n/2 {
					slow.store.Seam = nil
					if w.once(w.worker(logic("quick")), network); !waits {
						w.work(w.worker(logic("quick")))
					}
					rows, commands = made(), told["slow"]
					stood++
				}
				return nil
			}
			waits = n%2 == 0
			w.once(slow, network)
			if rows >= 0 && (made() != rows || told["slow"] != commands) {
				t.Errorf("after a pause at %d it made %d rows and told %d commands", n, made()-rows, told["slow"]-commands)
			}
			waits = false
			w.work(w.worker(logic("quick")))
			w.want(network, "active")
		}
		if stood < 8 {
			t.Errorf("it stood still %d times", stood)
		}
	})
}

// whole is a row as it is in the database.
func (w *world) whole(row *schema.Row) map[string]any {
	w.t.Helper()
	for _, r := range w.all(row.Type().Table) {
		if fmt.Sprint(r["id"]) == row.Key() {
			return r
		}
	}
	return nil
}

// alone notes which processes have logic under way on which resource.
type alone struct {
	mu     sync.Mutex
	inside map[string]map[int64]int
	seen   int
	broken []string
}

func (a *alone) enter(at string, id int64, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inside[at] == nil {
		a.inside[at] = map[int64]int{}
	}
	if a.inside[at][id] += n; a.inside[at][id] == 0 {
		delete(a.inside[at], id)
	}
	if a.seen++; len(a.inside[at]) > 1 {
		a.broken = append(a.broken, fmt.Sprintf("on %s work %v", at, a.inside[at]))
	}
}

func (a *alone) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

// Ten clients ask for whatever comes to their minds of one instance, four workers do
// it, and every lock is given to whoever asks: the logic of one process at most is under
// way on any resource. In the end all is quiet, and host and records agree.
func TestOneProcessAtATimeOnAResource(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.work(w.worker())
		a := &alone{inside: map[string]map[int64]int{}}
		logic := handler.All()
		for i, h := range logic {
			logic[i].Run = func(ctx context.Context, run process.Run) (*process.Answer, error) {
				id, _ := run.Top()
				at := run.Resource().Type().Name + " " + run.Resource().Key()
				a.enter(at, id, 1)
				defer a.enter(at, id, -1)
				_, _ = w.store.Process(w.ctx, id) // long enough for others
				return h.Run(ctx, run)
			}
		}
		ctx, stop := context.WithCancel(w.ctx)
		var workers, clients sync.WaitGroup
		for range 4 {
			k := w.with(logic)
			workers.Go(func() {
				for ctx.Err() == nil {
					due, _ := w.store.Due(w.ctx, 20)
					rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
					for _, b := range due {
						_ = k.Execute(w.ctx, b.ID)
					}
				}
			})
		}
		for range 10 {
			clients.Go(func() {
				for a.count() < 60 {
					for range rand.IntN(40) { // a pause
						_, _ = w.store.Due(w.ctx, 1)
					}
					_ = w.launch(w.again(c), []string{"instance.start", "instance.stop", "instance.restart"}[rand.IntN(3)], nil)
				}
			})
		}
		clients.Wait()
		until(t, "all to end", func() bool {
			return len(w.find("processInstance", process.Match{"endTime": nil})) == 0
		})
		stop()
		workers.Wait()
		for _, b := range a.broken {
			t.Error(b)
		}
		if state := w.again(c).State(); state != "running" && state != "stopped" || w.agent.running[c.UUID()] != (state == "running") {
			t.Errorf("the instance is %s, and its host runs it: %v", state, w.agent.running[c.UUID()])
		}
	})
}

// counting notes how often each handler runs.
func counting(ran map[string]int) []process.Handler {
	logic := handler.All()
	for i, h := range logic {
		logic[i].Run = func(ctx context.Context, run process.Run) (*process.Answer, error) {
			ran[h.Name]++
			return h.Run(ctx, run)
		}
	}
	return logic
}

// A worker dies in the last logic of a start. The next one begins with the first, as if
// nothing had been done. When it has died after its last commit, there is nothing to do.
func TestAnAttemptBeginsAtTheBeginning(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		w.work(w.worker())
		w.act(c, "instance.stop")
		w.work(w.worker())
		w.act(c, "instance.start")
		start := w.find("processInstance", process.Match{"processName": "instance.start"})[0]
		var dying *worker
		dying = w.worker(process.Handler{Name: "Die", Stage: process.Post, Priority: process.Last, Processes: []string{"instance.start"},
			Run: func(context.Context, process.Run) (*process.Answer, error) {
				dying.store.Seam = func(store.Seam, string) error { return errDead }
				return nil, errDead
			}})
		_ = dying.Execute(w.ctx, start.ID())
		w.want(c, "starting")
		ran := map[string]int{}
		next := w.with(counting(ran))
		commits := 0
		next.store.Seam = func(s store.Seam, _ string) error {
			if s == store.Committed {
				if commits++; w.again(c).State() == "running" {
					return errDead // it is over, and nobody is told
				}
			}
			return nil
		}
		w.hurry()
		_ = next.Execute(w.ctx, start.ID())
		for _, name := range []string{"InstanceStartToken", "InstanceStart", "InstanceStartFirstRunning"} {
			if ran[name] != 1 {
				t.Errorf("%s ran %d times in the second attempt", name, ran[name])
			}
		}
		again := map[string]int{}
		if err := w.with(counting(again)).Execute(w.ctx, start.ID()); err != nil {
			t.Fatal(err)
		}
		if row := w.again(start); row.Str("result") != "SUCCESS" || len(again) > 0 {
			t.Errorf("it ended %s, and then ran %v", row.Str("result"), again)
		}
	})
}

// A stop is asked for at each seam of a start in turn, and it is what counts.
func TestACancelWinsWheneverItComes(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		w.container(nil)
		w.work(w.worker())
		for n := 1; ; n++ {
			c := w.container(nil)
			k, at, asked := w.worker(), 0, false
			k.store.Seam = func(s store.Seam, _ string) error {
				if s == store.Committing { // its rows are locked: the stop would wait for that
					return nil
				}
				if at++; at == n && w.again(c).State() != "running" {
					asked = true
					w.act(c, "instance.remove")
				}
				return nil
			}
			p := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0]
			if err := k.Execute(w.ctx, p.ID()); err != nil {
				t.Fatal(err)
			}
			if !asked {
				if w.want(c, "running"); n < 8 {
					t.Errorf("there were %d seams only", n-1)
				}
				return
			}
			w.work(w.worker())
			w.want(c, "removed")
			if got := w.processes(c); w.agent.running[c.UUID()] || got != "instance.create CANCELED, instance.remove DONE" {
				t.Errorf("asked at %d: its host runs it: %v; %s", n, w.agent.running[c.UUID()], got)
			}
		}
	})
}

// The last write of a create and the launch of a remove race, again and again. Either
// the remove is refused and the create is done, or the create is canceled.
func TestACancelAndTheLastWriteRace(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k, won := w.worker(), map[string]int{}
		for range 50 {
			row := w.post("network", nil)
			p := w.find("processInstance", process.Match{"resourceType": "network", "resourceId": row.Key()})[0]
			var both sync.WaitGroup
			var refused error
			both.Go(func() { _ = k.Execute(w.ctx, p.ID()) })
			both.Go(func() {
				for range rand.IntN(6) {
					_, _ = w.store.Process(w.ctx, p.ID())
				}
				refused = w.launch(row.Clone(), "network.remove", nil)
			})
			both.Wait()
			w.work(k)
			state, result := w.again(row).State(), w.again(p).Str("result")
			won[state]++
			switch {
			case refused == nil && state == "removed" && result == "CANCELED":
			case errors.Is(refused, store.ErrCannotStart) && state == "active" && result == "SUCCESS":
			case errors.Is(refused, store.ErrConflict): // neither: the client may ask again
			default:
				t.Fatalf("the remove was answered %v, the create ended %s, and the network is %s", refused, result, state)
			}
		}
		t.Logf("ended %v", won)
	})
}

// Five processes find their resource held for long. None of them counts an attempt or
// tells a user of an error, and all end.
func TestFiveWaitForOneAndAllEnd(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		w.once(k, c)
		for range 5 {
			w.act(c, "instance.stop")
		}
		stops := w.find("processInstance", process.Match{"processName": "instance.stop"})
		for range 20 {
			w.hurry()
			for _, p := range stops {
				if err := k.Execute(w.ctx, p.ID()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, p := range stops {
			if row := w.again(p); row.Int("attempts") != 0 || row.Int("busyCount") == 0 || row.Get("endTime") != nil {
				t.Errorf("it has %d attempts, was busy %d times and ended %s", row.Int("attempts"), row.Int("busyCount"), row.Str("exitReason"))
			}
		}
		w.agent.mute = nil
		w.work(k)
		w.want(c, "stopped")
		for _, p := range stops {
			if row := w.again(p); row.Str("result") != "SUCCESS" || row.Int("attempts") > 1 {
				t.Errorf("it ended %s after %d attempts", row.Str("result"), row.Int("attempts"))
			}
		}
		if m := w.again(c).Field("transitioningMessage"); m != nil {
			t.Errorf("the user reads %v", m)
		}
	})
}

// A launch that is refused, whoever asked for it and why, leaves no process and moves
// no state.
func TestARefusedLaunchLeavesNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(map[string]any{"uuid": "taken"})
		w.work(w.worker())
		w.act(c, "instance.stop")
		w.work(w.worker())
		before := w.picture()
		same := func(what string) {
			t.Helper()
			for name, now := range w.picture() {
				if before[name] != now {
					t.Errorf("%s left %s: %s", what, name, now)
				}
			}
		}
		if err := w.launch(w.again(c), "instance.migrate", nil); !errors.Is(err, store.ErrCannotStart) {
			t.Errorf("a process that does not fit: %v", err)
		}
		same("a process that does not fit")
		twin := store.NewRow(resource.All.Type("container"), 1, map[string]any{"uuid": "taken"})
		if err := w.launch(twin, "instance.create", nil); !errors.Is(err, store.ErrNotUnique) {
			t.Errorf("a second row of a name: %v", err)
		}
		same("a second row of a name")
		old := w.again(c)
		w.sql("update instance set revision = revision + 1 where id = " + c.Key())
		err := w.store.Write(w.ctx, "api", func(tx *store.Tx) error {
			_, err := tx.Launch(w.ctx, store.Launch{Process: resource.All.Process("instance.start"), Row: old})
			return err
		})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("an old copy: %v", err)
		}
		same("an old copy")
		k := w.worker(process.Handler{Name: "Ask", Stage: process.Pre, Processes: []string{"instance.start"},
			Run: func(ctx context.Context, run process.Run) (*process.Answer, error) {
				return nil, run.Schedule(ctx, "instance.migrate", run.Resource(), nil)
			}})
		w.act(c, "instance.start")
		w.once(k, c)
		if n := len(w.find("processInstance", process.Match{"processName": "instance.migrate"})); n != 0 || w.again(c).State() != "starting" {
			t.Errorf("logic that was refused left %d processes, and the instance %s", n, w.again(c).State())
		}
		w.work(w.worker())
		w.want(c, "running")
	})
}

// Hundreds of processes that always fail are due before a hundred that do not. Each of
// them is tried once before the last of the others has ended.
func TestWhatAlwaysFailsDelaysNobody(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		tried := 0
		k := w.worker(process.Handler{Name: "Fail", Stage: process.Pre, Processes: []string{"vnet.create"},
			Run: func(context.Context, process.Run) (*process.Answer, error) {
				tried++
				return nil, errors.New("it never works")
			}})
		const poison = 300
		for range poison {
			w.post("vnet", nil)
		}
		for range 100 {
			w.post("network", nil)
		}
		looks := 0
		for len(w.find("network", process.Match{"state": "active"})) < 100 {
			due, err := w.store.Due(w.ctx, 50)
			if err != nil || len(due) == 0 {
				t.Fatalf("after %d looks nothing is due: %v", looks, err)
			}
			for _, b := range due {
				if err := k.Execute(w.ctx, b.ID); err != nil {
					t.Fatal(err)
				}
			}
			looks++
		}
		if tried > poison || looks > (poison+100)/50+1 {
			t.Errorf("what fails was tried %d times in %d looks", tried, looks)
		}
		pending := w.find("processInstance", process.Match{"endTime": nil})
		if len(pending) != poison {
			t.Errorf("%d of %d that fail are still to be done", len(pending), poison)
		}
	})
}

// Who fails waits twice as long each time, up to a limit; give or take a fifth.
func TestWhoFailsWaitsLongerEachTime(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.set(map[string]string{"process.retry.backoff.initial.ms": "40000", "process.retry.backoff.max.ms": "300000"},
			process.Handler{Name: "Fail", Stage: process.Pre, Processes: []string{"network.create"},
				Run: func(context.Context, process.Run) (*process.Answer, error) { return nil, errors.New("it never works") }})
		network := w.post("network", nil)
		for n, want := range []int64{40_000, 80_000, 160_000, 300_000, 300_000} {
			before, _ := w.store.Now(w.ctx)
			w.once(k, network)
			after, _ := w.store.Now(w.ctx)
			p := w.find("processInstance", process.Match{"resourceType": "network"})[0]
			if due := p.Int("dueAt"); due < before+want*4/5 || due > after+want*6/5 || p.Int("attempts") != int64(n+1) {
				t.Errorf("after %d failures it waits for %d ms, not some %d", p.Int("attempts"), due-after, want)
			}
		}
	})
}

// Starting fails twice, and each time the server dies right after it has been written
// down. The third attempt, of another server, knows of both.
func TestTriesAreCountedThroughDeaths(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		c := w.container(nil)
		p := w.find("processInstance", process.Match{"processName": "instance.create"})[0]
		failed := 0
		for want := int64(1); want <= 2; want++ {
			k := w.worker()
			w.agent.fail = func(e *wire.Event) string {
				if e.Name != wire.ComputeInstanceActivate {
					return ""
				}
				failed++
				k.store.Seam = func(s store.Seam, _ string) error {
					if s == store.Committed { // the failure is on record
						k.store.Seam = func(store.Seam, string) error { return errDead }
						return errDead
					}
					return nil
				}
				return "broken"
			}
			w.once(k, c)
			stored, err := w.store.Process(w.ctx, p.ID())
			if err != nil {
				t.Fatal(err)
			}
			scope, _ := stored.Data["io.cattle.platform.process.instance.InstanceStart"].(map[string]any)
			if text, _ := json.Marshal(scope["computeTry"]); string(text) != fmt.Sprint(want) {
				t.Errorf("after %d failures %s tries are counted", want, text)
			}
		}
		w.agent.fail = nil
		w.work(w.worker())
		w.want(c, "running")
		if failed != 2 {
			t.Errorf("it failed %d times", failed)
		}
	})
}

// A start stands in the middle of its work, with volumes and maps on their way. While it
// is not resumed none of them moves; when a stop has canceled it, only the stop moves them.
func TestNestedWorkEndsWithItsParent(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(nil)
		w.agent.mute = func(e *wire.Event) bool { return e.Name == wire.ComputeInstanceActivate }
		w.once(k, c)
		w.want(c, "starting")
		children := func() (out []string) {
			for _, typ := range []string{"volume", "instanceHostMap"} {
				for _, row := range w.find(typ, process.Match{"instanceId": c.ID()}) {
					out = append(out, typ+" "+row.State())
				}
			}
			return out
		}
		start := w.find("processInstance", process.Match{"processName": "instance.create"})[0]
		w.agent.mute = nil
		under := []string{"volume active", "instanceHostMap activating"}
		w.hurry()
		due, err := w.store.Due(w.ctx, 100)
		if err != nil || len(due) != 1 || due[0].ID != start.ID() {
			t.Errorf("beside the start there is %v: %v", due, err)
		}
		if got := children(); !slices.Equal(got, under) {
			t.Errorf("while nobody resumes the start they are %v", got)
		}
		w.act(c, "instance.stop")
		if err := k.Execute(w.ctx, start.ID()); err != nil {
			t.Fatal(err)
		}
		if row := w.again(start); row.Str("result") != "CANCELED" {
			t.Errorf("the start ended %s", row.Str("exitReason"))
		}
		if got := children(); !slices.Equal(got, under) || w.agent.running[c.UUID()] {
			t.Errorf("the canceled start left them %v", got)
		}
		w.work(k)
		w.want(c, "stopped")
		if got := children(); !slices.Equal(got, []string{"volume inactive", "instanceHostMap inactive"}) {
			t.Errorf("after the stop they are %v", got)
		}
	})
}
