// Package sim plays a host that is not there. Every command succeeds at once,
// unless the text of the request asks for trouble:
//
//	EVENT NAME::fail        answer with an error
//	simForgetImmediately    start the instance and lose it at once
//	simShutdownAfter N      lose the instance N seconds after its start
//	simDelayMillis N        take N milliseconds for the command
//	simScript STEPS         as a script says; see there
//
// The server plays agents with a sim:// URI this way, thousands in one process;
// the host agent has it as the driver of kind sim. A simulator is a few words of
// memory and no goroutine. What it remembers dies with it: see Remember.
package sim

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Kind is the kind of simulated hosts and pools.
const Kind = "sim"

// delegateRequest is a command that only simulators know.
const delegateRequest = "delegate.request"

var (
	shutdownAfter = regexp.MustCompile(`simShutdownAfter[^0-9A-Za-z]+(\d+)`)
	delayMillis   = regexp.MustCompile(`simDelayMillis[^0-9A-Za-z]+(\d+)`)
)

// Content fetches configuration items and reports them applied, as the agent that
// is played. An error makes the simulator silent, as an agent that could not
// update itself.
type Content interface {
	Version(ctx context.Context, configURL, item string) (string, error)
	Applied(ctx context.Context, configURL, item, version string) error
}

// Config says which agent is played.
type Config struct {
	AgentUUID string
	// Data is the data column of the agent: it says how many hosts and pools there are.
	Data map[string]any
	// Delegated agents live in an instance: they report no hosts and no instances.
	Delegated bool
	// Content is nil where configuration items are applied by saying so.
	Content Content
	// Agent finds the agent of an instance by its id, for delegate.request; nil
	// accepts any.
	Agent func(ctx context.Context, id int64) (Config, bool)
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// Chance is from 0 up to 1; nil is by chance.
	Chance func() float64
}

// Simulator is one simulated agent. It may be used by many goroutines at once.
type Simulator struct {
	config Config

	mu      sync.Mutex
	world   world
	running map[string]time.Time // by uuid: when it ends; zero is never
	script  []step
	done    map[string]int // by step and resource: how often it was carried out
}

// New returns a simulator that runs nothing yet.
func New(config Config) *Simulator {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Chance == nil {
		config.Chance = rand.Float64
	}
	return &Simulator{config: config, world: readWorld(config.Data), script: scriptOf(config.Data)}
}

// Configure takes up changed data of the agent and keeps what runs.
func (s *Simulator) Configure(data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world, s.script = readWorld(data), scriptOf(data)
}

// Remember makes instances run that another simulator of this agent had started.
func (s *Simulator) Remember(uuids ...string) {
	for _, uuid := range uuids {
		s.remember(uuid, time.Time{})
	}
}

// Handle does what the event asks for and returns the answer; nil is silence. It
// returns at once, or after the delay that the request asks for. A simulator has
// no progress to tell, but an answer that goes twice goes that way first; progress
// may be nil.
func (s *Simulator) Handle(ctx context.Context, e *wire.Event, progress func(*wire.Event)) *wire.Event {
	answer, twice := s.answer(ctx, e)
	if e.ReplyTo == nil {
		return nil
	}
	if twice && answer != nil && progress != nil {
		progress(answer)
	}
	return answer
}

func (s *Simulator) answer(ctx context.Context, e *wire.Event) (answer *wire.Event, twice bool) {
	name := driver.Name(e)
	if name == delegateRequest {
		return s.delegate(ctx, e), false
	}
	text := textOf(e)
	failed := e.Fail("Failing ["+name+"]", "")
	if strings.Contains(text, name+"::fail") {
		return failed, false
	}
	if !delay(ctx, text) {
		return nil, false
	}
	switch way := s.way(name, text, e); way {
	case "fail":
		return failed, false
	case "drop":
		return nil, false
	case "lose":
		s.obeyed(ctx, name, text, e)
		return nil, false
	case "spoil":
		s.obeyed(ctx, name, text, e)
		return failed, false
	default:
		return s.obeyed(ctx, name, text, e), way == "twice"
	}
}

// obeyed does what the event asks for.
func (s *Simulator) obeyed(ctx context.Context, name, text string, e *wire.Event) *wire.Event {
	switch name {
	case wire.ConfigUpdate:
		return s.configUpdate(ctx, e)
	case wire.ConsoleAccess:
		return reply(e, map[string]string{"kind": "fake", "url": "http://localhost/console"})
	case wire.Ping:
		return s.ping(e)
	case wire.ComputeInstanceActivate:
		s.start(e, text)
	case wire.ComputeInstanceDeactivate:
		s.forget(instanceOf(e))
	}
	return reply(e, nil)
}

