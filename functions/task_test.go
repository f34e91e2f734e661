package functions

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// clocked is one server that runs tasks.
type clocked struct {
	*Scheduler
	settings *config.Settings
	bus      *event.Bus
	stop     func()
}

// clock starts a server on a database and a Redis. It runs the given functions.
func clock(t *testing.T, s *store.Store, redisAt string, settings map[string]string, fs ...Function) *clocked {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: redisAt})
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	c := &clocked{bus: event.New(client, log)}
	var err error
	if c.settings, err = config.Load(nil, nil, t.TempDir(), settings); err != nil {
		t.Fatal(err)
	}
	c.Scheduler = New(Deps{Store: s, Ring: func([]process.Bell) {}, Depths: func() (map[string]int, error) { return nil, nil },
		Locks: lock.New(client), Bus: c.bus, Settings: c.settings, Server: t.Name(), Log: log})
	c.functions = fs
	var running sync.WaitGroup
	running.Go(func() { _ = c.bus.Run(ctx) })
	running.Go(func() { _ = c.Run(ctx) })
	c.stop = sync.OnceFunc(func() { cancel(); running.Wait(); _ = client.Close() })
	t.Cleanup(c.stop)
	until(t, "the tasks are known", func() bool { return len(rows(t, s, "task")) == len(fs) })
	return c
}

func rows(t *testing.T, s *store.Store, typ string) []*schema.Row {
	t.Helper()
	out, err := s.Find(context.Background(), resource.All.Type(typ), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come to it that %s", what)
		}
	}
}

// counting is a function that counts its runs.
func counting(name string, n *atomic.Int64) Function {
	return Function{Name: name, Run: func(context.Context, *Scheduler) error { n.Add(1); return nil }}
}

// A schedule is a number of seconds. Without one a task is run by hand, with 0 not even
// so; a new one is in force at once.
func TestATaskRunsByItsSchedule(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		s := testkit.Store(t, address)
		var often, blank, zero, odd, turned atomic.Int64
		c := clock(t, s, miniredis.RunT(t).Addr(), map[string]string{"task.initial.delay.seconds": "15", "task.often.schedule": "0.01", "task.blank.schedule": " ",
			"task.zero.schedule": "0", "task.odd.schedule": "every day", "task.turned.schedule": "86400"},
			counting("often", &often), counting("blank", &blank), counting("zero", &zero), counting("odd", &odd), counting("turned", &turned))
		until(t, "it runs often", func() bool { return often.Load() > 5 })
		c.settings.SetDatabase(map[string]string{"task.turned.schedule": "0.01"})
		until(t, "a new schedule counts", func() bool { return turned.Load() > 3 })
		c.settings.SetDatabase(map[string]string{"task.turned.schedule": "0", "task.zero.schedule": "0.01"})
		until(t, "a task is switched on", func() bool { return zero.Load() > 3 })
		c.settings.SetDatabase(map[string]string{"task.turned.schedule": "0"})
		for _, name := range []string{"blank", "odd", "turned"} {
			_, payload, err := Request(name)
			if err != nil {
				t.Fatal(err)
			}
			n := turned.Load()
			c.hear(context.Background(), payload)
			if name == "turned" && turned.Load() > n+1 { // one may have been under way
				t.Error("a task that is switched off was run by hand")
			}
		}
		if blank.Load() != 1 || odd.Load() != 1 {
			t.Errorf("by hand they ran %d and %d times", blank.Load(), odd.Load())
		}
	})
}

// Everybody hears a request. One of them runs the task, unless it is one that each has
// to run; what is no request is passed over.
func TestATaskIsRunByHand(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		s, server := testkit.Store(t, address), miniredis.RunT(t)
		var one, each, last atomic.Int64
		all := counting("each", &each)
		all.Everywhere = true
		fs := []Function{counting("one", &one), all, counting("last", &last)}
		servers := []*clocked{clock(t, s, server.Addr(), nil, fs...), clock(t, s, server.Addr(), nil, fs...), clock(t, s, server.Addr(), nil, fs...)}
		ask := func(name string) {
			channel, payload, err := Request(name)
			if err != nil {
				t.Fatal(err)
			}
			until(t, "all servers hear", func() bool {
				heard, err := servers[0].bus.Heard(context.Background(), channel)
				return err == nil && heard[channel] == 3
			})
			if _, err := servers[0].bus.Publish(context.Background(), channel, payload); err != nil {
				t.Fatal(err)
			}
		}
		channel, _, _ := Request("")
		_, _ = servers[0].bus.Publish(context.Background(), channel, "no request")
		ask("nothing like it")
		ask("one")
		ask("each")
		until(t, "each has run it", func() bool { return each.Load() == 3 })
		ask("last")
		until(t, "one has run the last", func() bool { return last.Load() == 1 })
		for _, c := range servers {
			c.stop() // and with it all that it has begun
		}
		if one.Load() != 1 || each.Load() != 3 || last.Load() != 1 {
			t.Errorf("they ran %d, %d and %d times", one.Load(), each.Load(), last.Load())
		}
		until(t, "there is a record of each run", func() bool { return len(rows(t, s, "taskInstance")) == 5 })
	})
}

