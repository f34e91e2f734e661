package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/docker"
)

// busybox is made from Debian's busybox-static where it is not there yet.
const busybox = "cattle-test/busybox:1.35"

var prepared sync.Once

// engine gives a client of a real engine. A test that finds none is skipped,
// unless CATTLE_TEST_DOCKER=1 says that one must be there.
func engine(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Ping(t.Context(), client.PingOptions{}); err != nil {
		if os.Getenv("CATTLE_TEST_DOCKER") == "1" {
			t.Fatalf("no Docker engine: %v", err)
		}
		t.Skipf("no Docker engine: %v", err)
	}
	prepared.Do(func() { err = buildBusybox(t.Context(), c) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T) (*docker.Driver, *client.Client) {
	t.Helper()
	c := engine(t)
	d, err := docker.New(docker.Config{
		AgentUUID: "agent", HostUUID: "D", PhysicalHostUUID: "P", Hostname: "node1", HostIP: "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func buildBusybox(ctx context.Context, c *client.Client) error {
	if _, err := c.ImageInspect(ctx, busybox); err == nil {
		return nil
	}
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("cannot build %s, install busybox-static: %w", busybox, err)
	}
	files := archive(map[string][]byte{
		"Dockerfile": []byte("FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n"),
		"busybox":    program,
	})
	built, err := c.ImageBuild(ctx, bytes.NewReader(files), client.ImageBuildOptions{Tags: []string{busybox}, Remove: true})
	if err != nil {
		return err
	}
	defer built.Body.Close()
	if _, err := io.Copy(io.Discard, built.Body); err != nil {
		return err
	}
	_, err = c.ImageInspect(ctx, busybox)
	return err
}

func archive(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))})
		_, _ = w.Write(content)
	}
	_ = w.Close()
	return b.Bytes()
}

// registry serves one image under any name and tag, as registries do. Engines
// speak plain HTTP to 127.0.0.1.
func registry(t *testing.T) (host, digest string) {
	t.Helper()
	return lockedRegistry(t, "", "")
}

// lockedRegistry is one that wants to know who asks.
func lockedRegistry(t *testing.T, user, password string) (host, digest string) {
	t.Helper()
	layer := archive(map[string][]byte{"hello-" + t.Name(): []byte("hello")})
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, sum(layer))
	const mime = "application/vnd.docker.distribution.manifest.v2+json"
	manifest, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": mime,
		"config": map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": sum(config)},
		"layers": []any{map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": len(layer), "digest": sum(layer)}},
	})
	blobs := map[string][]byte{sum(layer): layer, sum(config): config}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, blob, isBlob := strings.Cut(r.URL.Path, "/blobs/")
		name, secret, _ := r.BasicAuth()
		switch {
		case name != user || secret != password:
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		case isBlob:
			_, _ = w.Write(blobs[blob])
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", mime)
			w.Header().Set("Docker-Content-Digest", sum(manifest))
			w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
			if r.Method == http.MethodGet {
				_, _ = w.Write(manifest)
			}
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), sum(manifest)
}

// An engine that is away when it is first asked is back for the next question, and knows
// less than its client does.
func TestAnEngineIsAskedInItsOwnVersionFromTheBeginning(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked.Add(1) <= 2: // the client tries each ping twice
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/_ping":
			w.Header().Set("Api-Version", "1.41")
		case strings.HasPrefix(r.URL.Path, "/v1.41/"):
			http.Error(w, `{"message":"no such container"}`, http.StatusNotFound)
		default:
			http.Error(w, `{"message":"client version is too new"}`, http.StatusBadRequest)
		}
	}))
	t.Cleanup(engine.Close)
	d, err := docker.New(docker.Config{Engine: "tcp" + strings.TrimPrefix(engine.URL, "http"), AgentUUID: "agent", HostUUID: "D", PhysicalHostUUID: "P"})
	if err != nil {
		t.Fatal(err)
	}
	removal := driver.VolumeCommand{Map: wire.VolumeStoragePoolMap{Volume: wire.Volume{Instance: &wire.Instance{UUID: "gone"}}}}
	if _, err := d.RemoveVolume(t.Context(), removal); !errors.Is(err, driver.ErrAbsent) {
		t.Errorf("an engine that is away: %v", err)
	}
	if _, err := d.RemoveVolume(t.Context(), removal); err != nil {
		t.Error(err)
	}
}

// An engine that was killed may have forgotten what runs of a container. That is ended, so
// that the container can be started, or is as stopped as its engine says.
func TestWhatAnEngineForgotIsEnded(t *testing.T) {
	t.Parallel()
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(t.Name()+t.TempDir())))
	shim := exec.Command("/bin/sh", "-c", "read line", "-namespace", "moby", "-id", id, "-address", "socket")
	shim.Args[0] = "/usr/bin/containerd-shim-runc-v2"
	line, err := shim.StdinPipe() // so that it ends with the test
	if err == nil {
		err = shim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	gone := make(chan struct{})
	go func() { _ = shim.Wait(); close(gone) }()
	var started atomic.Int32
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, what, _ := strings.Cut(r.URL.Path, "/containers/forgotten/"); what {
		case "start":
			if started.Add(1) < 3 {
				http.Error(w, fmt.Sprintf(`{"message":"task %s: already exists"}`, id), http.StatusConflict)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		case "json":
			_, _ = fmt.Fprintf(w, `{"Id":%q,"Config":{"Labels":{}},"State":{"Running":%t}}`, id, started.Load() >= 3)
		default:
			w.Header().Set("Api-Version", "1.41")
			_, _ = io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(engine.Close)
	d, err := docker.New(docker.Config{Engine: "tcp" + strings.TrimPrefix(engine.URL, "http"), AgentUUID: "agent", HostUUID: "D", PhysicalHostUUID: "P"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := driver.InstanceCommand{Map: wire.InstanceHostMap{Instance: wire.Instance{UUID: "forgotten", Image: &wire.Image{UUID: "docker:" + busybox}}}}
	if _, err := d.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	<-gone
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
