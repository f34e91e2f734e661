package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
	"github.com/cattleio/cattle/workers/agent/driver/drivertest"
	"github.com/cattleio/cattle/workers/agent/driver/libvirt"
)

// trace is the life of an instance as a server sees it, whatever drives it: what is asked,
// what is told, and whether the list of what runs then has it.
var trace = []struct{ asked, told string }{
	{"stop", "done, gone"}, // there is none
	{"remove", "done, gone"},
	{"unvolume", "done, gone"},
	{"unimage", "done, gone"},
	{"image", "done, gone"},
	{"image", "done, gone"},
	{"volume", "done, gone"},
	{"volume", "done, gone"},
	{"again", "the same, gone"},
	{"start:broken", "refused, gone"},
	{"start", "done, running"},
	{"again", "the same, running"},
	{"start", "done, running"},
	{"image", "done, running"},
	{"volume", "done, running"},
	{"stop:stale", "refused: stale command, running"},
	{"fly", `refused: command "compute.instance.fly" is not supported, running`},
	{"stop:elsewhere", `refused: hosts of kind "unicorn" are not served here, running`},
	{"stop:nothing", `refused: command "compute.instance.deactivate" does not say what it is about, running`},
	{"stop:unfenced start", "waiting, done, done, running"}, // the second finds the instance locked
	{"stop", "done, gone"},
	{"again", "the same, gone"},
	{"stop", "done, gone"},
	{"start:stale", "refused: stale command, gone"},
	{"start", "done, running"},
	{"stop", "done, gone"},
	{"unvolume", "done, gone"},
	{"unvolume", "done, gone"},
	{"remove", "done, gone"},
	{"remove", "done, gone"},
	{"again", "the same, gone"},
	{"unimage", "done, gone"},
}

// answers are what the replies to commands may be about; anything else would be ignored.
var answers = map[string][]string{
	"image": {"image", "format", "virtualSizeMb", "physicalSizeMb", "+data"}, "unimage": {},
	"volume": {"volume", "format", "virtualSizeMb", "physicalSizeMb", "+data"}, "remove": {"volume"},
	"start": {"instance"}, "stop": {"instance"},
}

// told is one instance on a host, and the conversation about it.
type told struct {
	drivertest.Subject
	t    *testing.T
	g    *gateway
	l    *link
	kind string
	uuid string

	epoch int64
	last  *wire.Event
	reply string
}

// The simulator, Docker and libvirt cannot be told apart by what they do and how they say
// it: which of them it is shows only in the data of replies, whose form is the same too.
func TestAllKindsOfHostTellTheSame(t *testing.T) {
	t.Setenv("CATTLE_LIBVIRT_TYPE", "qemu")
	for kind, prepare := range map[string]func(t *testing.T, home, uuid string) drivertest.Subject{"sim": simulated, "docker": contained, "libvirt": virtual} {
		t.Run(kind, func(t *testing.T) {
			home := t.TempDir()
			c := &told{t: t, g: newGateway(t), kind: kind, uuid: uuid.NewString(), epoch: 1}
			c.Subject = prepare(t, home, c.uuid)
			run(t, agent.Config{URL: c.g.URL, AccessKey: "k", Home: home, Drivers: []string{kind}})
			c.l = c.g.accept(t)
			if got := c.places(); got != "host physicalHost storagePool" {
				t.Errorf("there are %s", got)
			}
			for i, step := range trace {
				if got := c.ask(step.asked) + ", " + c.state(); got != step.told {
					t.Fatalf("step %d, %s: %s; want %s\n%s", i, step.asked, got, step.told, c.reply)
				}
			}
		})
	}
}

func simulated(*testing.T, string, string) drivertest.Subject {
	return drivertest.Subject{ImageUUID: "sim:anything", Fields: map[string]any{"simDelayMillis": 300}, // else nothing would ever be locked
		Break: func(instance map[string]any) {
			instance["data"] = map[string]any{"compute.instance.activate::fail": true}
		}}
}

func contained(t *testing.T, _, uuid string) drivertest.Subject {
	needed(t, "CATTLE_TEST_DOCKER", docker.Answers(t.Context(), ""))
	after(t, "docker", "rm", "-f", uuid)
	return drivertest.Subject{ImageUUID: "docker:cattle-test/busybox:1.35", Fields: map[string]any{"command": "sleep 600"},
		Break: func(instance map[string]any) { instance["image"] = nil }}
}

func virtual(t *testing.T, home, uuid string) drivertest.Subject {
	needed(t, "CATTLE_TEST_LIBVIRT", libvirt.Answers(t.Context()))
	after(t, "virsh", "-q", "-c", "qemu:///system", "destroy", uuid)
	dir := filepath.Join(home, "libvirt")
	err := errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "custom_template.tmpl"), []byte(`{{define "network_interfaces"}}{{end}}`), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	disk := newGateway(t)
	disk.mux.HandleFunc("GET /boot.raw", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(drivertest.Bootable()) })
	return drivertest.Subject{ImageUUID: "boot", Image: map[string]any{"url": disk.URL + "/boot.raw"},
		Break: func(instance map[string]any) {
			instance["data"] = map[string]any{"libvirt": map[string]any{"template": "nowhere.tmpl"}}
		}}
}

// after sees to it that nothing is left; mostly nothing is.
func after(t *testing.T, name string, args ...string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = exec.CommandContext(ctx, name, args...).Run()
	})
}

