package docker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
)

// insideOf is an engine with one container, in which an agent answers as given.
func insideOf(t *testing.T, running bool, answer http.HandlerFunc) *docker.Driver {
	t.Helper()
	address := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	if answer != nil {
		listener, err := net.Listen("tcp", address+":8080")
		if err != nil {
			t.Fatal(err)
		}
		inside := &httptest.Server{Listener: listener, Config: &http.Server{Handler: answer}} //nolint:gosec // it serves this test
		inside.Start()
		t.Cleanup(inside.Close)
	}
	var looks atomic.Int32
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Set("Api-Version", "1.41"); strings.HasSuffix(r.URL.Path, "/containers/7d1e/json") {
			if looks.Add(1) > 1 {
				t.Error("the container of one command is inspected again")
			}
			_, _ = fmt.Fprintf(w, `{"Id":"7d1e","State":{"Running":%t},"NetworkSettings":{"IPAddress":%q}}`, running, address)
		} else if r.URL.Path != "/_ping" {
			http.Error(w, `{"message":"no such container"}`, http.StatusNotFound)
		}
	}))
	t.Cleanup(engine.Close)
	d, err := docker.New(docker.Config{Engine: "tcp" + strings.TrimPrefix(engine.URL, "http"), AgentUUID: "agent", HostUUID: "D", PhysicalHostUUID: "P"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// delegated hands a command to the agent in a container, as a server sends it.
func delegated(t *testing.T, d *docker.Driver, instance string) (*wire.Event, error) {
	t.Helper()
	task, err := driver.Decode(&wire.Event{ID: "d1", Name: "delegate.request", Data: json.RawMessage(`{"instanceData":` + instance + `,
		"event":{"id":"i1","name":"config.update","replyTo":"config.update.reply","resourceType":"agent","resourceId":"12","data":{"items":[{"name":"hosts"}]}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := task.Run(t.Context(), d, nil)
	inner, _ := answer.(*wire.Event)
	return inner, err
}

const systemContainer = `{"id":300,"uuid":"7d1e","kind":"container","agentId":12,"token":"f3&","state":"starting"}`

// The agent in a container gets the command whole, and what it says of it is its reply.
func TestACommandIsHandedToTheAgentInAContainer(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		`{"exitCode":0,"output":"on\n{\"a\":1}\n","data":"{\"a\":1}"}`: `data {"a":1}`,
		`{"exitCode":0,"output":"","data":null}`:                       "data ",
		`{"exitCode":7,"output":"no jq","data":null}`:                  "error Update failed: exit code 7: no jq",
	} {
		heard := make(chan string, 1)
		inner, err := delegated(t, insideOf(t, true, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			heard <- r.Method + " " + r.URL.Path + " " + r.URL.Query().Get("token") + " " + string(body)
			_, _ = io.WriteString(w, said)
		}), systemContainer)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-heard; !strings.HasPrefix(got, `POST /events f3& {"id":"i1","name":"config.update","replyTo":"config.update.reply"`) || !strings.Contains(got, `"items":[{"name":"hosts"}]`) {
			t.Errorf("it heard %s", got)
		}
		got := "data " + string(inner.Data)
		if wire.Value(inner.Transitioning) == wire.Failure {
			got = "error " + wire.Value(inner.TransitioningMessage) + ": " + wire.Value(inner.TransitioningInternalMessage)
		}
		if got != want || inner.Name != "config.update.reply" || inner.PreviousIDs[0] != "i1" || wire.Value(inner.ResourceID) != "12" || inner.ID == "" {
			t.Errorf("%s is told as %s: %+v", said, got, inner)
		}
	}
}

// Where nobody listens nobody answers: the server asks again.
func TestNobodyAnswersForAnAgentThatIsNotThere(t *testing.T) {
	t.Parallel()
	up := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"exitCode":0}`) }
	for name, c := range map[string]struct {
		instance string
		running  bool
		answer   http.HandlerFunc
	}{
		"a container that is gone":     {strings.Replace(systemContainer, "7d1e", "0000", 1), true, up},
		"a container that has stopped": {systemContainer, false, up},
		"a virtual machine":            {strings.Replace(systemContainer, `"container"`, `"virtualMachine"`, 1), true, up},
		"an instance without a token":  {strings.Replace(systemContainer, `"f3&"`, "null", 1), true, up},
		"an agent that boots":          {systemContainer, true, nil},
	} {
		if inner, err := delegated(t, insideOf(t, c.running, c.answer), c.instance); !errors.Is(err, driver.ErrNobody) {
			t.Errorf("%s: %v, %v", name, inner, err)
		}
	}
	refuses := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }
	if _, err := delegated(t, insideOf(t, true, refuses), systemContainer); err == nil || errors.Is(err, driver.ErrNobody) || strings.Contains(err.Error(), "f3") {
		t.Errorf("an agent that refuses: %v", err)
	}
}
