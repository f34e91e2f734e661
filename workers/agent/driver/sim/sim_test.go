package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver/drivertest"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
)

func TestStories(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(*testing.T) drivertest.Subject {
		return drivertest.Subject{
			Driver: sim.New(sim.Config{AgentUUID: "agent"}), ImageUUID: "sim:anything",
			Break: func(instance map[string]any) {
				instance["data"] = map[string]any{"compute.instance.activate::fail": true}
			},
		}
	})
}

func event(name, data string) *wire.Event {
	return &wire.Event{
		ID: "request", Name: name, ReplyTo: wire.Text("reply.1"),
		ResourceType: wire.Text("thing"), ResourceID: wire.Text("7"), Data: json.RawMessage(data),
	}
}

func TestAnswerIsAddressedToTheRequest(t *testing.T) {
	t.Parallel()
	got := sim.New(sim.Config{}).Handle(t.Context(), event("storage.image.activate;agent=5", `{}`), nil)
	if got.Name != "reply.1" || got.PreviousIDs[0] != "request" || *got.ResourceType != "thing" || *got.ResourceID != "7" {
		t.Errorf("got %+v", got)
	}
	if got.Data != nil || !got.IsFinal() {
		t.Errorf("got data %s, transitioning %v", got.Data, got.Transitioning)
	}
}

func TestNobodyToAnswer(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{})
	start := event(wire.ComputeInstanceActivate, `{"instanceHostMap":{"instance":{"uuid":"a"}}}`)
	start.ReplyTo = nil
	if got := s.Handle(t.Context(), start, nil); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := running(t, s); got != "a" {
		t.Errorf("running %q", got)
	}
}

func TestFaultIsFoundAnywhereInTheRequest(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{})
	for _, data := range []string{
		`{"instanceHostMap":{"instance":{"data":{"compute.instance.activate::fail":true}}}}`,
		`{"note":"please compute.instance.activate::fail"}`,
	} {
		got := s.Handle(t.Context(), event(wire.ComputeInstanceActivate, data), nil)
		if *got.Transitioning != "error" || *got.TransitioningMessage != "Failing [compute.instance.activate]" {
			t.Errorf("%s: %+v", data, got)
		}
		if got = s.Handle(t.Context(), event(wire.ComputeInstanceDeactivate, data), nil); got.Transitioning != nil {
			t.Errorf("%s also failed deactivate", data)
		}
	}
}

func TestPingReportsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{AgentUUID: "A", Data: map[string]any{
		"io.cattle.platform.agent.connection.simulator.AgentConnectionSimulator": map[string]any{"hosts": 2.0, "storagePoolsPerHost": 2},
	}})
	s.Remember("one", "two")
	want := "storagePool A-0-0 A-0 ; storagePool A-0-1 A-0 ; host A-0  A-physical-host; " +
		"storagePool A-1-0 A-1 ; storagePool A-1-1 A-1 ; host A-1  A-physical-host; physicalHost A-physical-host  "
	if got := list(ping(t, s, `{"options":{"resources":true},"resources":[]}`)); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
	pong := ping(t, s, `{"options":{"instances":true}}`)
	if got := list(pong); got != "instance one  ; instance two  " || !pong.Options.Instances {
		t.Errorf("got %s", got)
	}
	if pong = ping(t, s, `{"options":{}}`); list(pong) != "" || pong.Options.Instances {
		t.Errorf("got %+v", pong)
	}
}

func TestChangedDataKeepsInstances(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{AgentUUID: "A"})
	s.Remember("one")
	s.Configure(map[string]any{
		"io.cattle.platform.agent.connection.simulator.AgentConnectionSimulator": map[string]any{"addPhysicalHost": false},
	})
	got := list(ping(t, s, `{"options":{"resources":true,"instances":true}}`))
	if want := "storagePool A-0-0 A-0 ; host A-0  ; instance one  "; got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

func TestForgetImmediately(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{})
	s.Remember("a")
	got := s.Handle(t.Context(), event(wire.ComputeInstanceActivate,
		`{"instanceHostMap":{"instance":{"uuid":"a","data":{"simForgetImmediately":true}}}}`), nil)
	if got.Transitioning != nil || running(t, s) != "" {
		t.Errorf("got %+v, running %q", got, running(t, s))
	}
}