// needed says whether an engine is there to test with. Where the tests were asked to use
// it, its absence is a failure.
func needed(t *testing.T, variable string, absent error) {
	t.Helper()
	switch {
	case absent == nil:
	case os.Getenv(variable) != "":
		t.Fatalf("%s asks for what is not there: %v", variable, absent)
	default:
		t.Skipf("%v; './task test' starts what it can", absent)
	}
}

// places tells what kinds of things the host reports, and takes its pool.
func (c *told) places() string {
	c.t.Helper()
	var pong wire.PingData
	if err := json.Unmarshal(c.l.ask(c.g.ping(`{"options":{"resources":true}}`)).Data, &pong); err != nil {
		c.t.Fatal(err)
	}
	var types []string
	for _, r := range pong.Resources {
		if types = append(types, r.Type); r.Type == "storagePool" {
			c.Pool = map[string]any{"uuid": r.UUID}
		}
		if r.Kind != c.kind && r.Type != "physicalHost" {
			c.t.Errorf("a host of kind %s has %+v", c.kind, r)
		}
	}
	slices.Sort(types)
	return strings.Join(types, " ")
}

func (c *told) state() string {
	c.t.Helper()
	var pong wire.PingData
	if err := json.Unmarshal(c.l.ask(c.g.ping(`{"options":{"instances":true}}`)).Data, &pong); err != nil {
		c.t.Fatal(err)
	}
	if !pong.Options.Instances {
		c.t.Error("the list is not complete")
	}
	for _, r := range pong.Resources {
		if r.Type == "instance" && r.UUID == c.uuid {
			return r.State
		}
	}
	return "gone"
}

// ask sends what is asked, all at once, and says what is told.
func (c *told) ask(asked string) string {
	c.t.Helper()
	if asked == "again" {
		before := c.reply
		if c.answered(c.l.ask(c.last), "again"); c.reply != before {
			return "another answer"
		}
		return "the same"
	}
	var events []*wire.Event
	for _, verb := range strings.Fields(asked) {
		c.last = c.event(verb)
		events = append(events, c.last)
		c.l.send(c.last)
	}
	var all []string
	busy := len(events) > 1 // one alone may find the work before it just ending
	for i, verb := range strings.Fields(asked) {
		answer := receive(c.t, c.l.frames)
		for ; !answer.IsFinal() || answer.Name != *events[i].ReplyTo; answer = receive(c.t, c.l.frames) {
			if busy && wire.Value(answer.TransitioningMessage) == "Waiting for work on the same resource" && answer.Name == *events[len(events)-1].ReplyTo {
				all = append(all, "waiting")
			}
		}
		all = append(all, c.answered(answer, verb))
	}
	return strings.Join(all, ", ")
}

// event is a command as servers send it. Each is newer than those before, unless it is stale.
func (c *told) event(asked string) *wire.Event {
	verb, how, _ := strings.Cut(asked, ":")
	kind := c.kind
	if how == "elsewhere" {
		kind = "unicorn"
	}
	e := c.Event(kind, c.uuid, asked)
	e.ReplyTo = wire.Text("reply." + e.ID)
	e.ResourceType, e.ResourceID = wire.Text("some map"), wire.Text(fmt.Sprint(c.epoch))
	if verb == "start" || verb == "stop" {
		c.epoch++
		e.Fence = &wire.Fence{Resource: c.uuid, Epoch: c.epoch}
	}
	switch {
	case verb == "fly":
		e.Name = "compute.instance.fly"
	case how == "stale":
		c.epoch--
		e.Fence.Epoch = 1
	case how == "unfenced": // or it may be refused for the one behind it
		e.Fence = nil
	case how == "nothing":
		e.Data = nil
	}
	return e
}

// answered reads a final answer and checks its form.
func (c *told) answered(answer *wire.Event, asked string) string {
	c.t.Helper()
	c.reply = fmt.Sprintf("%s %v %s", wire.Value(answer.Transitioning), wire.Value(answer.TransitioningMessage), answer.Data)
	if answer.ID == "" || len(answer.PreviousIDs) != 1 {
		c.t.Errorf("the answer to %s is addressed to %v", asked, answer.PreviousIDs)
	}
	if asked != "again" && (wire.Value(answer.ResourceType) != "some map" || wire.Value(answer.ResourceID) == "") {
		c.t.Errorf("the answer to %s is about %v %v", asked, answer.ResourceType, answer.ResourceID)
	}
	verb, _, _ := strings.Cut(asked, ":")
	if wire.Value(answer.Transitioning) == wire.Failure {
		if wire.Value(answer.TransitioningMessage) == "" || len(answer.Data) > 0 && string(answer.Data) != "null" {
			c.t.Errorf("the refusal of %s says %s", asked, c.reply)
		}
		if asked == "start:broken" { // each says why in its own way
			return "refused"
		}
		return "refused: " + wire.Value(answer.TransitioningMessage)
	}
	var data map[string]any
	if err := json.Unmarshal(answer.Data, &data); len(answer.Data) > 0 && err != nil {
		c.t.Errorf("the answer to %s is %s", asked, answer.Data)
	}
	for key, value := range data {
		if allowed, known := answers[verb]; known && !slices.Contains(allowed, key) {
			c.t.Errorf("the answer to %s says something about %s", asked, key)
		}
		if inner, is := value.(map[string]any); key == "instance" && (!is || len(inner) != 1 || inner["+data"] == nil) {
			c.t.Errorf("the answer to %s takes the place of more than it knows: %v", asked, value)
		}
	}
	return "done"
}
