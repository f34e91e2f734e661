package docker_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
)

type imageReply struct {
	Data struct {
		DockerImage struct {
			ID       string `json:"Id"`
			RepoTags []string
			Created  *int64
			Size     *int64
		} `json:"dockerImage"`
	} `json:"+data"`
}

// activate pulls an image and returns the reply and the progress told.
func activate(t *testing.T, name string) (imageReply, []string) {
	t.Helper()
	d, c := open(t)
	t.Cleanup(func() {
		_, _ = c.ImageRemove(context.WithoutCancel(t.Context()), name, client.ImageRemoveOptions{})
	})
	var told []string
	cmd := driver.ImageCommand{Progress: func(message string, _ int) { told = append(told, message) }}
	cmd.Map.Image.UUID = "docker:" + name
	data, err := d.ActivateImage(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := wire.Encode(data)
	if err != nil {
		t.Fatal(err)
	}
	var reply imageReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		t.Fatal(err)
	}
	return reply, told
}

func TestPullFromARegistryWithAPort(t *testing.T) {
	t.Parallel()
	engine(t)
	host, _ := registry(t)
	reply, told := activate(t, host+"/some/thing")
	if got := reply.Data.DockerImage; !slices.Contains(got.RepoTags, host+"/some/thing:latest") || got.Created == nil || got.Size == nil {
		t.Errorf("got %+v", got)
	}
	if len(told) < 2 || told[0] != "Pulling image" {
		t.Errorf("told %q", told)
	}
	if _, again := activate(t, host+"/some/thing:latest"); len(again) != 0 {
		t.Errorf("pulled what was there: %q", again)
	}
}

// A registry that wants a login gets that of the host; without one, or with a wrong one,
// the user reads why the image is not there.
func TestPullFromARegistryThatWantsALogin(t *testing.T) {
	t.Parallel()
	c := engine(t)
	host, _ := lockedRegistry(t, "ann", "se:cret")
	pull := func(logins string) error {
		dir := t.TempDir()
		if logins != "" {
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(logins), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := docker.New(docker.Config{AgentUUID: "agent", HostUUID: "D", PhysicalHostUUID: "P", Logins: dir})
		if err != nil {
			t.Fatal(err)
		}
		cmd := driver.ImageCommand{Progress: func(string, int) {}}
		cmd.Map.Image.UUID = "docker:" + host + "/private/thing"
		_, err = d.ActivateImage(t.Context(), cmd)
		return err
	}
	t.Cleanup(func() {
		_, _ = c.ImageRemove(context.WithoutCancel(t.Context()), host+"/private/thing", client.ImageRemoveOptions{})
	})
	of := func(login string) string {
		return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte(login)))
	}
	for what, logins := range map[string]string{"no file": "", "no login": "{}", "that of another": `{"auths": {"example.com": {"auth": "YTpi"}}}`, "a wrong one": of("ann:wrong")} {
		err := pull(logins)
		if err == nil || !strings.Contains(err.Error(), "cannot pull image "+host+"/private/thing:latest") || strings.Contains(err.Error(), "wrong") {
			t.Errorf("with %s: %v", what, err)
		}
	}
	if err := pull("{"); err == nil || !strings.Contains(err.Error(), "cannot read this host's login at registry "+host) {
		t.Errorf("with half a file: %v", err)
	}
	if err := pull(of("ann:se:cret")); err != nil {
		t.Errorf("with the login: %v", err)
	}
}

func TestPullByDigest(t *testing.T) {
	t.Parallel()
	engine(t)
	host, digest := registry(t)
	if reply, _ := activate(t, host+"/by/digest@"+digest); reply.Data.DockerImage.ID == "" {
		t.Errorf("got %+v", reply)
	}
}

func TestImageThatWentAwayIsPulledAtStart(t *testing.T) {
	t.Parallel()
	h := newHost(t, "sleep 600")
	host, _ := registry(t)
	h.Image = &wire.Image{Data: wire.ImageData{DockerImage: wire.DockerImage{FullName: host + "/gone:1"}}}
	h.Data.Fields.Command = "/nothing"
	_, err := h.driver.Start(t.Context(), h.command())
	if err == nil || !strings.Contains(err.Error(), "/nothing") {
		t.Errorf("pulled, created and could not run: got %v", err)
	}
	if _, err := h.engine.ImageInspect(t.Context(), host+"/gone:1"); err != nil {
		t.Error(err)
	}
	_, _ = h.engine.ContainerRemove(t.Context(), h.UUID, client.ContainerRemoveOptions{})
	_, _ = h.engine.ImageRemove(t.Context(), host+"/gone:1", client.ImageRemoveOptions{})
}

func TestUnknownImageIsRefused(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	for name, want := range map[string]string{
		"docker:127.0.0.1:1/none:1": "cannot pull image 127.0.0.1:1/none:1",
		"docker:Not A Name":         "cannot read image name",
		"sim:foo":                   "no image",
	} {
		cmd := driver.ImageCommand{Progress: func(string, int) {}}
		cmd.Map.Image.UUID = name
		if _, err := d.ActivateImage(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNoEngineIsAbsence(t *testing.T) {
	t.Parallel()
	for _, nowhere := range []string{"tcp://127.0.0.1:1", "unix://" + t.TempDir() + "/docker.sock"} {
		noEngineIsAbsence(t, nowhere)
	}
}

func noEngineIsAbsence(t *testing.T, nowhere string) {
	d, err := docker.New(docker.Config{Engine: nowhere})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Report(t.Context(), wire.PingOptions{}); !errors.Is(err, driver.ErrAbsent) {
		t.Errorf("report: %v", err)
	}
	cmd := driver.ImageCommand{Progress: func(string, int) {}}
	cmd.Map.Image.UUID = "docker:busybox"
	if _, err := d.ActivateImage(t.Context(), cmd); !errors.Is(err, driver.ErrAbsent) {
		t.Errorf("activate: %v", err)
	}
}

func TestOnlyTheRootDeviceIsAVolume(t *testing.T) {
	t.Parallel()
	d, err := docker.New(docker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := driver.VolumeCommand{}
	cmd.Map.Volume.DeviceNumber = 1
	if _, err := d.ActivateVolume(t.Context(), cmd); err == nil {
		t.Error("device 1 was accepted")
	}
	cmd.Map.Volume.DeviceNumber = 0
	if _, err := d.RemoveVolume(t.Context(), cmd); err == nil {
		t.Error("a volume without instance was removed")
	}
}
