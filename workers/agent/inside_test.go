package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
)

func TestPausesGrowAndAreSpread(t *testing.T) {
	t.Parallel()
	for failures, bound := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		seen := map[time.Duration]bool{}
		for range 100 {
			pause := pauseAfter(failures, time.Second)
			if seen[pause] = true; pause > bound*time.Second {
				t.Fatalf("paused %v after %d failures", pause, failures)
			}
		}
		if len(seen) < 50 {
			t.Errorf("only %d different pauses", len(seen))
		}
	}
	if got := pauseAfter(1_000_000, time.Second); got > time.Minute {
		t.Errorf("paused %v", got)
	}
}

func TestFencesSurviveATornLineAndCompaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fences")
	if err := os.WriteFile(path, []byte("3 a\n5 a\n4 a\n2 b\nnonsense\n9"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFences(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		fence *wire.Fence
		want  bool
	}{
		{&wire.Fence{Resource: "a", Epoch: 4}, false}, {&wire.Fence{Resource: "a", Epoch: 5}, true},
		{&wire.Fence{Resource: "b", Epoch: 1}, false}, {&wire.Fence{Resource: "b", Epoch: 3}, true},
		{&wire.Fence{Resource: "b", Epoch: 2}, false}, {&wire.Fence{Resource: "new", Epoch: 0}, true}, {nil, true},
	} {
		if got, err := f.Admit(c.fence); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c.fence, got, err)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "5 a\n2 b\n3 b\n0 new\n" {
		t.Errorf("file %q", text)
	}
}

func TestFencesAreBounded(t *testing.T) {
	t.Parallel()
	f, err := openFences(filepath.Join(t.TempDir(), "fences"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range int64(2 * looseLines) {
		if ok, err := f.Admit(&wire.Fence{Resource: "a", Epoch: i}); !ok || err != nil {
			t.Fatal(i, ok, err)
		}
	}
	if f.lines > looseLines+1 {
		t.Errorf("%d lines for one resource", f.lines)
	}
}

func TestOnlyTheLatestAnswersAreKept(t *testing.T) {
	t.Parallel()
	a := answers{byID: map[string]*wire.Event{}}
	for i := range 3 * keptAnswers {
		a.add(fmt.Sprint(i), &wire.Event{})
	}
	if len(a.byID) != keptAnswers || a.byID[fmt.Sprint(2*keptAnswers-1)] != nil || a.byID[fmt.Sprint(2*keptAnswers)] == nil {
		t.Errorf("kept %d", len(a.byID))
	}
}

// moody is a driver that may not be able to report.
type moody struct {
	driver.Driver
	err error
}

func (m *moody) Report(context.Context, wire.PingOptions) ([]wire.Resource, error) {
	return []wire.Resource{{Type: "instance", UUID: "m"}}, m.err
}

func TestIncompleteListIsNotCalledComplete(t *testing.T) {
	t.Parallel()
	m := &moody{err: driver.ErrAbsent}
	s := sim.New(sim.Config{AgentUUID: "A"})
	p := newPinger(map[string]driver.Driver{"sim": s, "moody": m}, home(t.TempDir()), nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	complete := func() bool { return p.report(t.Context(), wire.PingOptions{Instances: true}).Options.Instances }
	if !complete() {
		t.Error("what was never there hides the others")
	}
	if m.err = errors.New("moody"); complete() {
		t.Error("complete without the moody one")
	}
	if m.err = nil; !complete() {
		t.Error("incomplete although all reported")
	}
	if m.err = driver.ErrAbsent; complete() {
		t.Error("complete without one that was there before")
	}
}

func TestServerAddressIsReadInAllItsForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"http://h:8080", "http://h:8080/", "http://h:8080/v1", "http://h:8080/v1/schemas"} {
		if got, err := serverURL(text); err != nil || got.String() != "http://h:8080" {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "h:8080", "ftp://h"} {
		if got, err := serverURL(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func BenchmarkFence(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprint("sync=", sync), func(b *testing.B) {
			f, err := openFences(filepath.Join(b.TempDir(), "fences"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			var epoch int64
			for b.Loop() {
				epoch++
				_, _ = f.Admit(&wire.Fence{Resource: "a", Epoch: epoch})
				if sync {
					_ = f.file.Sync()
				}
			}
		})
	}
}