// A run that takes its time is there while it has not ended; a failure is told in so
// many characters; old records go.
func TestRunsAreRecorded(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		gate := make(chan struct{})
		slow := Function{Name: "slow", Run: func(context.Context, *Scheduler) error { <-gate; return nil }}
		broken := Function{Name: "broken", Run: func(context.Context, *Scheduler) error { return errors.New(strings.Repeat("ü", 300)) }}
		mad := Function{Name: "mad", Run: func(context.Context, *Scheduler) error { panic("boom") }}
		silent := Function{Name: "silent", Unrecorded: true, Run: func(context.Context, *Scheduler) error { return nil }}
		c := clock(t, s, miniredis.RunT(t).Addr(), nil, slow, broken, mad, silent)
		done := make(chan struct{})
		go func() { defer close(done); c.do(ctx, slow) }()
		until(t, "the slow run is shown", func() bool { return len(rows(t, s, "taskInstance")) == 1 })
		if r := rows(t, s, "taskInstance")[0]; r.Get("endTime") != nil || r.Int("startTime") == 0 || r.Str("serverId") != t.Name() || r.Str("name") != "slow" || r.Int("taskId") == 0 {
			t.Errorf("a run that goes on is %v", r.Values())
		}
		close(gate)
		<-done
		c.do(ctx, broken)
		c.do(ctx, mad)
		c.do(ctx, silent)
		runs := rows(t, s, "taskInstance")
		if len(runs) != 3 || runs[0].Get("endTime") == nil || runs[0].Get("exception") != nil || runs[1].Str("exception") != strings.Repeat("ü", 255) ||
			runs[2].Str("exception") != "internal error in task mad" {
			t.Fatalf("the records are %v", runs)
		}
		if err := s.ForgetTasks(ctx, 3_600_000, 2); err != nil || len(rows(t, s, "taskInstance")) != 3 {
			t.Errorf("records of this hour are gone: %v", err)
		}
		c.settings.SetDatabase(map[string]string{"task.purge.after.seconds": "1"})
		until(t, "the records are gone", func() bool {
			return c.Task(ctx, "cleanup.task.instances") != nil && cleanRuns.Run(ctx, c.Scheduler) == nil && len(rows(t, s, "taskInstance")) == 0
		})
	})
}

// Two who both believe that they lead do no harm: what one has launched the other does
// not launch again, and what is forgotten twice is gone once.
func TestTwoLeadersDoNoHarm(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx := context.Background()
		s := testkit.Store(t, address)
		typ := resource.All.Type("volume")
		const removed = 60
		for range removed {
			row := store.NewRow(typ, 1, map[string]any{"state": "removed", "removed": int64(1), "removeTime": int64(2)})
			if err := s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
				t.Fatal(err)
			}
		}
		often := config.Standard()
		for _, f := range All {
			often["task."+f.Name+".schedule"] = "0.01"
		}
		often["task.agent.ping.schedule"] = "" // needs somebody who is connected
		for range 2 {                          // each with a Redis of its own: both lead
			clock(t, s, miniredis.RunT(t).Addr(), often, All...)
		}
		until(t, "all is being purged", func() bool {
			for _, r := range rows(t, s, "volume") {
				if r.State() != "purging" {
					return false
				}
			}
			return true
		})
		until(t, "both have run everything a few times more", func() bool {
			runs := map[string]int{}
			for _, r := range rows(t, s, "taskInstance") {
				runs[r.Str("name")]++
			}
			return runs["purge.resources"] > 20 && runs["process.replay"] > 20 && runs["cleanup.process.executions"] > 5
		})
		times := map[string]int{}
		for _, p := range rows(t, s, "processInstance") {
			times[p.Str("processName")+" "+p.Str("resourceId")]++
		}
		for what, n := range times {
			if n != 1 {
				t.Errorf("%s was launched %d times", what, n)
			}
		}
		if len(times) != removed {
			t.Errorf("%d purges were launched", len(times))
		}
	})
}
