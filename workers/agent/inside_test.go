package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// absent is a driver whose engine is away.
type absent struct {
	driver.Driver
	tried chan error // nil is that it is back
}

func (a *absent) Kind() string { return "sim" }

func (a *absent) ActivateImage(context.Context, driver.ImageCommand) (any, error) {
	return nil, <-a.tried
}

// The server asks again for what waits for its engine, and the image that it is about has
// meanwhile been claimed for another host.
func TestACommandThatWaitsIsNotMadeStaleByItsOwnRepetition(t *testing.T) {
	t.Parallel()
	fences, err := openFences(filepath.Join(t.TempDir(), "fences"))
	if err != nil {
		t.Fatal(err)
	}
	defer fences.Close()
	a, answers := &absent{tried: make(chan error)}, make(chan *wire.Event, 100)
	d := newDesk(Config{Workers: 1, Patience: time.Hour, Stall: time.Hour}, map[string]driver.Driver{"sim": a}, fences,
		func(e *wire.Event) error { answers <- e; return nil }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ask := func(epoch int64) {
		d.take(t.Context(), &wire.Event{ID: "one", Name: wire.StorageImageActivate, ReplyTo: wire.Text("reply"), Fence: &wire.Fence{Resource: "i", Epoch: epoch},
			Data: []byte(`{"imageStoragePoolMap":{"image":{"uuid":"i"},"storagePool":{"kind":"sim"}}}`)})
	}
	ask(1)
	a.tried <- driver.ErrAbsent
	ask(2)
	var answer *wire.Event
	for back := a.tried; answer == nil; {
		select {
		case back <- nil:
			back = nil
		case e := <-answers:
			if e.IsFinal() {
				answer = e
			}
		}
	}
	if wire.Value(answer.Transitioning) == wire.Failure {
		t.Errorf("it is answered: %s", wire.Value(answer.TransitioningMessage))
	}
}

// slow is a driver whose engine has much to do, and says so, or stands still.
type slow struct {
	driver.Driver
	words int
}

func (s *slow) Kind() string { return "sim" }

func (s *slow) ActivateImage(ctx context.Context, cmd driver.ImageCommand) (any, error) {
	for range s.words {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(stall / 4):
			cmd.Progress("still at it", -1)
		}
	}
	if s.words == 0 {
		<-ctx.Done()
	}
	return nil, ctx.Err()
}

const stall = 2 * time.Second

// An engine that has taken a command and stands still does not keep the server for ever;
// one that goes on has all the time that it needs.
func TestACommandEndsThoughItsEngineStandsStill(t *testing.T) {
	t.Parallel()
	for words, failure := range map[int]string{0: "the engine of the host has said nothing for " + stall.String(), 8: ""} {
		t.Run(fmt.Sprint(words, " words"), func(t *testing.T) {
			t.Parallel()
			fences, err := openFences(filepath.Join(t.TempDir(), "fences"))
			if err != nil {
				t.Fatal(err)
			}
			defer fences.Close()
			answers := make(chan *wire.Event, 100)
			d := newDesk(Config{Workers: 1, Patience: time.Hour, Stall: stall}, map[string]driver.Driver{"sim": &slow{words: words}}, fences,
				func(e *wire.Event) error { answers <- e; return nil }, slog.New(slog.DiscardHandler))
			d.take(t.Context(), &wire.Event{ID: "one", Name: wire.StorageImageActivate, ReplyTo: wire.Text("reply"),
				Data: []byte(`{"imageStoragePoolMap":{"image":{"uuid":"i"},"storagePool":{"kind":"sim"}}}`)})
			for e := range answers {
				if !e.IsFinal() {
					continue
				}
				if got := wire.Value(e.TransitioningMessage); got != failure || (wire.Value(e.Transitioning) == wire.Failure) != (failure != "") {
					t.Errorf("it is answered: %s %q", wire.Value(e.Transitioning), got)
				}
				break
			}
		})
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

// An agent finds out what it can drive, unless it is told; what has to be there is waited
// for, and what was there before is not forgotten.
func TestWhatAHostServes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ there, named, met, variables, want string }{
		{there: "docker libvirt", want: "libvirt docker"},
		{there: "docker", want: "docker"},
		{there: "libvirt", want: "libvirt"},
		{there: "", want: "docker: not there"},
		{there: "late-docker", want: "docker"},
		{there: "libvirt", variables: "DOCKER_REQUIRED=true", want: "docker: not there"},
		{there: "docker", variables: "LIBVIRT_REQUIRED=true", want: "libvirt: not there"},
		{there: "", variables: "DOCKER_REQUIRED=false", want: "nothing on this host"},
		{there: "docker libvirt", variables: "DOCKER_ENABLED=false", want: "libvirt"},
		{there: "docker libvirt", variables: "LIBVIRT_ENABLED=false", want: "docker"},
		{there: "docker", variables: "DOCKER_ENABLED=false", want: "nothing on this host"},
		{there: "docker", met: "libvirt", want: "libvirt docker"},
		{there: "", met: "docker", want: "docker"},
		{there: "", met: "docker", variables: "DOCKER_REQUIRED=true", want: "docker: not there"},
		{there: "docker libvirt", named: "docker", want: "docker"},
		{there: "docker", named: "docker libvirt", want: "libvirt: not there"},
		{there: "docker", named: "docker libvirt", met: "libvirt", want: "docker libvirt"},
		{there: "", named: "docker", variables: "DOCKER_REQUIRED=false", want: "docker"},
		{there: "docker libvirt", named: "libvirt", variables: "LIBVIRT_ENABLED=false", want: "libvirt"},
		{there: "docker", named: "unicorn", want: "there is no driver"},
	} {
		looks := 0
		engines := map[string]engine{}
		for _, kind := range []string{"docker", "libvirt"} {
			engines[kind] = engine{answers: func(context.Context) error {
				if looks++; strings.Contains(" "+c.there, " "+kind) || strings.Contains(c.there, "late-"+kind) && looks > 2 {
					return nil
				}
				return errors.New(kind + ": not there")
			}}
		}
		f := finder{engines: engines, patience: time.Second, log: slog.New(slog.DiscardHandler),
			met: func(kind string) bool { return strings.Contains(c.met, kind) },
			getenv: func(name string) string {
				variable, value, _ := strings.Cut(c.variables, "=")
				if name != "CATTLE_"+variable {
					return ""
				}
				return value
			}}
		kinds, err := f.find(t.Context(), strings.Fields(c.named))
		got := strings.Join(kinds, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%+v: served is %s", c, got)
		}
	}
}

