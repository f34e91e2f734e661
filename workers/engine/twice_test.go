package engine_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/testkit"
)

// careless is logic that does not look before it acts, each in its own way.
var careless = []struct {
	name, says string
	run        func(calls int, ctx context.Context, run process.Run) (*process.Answer, error)
}{
	{"makes a row each time", "made a row", func(_ int, ctx context.Context, run process.Run) (*process.Answer, error) {
		_, err := run.Create(ctx, "volume", map[string]any{"accountId": int64(1)})
		return nil, err
	}},
	{"schedules a process each time", "made a row or scheduled a process", func(_ int, ctx context.Context, run process.Run) (*process.Answer, error) {
		return nil, run.Schedule(ctx, "network.create", run.Resource(), nil)
	}},
	{"counts", "changed network [0-9]+ data fields calls$", func(calls int, ctx context.Context, run process.Run) (*process.Answer, error) {
		run.Resource().SetField("calls", calls)
		return nil, run.Save(ctx, run.Resource())
	}},
	{"names another row anew", "changed account 1 name$", func(calls int, ctx context.Context, run process.Run) (*process.Answer, error) {
		if calls < 2 {
			return nil, nil
		}
		account, err := run.Get(ctx, "account", 1)
		if err != nil {
			return nil, err
		}
		account.Set("name", strings.Repeat("a", calls))
		return nil, run.Save(ctx, account)
	}},
	{"counts in the process data", "changed process data calls", func(calls int, _ context.Context, run process.Run) (*process.Answer, error) {
		run.Data()["calls"] = calls
		return nil, nil
	}},
	{"answers as it likes", "answered otherwise: answer data _n", func(calls int, _ context.Context, _ process.Run) (*process.Answer, error) {
		return &process.Answer{Data: map[string]any{"_n": calls}}, nil
	}},
	{"asks for the delegate now and then", "answered otherwise: answer delegate", func(calls int, _ context.Context, _ process.Run) (*process.Answer, error) {
		return &process.Answer{Delegate: calls%2 == 0}, nil
	}},
}

// Each is found by the check that runs handlers again, and the error names the handler,
// the process and what differs; nobody sees it while the check is off.
func TestLogicThatIsNotIdempotentIsFound(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		for _, c := range careless {
			try := func(again string) string {
				calls := 0
				k := w.set(map[string]string{"idempotent.reexecute": again}, process.Handler{Name: "Careless", Stage: process.Pre, Processes: []string{"network.create"},
					Run: func(ctx context.Context, run process.Run) (*process.Answer, error) {
						calls++
						return c.run(calls, ctx, run)
					}})
				row := w.post("network", nil)
				p := w.find("processInstance", process.Match{"resourceType": "network", "resourceId": row.Key()})[0]
				if err := k.Execute(w.ctx, p.ID()); err != nil {
					t.Fatal(err)
				}
				stored, err := w.store.Process(w.ctx, p.ID())
				if err != nil {
					t.Fatal(err)
				}
				return stored.LastError
			}
			got := try("true")
			if named, _ := regexp.MatchString("^handler Careless of network.create is not idempotent: run again it "+c.says, got); !named {
				t.Errorf("of logic that %s it is said: %s", c.name, got)
			}
			if got := try("false"); strings.Contains(got, "idempotent") {
				t.Errorf("without the check it is said: %s", got)
			}
		}
	})
}

// An attempt is cut at every change once, with what was written before it, and begins
// again at once: none counts, and in the end nothing is there twice.
func TestAnAttemptIsCutAtEachChangeOnce(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		w.container(nil)
		w.work(w.worker())
		begun := 0
		k := w.set(map[string]string{"idempotent.abort.on.change": "true"}, process.Handler{Name: "Count", Stage: process.Pre, Priority: process.First,
			Processes: []string{"instance.create", "instance.start"}, Run: func(context.Context, process.Run) (*process.Answer, error) {
				begun++
				return nil, nil
			}})
		c := w.container(nil)
		p := w.find("processInstance", process.Match{"resourceType": "instance", "resourceId": c.Key()})[0]
		reasons := map[string]bool{}
		for range 200 {
			w.hurry()
			if err := k.Execute(w.ctx, p.ID()); err != nil {
				t.Fatal(err)
			}
			reasons[w.again(p).Str("exitReason")] = true
		}
		w.want(c, "running")
		if row := w.again(p); row.Int("attempts") != 1 || row.Int("runEpoch") < 15 || int64(begun) < row.Int("runEpoch") || !reasons["RETRY_EXCEPTION"] {
			t.Errorf("%d attempts count of %d, which began %d times and ended so: %v", row.Int("attempts"), row.Int("runEpoch"), begun, reasons)
		}
		w.check(0, c, "running")
		if n := w.agent.effects["start "+c.UUID()]; n != 1 {
			t.Errorf("the instance was started %d times", n)
		}
	})
}

// What makes a row at one place and ties it at another leaves rows behind that belong
// to nobody, wherever it is cut between the two.
func TestLogicThatCannotBeCutLeavesRowsBehind(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		for _, cut := range []string{"false", "true"} {
			k := w.set(map[string]string{"idempotent.abort.on.change": cut}, process.Handler{Name: "Careless", Stage: process.Pre, Processes: []string{"network.create"},
				Run: func(ctx context.Context, run process.Run) (*process.Answer, error) {
					if run.Resource().Field("subnet") != nil {
						return nil, nil
					}
					s, err := run.Create(ctx, "subnet", nil)
					if err != nil {
						return nil, err
					}
					run.Resource().SetField("subnet", s.ID())
					return nil, run.Save(ctx, run.Resource())
				}})
			w.post("network", nil)
			w.work(k)
		}
		if n := len(w.find("subnet", nil)); n != 3 {
			t.Errorf("there are %d subnets, not one for the first network and two for the other", n)
		}
	})
}