func TestShutdownAfterSeconds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"simShutdownAfter":10`, `"x":["simShutdownAfter","10"]`, `"x":"simShutdownAfter 10"`} {
		now := time.Unix(1000, 0)
		s := sim.New(sim.Config{Now: func() time.Time { return now }})
		s.Handle(t.Context(), event(wire.ComputeInstanceActivate,
			`{"instanceHostMap":{"instance":{"uuid":"a","data":{`+text+`}}}}`), nil)
		now = now.Add(9 * time.Second)
		if running(t, s) != "a" {
			t.Errorf("%s: ended early", text)
		}
		now = now.Add(time.Second)
		if running(t, s) != "" {
			t.Errorf("%s: did not end", text)
		}
	}
}

func TestDelayEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{})
	if got := s.Handle(t.Context(), event(wire.StorageImageActivate, `{"simDelayMillis":1}`), nil); got == nil {
		t.Error("no answer after the delay")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.Handle(ctx, event(wire.StorageImageActivate, `{"simDelayMillis":3600000}`), nil); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	got := sim.New(sim.Config{}).Handle(t.Context(), event("console.access", `{"host":{},"instance":{}}`), nil)
	if string(got.Data) != `{"kind":"fake","url":"http://localhost/console"}` {
		t.Errorf("got %s", got.Data)
	}
}

func TestDelegateAnswersWithTheInnerReply(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{Agent: func(_ context.Context, id int64) (sim.Config, bool) { return sim.Config{AgentUUID: "inner"}, id == 12 }})
	ask := `{"instanceData":{"agentId":%d},"event":{"id":"i1","name":"%s","replyTo":"inner.reply","data":{"options":{"resources":true},"note":"%s"}}}`
	var inner wire.Event
	got := s.Handle(t.Context(), event("delegate.request", fmt.Sprintf(ask, 12, "ping", "")), nil)
	if err := json.Unmarshal(got.Data, &inner); err != nil || inner.Name != "inner.reply" || inner.PreviousIDs[0] != "i1" {
		t.Errorf("%v: %s", err, got.Data)
	}
	if strings.Contains(string(inner.Data), "inner-0") {
		t.Errorf("an agent in an instance reported hosts: %s", inner.Data)
	}
	got = s.Handle(t.Context(), event("delegate.request", fmt.Sprintf(ask, 12, "ping", "ping::fail")), nil)
	if err := json.Unmarshal(got.Data, &inner); err != nil || got.Transitioning != nil || *inner.Transitioning != "error" {
		t.Errorf("%v: %+v, inner %s", err, got, got.Data)
	}
	if got = s.Handle(t.Context(), event("delegate.request", fmt.Sprintf(ask, 13, "ping", "")), nil); got != nil {
		t.Errorf("unknown agent answered %+v", got)
	}
}

type content struct {
	fail bool
	log  []string
}

func (c *content) Version(_ context.Context, url, item string) (string, error) {
	if c.fail {
		return "", errors.New("gone")
	}
	return "3-" + item, nil
}

func (c *content) Applied(_ context.Context, url, item, version string) error {
	c.log = append(c.log, url+" "+item+" "+version)
	return nil
}

func TestConfigUpdateReportsEachItem(t *testing.T) {
	t.Parallel()
	c := &content{}
	s := sim.New(sim.Config{Content: c})
	update := event(wire.ConfigUpdate, `{"configUrl":"http://c/v1","items":[{"name":"a"},{"name":"b"}]}`)
	if got := s.Handle(t.Context(), update, nil); got == nil || got.Data != nil {
		t.Errorf("got %+v", got)
	}
	if want := []string{"http://c/v1 a 3-a", "http://c/v1 b 3-b"}; !reflect.DeepEqual(c.log, want) {
		t.Errorf("got %q", c.log)
	}
	c.fail = true
	if got := s.Handle(t.Context(), update, nil); got != nil {
		t.Errorf("got %+v", got)
	}
}

func ping(t *testing.T, s *sim.Simulator, data string) wire.PingData {
	t.Helper()
	var pong wire.PingData
	if err := json.Unmarshal(s.Handle(t.Context(), event(wire.Ping, data), nil).Data, &pong); err != nil {
		t.Fatal(err)
	}
	return pong
}

func running(t *testing.T, s *sim.Simulator) string {
	var names []string
	for _, r := range ping(t, s, `{"options":{"instances":true}}`).Resources {
		names = append(names, r.UUID)
	}
	return strings.Join(names, " ")
}

func list(pong wire.PingData) string {
	var lines []string
	for _, r := range pong.Resources {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", r.Type, r.UUID, r.HostUUID, r.PhysicalHostUUID))
	}
	return strings.Join(lines, "; ")
}

func BenchmarkPing(b *testing.B) {
	s := sim.New(sim.Config{AgentUUID: "A"})
	for i := range 10 {
		s.Remember(fmt.Sprint("instance", i))
	}
	e := event(wire.Ping, `{"options":{"instances":true},"resources":[]}`)
	for b.Loop() {
		s.Handle(b.Context(), e, nil)
	}
}

func BenchmarkStart(b *testing.B) {
	s := sim.New(sim.Config{AgentUUID: "A"})
	e := event(wire.ComputeInstanceActivate, `{"instanceHostMap":{"instance":{"uuid":"a","data":{"x":"`+strings.Repeat("y", 4000)+`"}}}}`)
	for b.Loop() {
		s.Handle(b.Context(), e, nil)
	}
}

// What a script does to three commands for the same resource: S is answered, E refused,
// - is silence, 2 is answered two times; + follows where the instance then runs.
func TestHowAScriptMisbehaves(t *testing.T) {
	t.Parallel()
	for steps, want := range map[string]string{
		"":                                      "S+ S+ S+",
		"compute.instance.activate fail 1":      "E S+ S+",
		"compute.instance.activate drop 2":      "- - S+",
		"compute.instance.activate lose":        "-+ -+ -+",
		"compute.instance.activate spoil 1":     "E+ S+ S+",
		"compute.instance.activate twice 1":     "2+ S+ S+",
		"* drop 1":                              "- S+ S+",
		"storage.volume.activate drop":          "S+ S+ S+",
		"compute.instance.activate drop 0.5":    "- S+ -",
		"* drop 1; * fail 1, * lose 1":          "- E -+",
		"compute.instance.activate drop always": "S+ S+ S+",
		"* dance":                               "S+ S+ S+",
	} {
		for _, where := range []string{"the agent", "the instance"} {
			chances := []float64{0.4, 0.6, 0.1}
			chance := func() float64 { c := chances[0]; chances = chances[1:]; return c }
			config, data := sim.Config{Chance: chance}, `{"simScript":"`+steps+`"}`
			if where == "the agent" {
				config.Data, data = map[string]any{"simScript": steps}, `{}`
			}
			s := sim.New(config)
			var got []string
			for range 3 {
				s.Handle(t.Context(), event(wire.ComputeInstanceDeactivate, `{"instanceHostMap":{"instance":{"uuid":"a"}}}`), nil)
				early := 0
				answer := s.Handle(t.Context(), event(wire.ComputeInstanceActivate, `{"instanceHostMap":{"instance":{"uuid":"a","data":`+data+`}}}`),
					func(*wire.Event) { early++ })
				word := "S"
				switch {
				case answer == nil:
					word = "-"
				case wire.Value(answer.Transitioning) == wire.Failure:
					word = "E"
				case early == 1:
					word = "2"
				}
				if running(t, s) == "a" {
					word += "+"
				}
				got = append(got, word)
			}
			if strings.HasPrefix(steps, "*") && where == "the agent" {
				continue // it is about the stops in between as well
			}
			if told := strings.Join(got, " "); told != want {
				t.Errorf("%q in the data of %s: got %s, want %s", steps, where, told, want)
			}
		}
	}
}

func TestAScriptCountsForEachResource(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Config{Data: map[string]any{"simScript": "* drop 1"}})
	for _, id := range []string{"7", "8"} {
		for i, silent := range []bool{true, false} {
			e := event(wire.StorageImageActivate, `{}`)
			e.ResourceID = &id
			if got := s.Handle(t.Context(), e, nil); (got == nil) != silent {
				t.Errorf("command %d for %s: %+v", i, id, got)
			}
		}
	}
	ping(t, s, `{"options":{}}`) // is answered at once: it is no such command
}