// delegate plays the agent inside an instance. Its error stays inside the data of
// an answer that is a success: it is for the one who asked the inner agent.
func (s *Simulator) delegate(ctx context.Context, e *wire.Event) *wire.Event {
	var data struct {
		InstanceData struct {
			AgentID int64 `json:"agentId"`
		} `json:"instanceData"`
		Event *wire.Event `json:"event"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil || data.InstanceData.AgentID == 0 || data.Event == nil {
		return nil
	}
	config := Config{Content: s.config.Content}
	if s.config.Agent != nil {
		found := false
		if config, found = s.config.Agent(ctx, data.InstanceData.AgentID); !found {
			return nil
		}
	}
	config.Delegated = true
	inner, _ := New(config).answer(ctx, data.Event)
	if inner == nil {
		return nil
	}
	return reply(e, inner)
}

func (s *Simulator) configUpdate(ctx context.Context, e *wire.Event) *wire.Event {
	var data wire.ConfigUpdateData
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &data) != nil {
		return nil
	}
	if s.config.Content == nil {
		return reply(e, nil)
	}
	for _, item := range data.Items {
		version, err := s.config.Content.Version(ctx, data.ConfigURL, item.Name)
		if err != nil {
			return nil
		}
		if err := s.config.Content.Applied(ctx, data.ConfigURL, item.Name, version); err != nil {
			return nil
		}
	}
	return reply(e, nil)
}

func (s *Simulator) ping(e *wire.Event) *wire.Event {
	var data wire.PingData
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &data) != nil {
		return nil
	}
	if data.Resources == nil {
		data.Resources = []wire.Resource{}
	}
	data.Resources = append(data.Resources, s.report(data.Options)...)
	data.Options.Instances = data.Options.Instances && !s.config.Delegated
	return reply(e, data)
}

func (s *Simulator) report(options wire.PingOptions) []wire.Resource {
	if s.config.Delegated {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var resources []wire.Resource
	if options.Resources {
		resources = s.world.resources(s.config.AgentUUID)
	}
	if options.Instances {
		resources = append(resources, s.instances()...)
	}
	return resources
}

// instances lists what runs; what should have ended by now has ended.
func (s *Simulator) instances() []wire.Resource {
	now := s.config.Now()
	maps.DeleteFunc(s.running, func(_ string, end time.Time) bool {
		return !end.IsZero() && !now.Before(end)
	})
	var resources []wire.Resource
	for _, uuid := range slices.Sorted(maps.Keys(s.running)) {
		resources = append(resources, wire.Resource{Type: "instance", UUID: uuid, State: "running"})
	}
	return resources
}

func (s *Simulator) start(e *wire.Event, text string) {
	uuid := instanceOf(e)
	if strings.Contains(text, "simForgetImmediately") {
		s.forget(uuid)
		return
	}
	var end time.Time
	if seconds, found := number(shutdownAfter, text); found {
		end = s.config.Now().Add(time.Duration(seconds) * time.Second)
	}
	s.remember(uuid, end)
}

func (s *Simulator) remember(uuid string, end time.Time) {
	if uuid == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.running = map[string]time.Time{}
	}
	s.running[uuid] = end
}

func (s *Simulator) forget(uuid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, uuid)
}

func instanceOf(e *wire.Event) string {
	var data struct {
		Map struct {
			Instance struct {
				UUID string `json:"uuid"`
			} `json:"instance"`
		} `json:"instanceHostMap"`
	}
	_ = json.Unmarshal(e.Data, &data) // what cannot be read names no instance
	return data.Map.Instance.UUID
}

// textOf is the whole request as text, in which trouble is looked for.
func textOf(e *wire.Event) string {
	text, err := wire.Encode(e)
	if err != nil {
		return string(e.Data)
	}
	return string(text)
}

// delay waits as long as the text asks; false when ctx ended first.
func delay(ctx context.Context, text string) bool {
	millis, found := number(delayMillis, text)
	if !found {
		return true
	}
	timer := time.NewTimer(time.Duration(millis) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func number(pattern *regexp.Regexp, text string) (int, bool) {
	found := pattern.FindStringSubmatch(text)
	if found == nil {
		return 0, false
	}
	n, err := strconv.Atoi(found[1])
	return n, err == nil
}

func reply(e *wire.Event, data any) *wire.Event {
	answer, err := e.Reply(data)
	if err != nil {
		return e.Fail("cannot write the answer", err.Error())
	}
	return answer
}