func TestWhatTheVariablesOfOlderAgentsMeanToDocker(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	config, self := Config{URL: "http://10.0.0.1:8080/v1/schemas", HostIP: "10.0.0.2", Hostname: "node"}, identity{agent: "A", physicalHost: "P", docker: "D"}
	getenv := func(name string) string { return env[name] }
	if got := dockerConfig(config, self, getenv); got.HostIP != "10.0.0.2" || got.Engine != "" || got.StopTimeout != 0 || got.Server != "http://10.0.0.1:8080/v1" || got.HostUUID != "D" {
		t.Errorf("without any: %+v", got)
	}
	env = map[string]string{"CATTLE_DOCKER_HOST_IP": "192.0.2.1", "CATTLE_DOCKER_URL_BASE": "unix:///x", "CATTLE_STOP_TIMEOUT": "7", "CATTLE_DOCKER_DELEGATE_TIMEOUT": "8", "CATTLE_CONFIG_URL": "http://c/v1"}
	if got := dockerConfig(config, self, getenv); got.HostIP != "192.0.2.1" || got.Engine != "unix:///x" || got.StopTimeout != 7*time.Second || got.DelegateTimeout != 8*time.Second || got.Server != "http://c/v1" {
		t.Errorf("with all: %+v", got)
	}
}

func TestWhatTheVariablesOfOlderAgentsMeanToLibvirt(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	config, self := Config{HostIP: "10.0.0.2", Hostname: "node", Home: "/h"}, identity{agent: "A", physicalHost: "P", libvirt: "L"}
	getenv := func(name string) string { return env[name] }
	got := libvirtConfig(config, self, getenv)
	if got.HostIP != "10.0.0.2" || len(got.Pools) != 0 || got.Screens != "" || got.TokenLife != 0 || got.ConfigDrives != "" || got.Maker != "" || got.HostUUID != "L" {
		t.Errorf("without any: %+v", got)
	}
	env = map[string]string{"CATTLE_LIBVIRT_HOST_IP": "192.0.2.1", "CATTLE_LIBVIRT_POOL_DIRECTORIES": "/a /b", "CATTLE_STOP_TIMEOUT": "7",
		"CATTLE_LIBVIRT_WEBSOCKIFY_ENABLED": "true", "CATTLE_LIBVIRT_WEBSOCKIFY_SESSION_TIMEOUT": "9", "CATTLE_LIBVIRT_CONFIG_DRIVE_DIR": "/c",
		"CATTLE_LIBVIRT_GENISOIMAGE": "mkisofs", "CATTLE_LIBVIRT_DEFAULT_TEMPLATE": "a.tmpl, b.tmpl", "CATTLE_LIBVIRT_TEMPLATE_DIR": "/t"}
	got = libvirtConfig(config, self, getenv)
	if got.HostIP != "192.0.2.1" || !slices.Equal(got.Pools, []string{"/a", "/b"}) || got.Screens != "0.0.0.0:9343" || got.TokenLife != 9*time.Second || got.ConfigDrives != "/c" ||
		got.Maker != "mkisofs" || got.StopTimeout != 7*time.Second || !slices.Equal(got.Templates, []string{"a.tmpl", "b.tmpl"}) || !slices.Equal(got.TemplateDirs, []string{"/t"}) {
		t.Errorf("with all: %+v", got)
	}
}
