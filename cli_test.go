package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/api/cli"
	"github.com/cattleio/cattle/api/client"
)

// shell is somebody at a command line.
type shell struct {
	t    *testing.T
	home string
	url  string
	env  map[string]string
}

func (s *shell) run(args ...string) (out string, code int) {
	s.t.Helper()
	var b bytes.Buffer
	err := cli.Run(s.t.Context(), args, func(name string) string {
		switch name {
		case "HOME":
			return s.home
		case "CATTLE_URL":
			return s.url
		}
		return s.env[name]
	}, &b)
	if err != nil {
		return b.String() + err.Error(), exitCode(err)
	}
	return b.String(), 0
}

func (s *shell) does(args ...string) string {
	s.t.Helper()
	out, code := s.run(args...)
	if code != 0 {
		s.t.Fatalf("cattle %s ends with %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

func TestTheClassicCommandsWalkThroughALife(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		s := &shell{t: t, home: t.TempDir(), url: p.url + "/v1"}
		var made struct{ ID, State string }
		text := s.does("create-container", "--imageUuid", "sim:demo", "--name", "one", "--command", "sleep", "--commandArgs", "120", "more",
			"--environment", "A=1,B=2", "--wait", "-o", "json")
		if err := json.Unmarshal([]byte(text), &made); err != nil || made.State != "running" {
			t.Fatalf("a container that was waited for is %v: %s", err, text)
		}
		for _, want := range []string{`"commandArgs": [`, `"120",`, `"more"`, `"A": "1"`} {
			if !strings.Contains(text, want) {
				t.Errorf("the container has no %s: %s", want, text)
			}
		}
		list := strings.Split(strings.TrimSpace(s.does("list-container", "--name_like", "o%")), "\n")
		if len(list) != 2 || !strings.HasPrefix(list[0], "id ") || !strings.HasPrefix(list[1], made.ID+" ") || !strings.Contains(list[1], "running") {
			t.Errorf("the table is %q", list)
		}
		if text := s.does("list-container", "--name", "nothing", "-o", "json"); strings.TrimSpace(text) != "[]" {
			t.Errorf("an empty list is %s", text)
		}
		if text := s.does("list-container", "--id", made.ID); !strings.Contains(text, "running") || !strings.Contains(text, "actions") {
			t.Errorf("one container is shown as %s", text)
		}
		if text := s.does("container-stop", "--id", made.ID, "--wait"); !strings.Contains(text, "stopped") {
			t.Errorf("a stopped container is %s", text)
		}
		if text := s.does("update-container", made.ID, "--description", "two words", "--wait"); !strings.Contains(text, "two words") {
			t.Errorf("a changed container is %s", text)
		}
		if text := s.does("delete-container", "--id", made.ID, "--wait"); !strings.Contains(text, "removed") {
			t.Errorf("a removed container is %s", text)
		}
		if text := s.does("create-container", "--help"); !strings.Contains(text, "--imageUuid") {
			t.Errorf("help says %s", text)
		}
		if text := s.does("commands"); !strings.Contains(text, "\ncontainer-stop\n") || !strings.Contains(text, "\nlist-host\n") {
			t.Errorf("the commands are %s", text)
		}
		if cached, err := filepath.Glob(filepath.Join(s.home, ".gdapi", "*.json")); err != nil || len(cached) != 1 {
			t.Errorf("the schemas are kept in %v: %v", cached, err)
		}
	})
}

// What goes wrong says so and ends with a code that a script can tell apart.
func TestACommandThatIsRefusedEndsWithItsCode(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.simulators(1)
	s := &shell{t: t, home: t.TempDir(), url: p.url + "/v1"}
	stopped := &shell{t: t, home: t.TempDir(), url: "http://127.0.0.1:" + freePort(t) + "/v1"}
	strict := &shell{t: t, home: s.home, url: s.url, env: map[string]string{"CATTLE_STRICT": "true"}}
	for _, story := range []struct {
		who  *shell
		args string
		code int
		says string
	}{
		{s, "list-container --id 1i999", 4, "Not Found"},
		{s, "create-container --name x", 22, "imageUuid"},
		{s, "create-container --imageUuid sim:x --privileged perhaps", 22, "privileged"},
		{s, "create-container --imageUuid sim:x --colour red", 64, "takes no --colour"},
		{s, "list-container --colour red", 64, "takes no --colour"},
		{strict, "list-container --colour red", 64, "takes no --colour"},
		{s, "list-nothing", 64, "there is no command"},
		{s, "update-container --name y", 64, "--id"},
		{stopped, "list-host", 69, "cannot reach"},
		{s, "create-container --environment nonsense --imageUuid sim:x", 64, "neither JSON"},
	} {
		out, code := story.who.run(strings.Fields(story.args)...)
		if code != story.code || !strings.Contains(out, story.says) {
			t.Errorf("cattle %s ends with %d, not %d: %s", story.args, code, story.code, out)
		}
	}
	in, access, secret := secured(t)
	closed := &shell{t: t, home: t.TempDir(), url: in.start().url + "/v1", env: map[string]string{}}
	if out, code := closed.run("list-host"); code != 1 || !strings.Contains(out, "CATTLE_ACCESS_KEY") {
		t.Errorf("without a key it ends with %d: %s", code, out)
	}
	closed.env["CATTLE_ACCESS_KEY"], closed.env["CATTLE_SECRET_KEY"] = access, secret
	closed.does("list-host")
}

// The typed client, as a program uses it.
func TestAProgramUsesTheClient(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		p.simulators(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := client.New(client.Config{URL: p.url + "/v1"})
		if err != nil {
			t.Fatal(err)
		}
		containers := c.Containers()
		var last *client.Container
		for range 3 {
			if last, err = containers.Create(ctx, client.Container{ImageUUID: client.To("sim:demo"), Name: client.To("twin"), Environment: map[string]string{"A": "1"}}); err != nil {
				t.Fatal(err)
			}
			if last, err = containers.Wait(ctx, last); err != nil || *last.State != "running" || last.FirstRunning == nil || last.Environment["A"] != "1" {
				t.Fatalf("a container is %+v: %v", last, err)
			}
		}
		twins, err := containers.All(ctx, url.Values{"name": {"twin"}, "limit": {"2"}}) // two pages
		if err != nil || len(twins) != 3 {
			t.Fatalf("%d twins were found: %v", len(twins), err)
		}
		for host, err := range client.Follow[client.Host](ctx, c, last.Links["hosts"]) {
			if err != nil || *host.State != "active" {
				t.Errorf("a host is %+v: %v", host, err)
			}
		}
		if _, err = containers.Act(ctx, last, "start", nil); err == nil || !strings.Contains(err.Error(), "does not offer start") {
			t.Errorf("what is running could be started: %v", err)
		}
		if last, err = containers.Act(ctx, last, "stop", client.InstanceStop{Remove: client.To(true)}); err != nil {
			t.Fatal(err)
		}
		until(t, "the removal", 30*time.Second, func() bool {
			now, err := containers.Reload(ctx, last)
			return err == nil && now.Removed != nil
		})
		if _, err = containers.Get(ctx, "1i987"); !client.IsNotFound(err) {
			t.Errorf("what is not there answers %v", err)
		}
		var refused *client.Error
		if _, err = containers.Create(ctx, client.Container{}); !errors.As(err, &refused) || refused.Status != 422 || refused.FieldName != "imageUuid" {
			t.Errorf("a container of nothing is refused by %v", err)
		}
		failing, err := containers.Create(ctx, client.Container{ImageUUID: client.To("sim:demo"), Name: client.To("broken"),
			Data: map[string]any{"fields": map[string]any{}}, RequestedHostID: client.To("1h987")})
		if err == nil {
			_, err = containers.Wait(ctx, failing)
		}
		if err == nil {
			t.Error("a container on a host that is not there started")
		}
	})
}

// The structs of the client are those of the declarations.
func TestTheClientIsGenerated(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "types.go")
	if out, err := exec.Command("go", "run", "./api/client/gen", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("api/client/types.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the declarations have changed: run go generate ./api/client")
	}
}
