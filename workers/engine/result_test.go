package engine_test

import (
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// What a handler from outside answers is made to fit, or left out: a value of another kind,
// a text that is too long, null where there must be something. The process goes on.
func TestAnAnswerThatDoesNotFitSpoilsNothing(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		k := w.worker()
		c := w.container(map[string]any{"memoryMb": int64(7)})
		w.work(k)
		h := w.post("externalHandler", map[string]any{"name": "odd", "processNames": []any{"instance.stop"}})
		w.work(k)
		w.want(h, "active")
		w.agent.outside = func(e *wire.Event) *wire.Event {
			reply, _ := e.Reply(map[string]any{"name": 5, "description": strings.Repeat("ä", 5000), "hostname": map[string]any{"a": true}, "memoryMb": "12",
				"compute": "many", "kind": nil, "firstRunning": []any{}, "requestedHostId": "1h1", "domain": "a\x00b", "nothing": 1, "state": "removed"})
			return reply
		}
		before := w.again(c)
		w.act(c, "instance.stop")
		w.work(w.worker())
		w.want(c, "stopped")
		got := w.again(c)
		for name, want := range map[string]any{"name": "5", "description": strings.Repeat("ä", 1024), "hostname": `{"a":true}`, "memoryMb": int64(12),
			"compute": before.Get("compute"), "kind": "container", "firstRunning": before.Get("firstRunning"), "domain": "ab"} {
			if got.Get(name) != want {
				t.Errorf("%s is %v, not %v", name, got.Get(name), want)
			}
		}
	})
}

// Settings rearrange a list of logic by names: exactly these, these as well, all but these.
func TestSettingsRearrangeTheLogic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.PostgresSchema(t))
	names := func(settings map[string]string, of string, stage process.Stage) string {
		var out []string
		for _, h := range w.set(settings).Attached(of, stage) {
			out = append(out, h.Name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		settings map[string]string
		want     string
	}{
		{nil, "AgentApiKeyCreate ApiKeyCreate RegisterTokenCreate SshKeyCreate"},
		{map[string]string{"process.credential.create.pre.listeners.exclude": "ApiKeyCreate, SshKeyCreate"}, "AgentApiKeyCreate RegisterTokenCreate"},
		{map[string]string{"process.credential.create.pre.listeners.list": "SshKeyCreate,ApiKeyCreate,Nobody"}, "SshKeyCreate ApiKeyCreate"},
		{map[string]string{"process.credential.create.pre.listeners.include": "InstanceStartToken,ApiKeyCreate"}, "InstanceStartToken AgentApiKeyCreate ApiKeyCreate RegisterTokenCreate SshKeyCreate"},
	} {
		if got := names(c.settings, "credential.create", process.Pre); got != c.want {
			t.Errorf("with %v the list is %s, not %s", c.settings, got, c.want)
		}
	}
}
