package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/testkit"
)

// ownDocker is a Docker engine that may be killed: it is on an island, and has nothing in
// common with the one of this machine but the image.
type ownDocker struct {
	t      *testing.T
	island *island
	dir    string
	socket string

	mu      sync.Mutex
	process *exec.Cmd // nil while it is down
}

func newOwnDocker(t *testing.T) *ownDocker {
	t.Helper()
	d := &ownDocker{t: t, island: newIsland(t), dir: t.TempDir()}
	ln, socket := listenUnix(t)
	_ = ln.Close()
	d.socket = socket
	t.Cleanup(d.end)
	d.start()
	save, load := exec.Command("docker", "save", image), exec.Command("docker", "-H", "unix://"+d.socket, "load")
	out, err := save.Output()
	if err == nil {
		load.Stdin = bytes.NewReader(out)
		err = load.Run()
	}
	if err != nil {
		t.Fatalf("the engine cannot be given an image: %v", err)
	}
	return d
}

func (d *ownDocker) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil {
		return
	}
	// Its containerd has died with it, but is waited for for as long as nobody has taken note of that.
	_ = os.Remove(filepath.Join(d.dir, "exec", "containerd", "containerd.pid"))
	d.process = d.island.command("dockerd", "--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "-H", "unix://"+d.socket)
	said := &tail{}
	d.process.Stdout, d.process.Stderr = said, said
	if err := d.process.Start(); err != nil {
		d.t.Error(err)
		return
	}
	for end := time.Now().Add(60 * time.Second); exec.Command("docker", "-H", "unix://"+d.socket, "version").Run() != nil; <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Errorf("the engine does not answer: %s", said)
			return
		}
	}
}

func (d *ownDocker) stop(signal syscall.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil && d.process.Process != nil {
		_ = d.process.Process.Signal(signal)
		_ = d.process.Wait()
	}
	d.process = nil
}

// end stops it in good order, so that nothing runs and nothing is mounted any more.
func (d *ownDocker) end() {
	d.stop(syscall.SIGTERM)
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range strings.Split(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], d.dir) {
			_ = syscall.Unmount(fields[1], syscall.MNT_DETACH)
		}
	}
}

// mortal is a way to such an engine: the plug is its own.
type mortal struct {
	*engineWay
	own *ownDocker
}

func (m mortal) refuse(yes bool) {
	if yes {
		m.own.stop(syscall.SIGKILL)
	} else {
		m.own.start()
	}
}

// Docker itself is killed before each step and started again, and all containers die with it,
// those of the other hosts as well: all of them run again.
func TestDockerIsKilledAtEachStep(t *testing.T) {
	t.Parallel()
	needEngine(t)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t),
		"CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=2000"}}
	p, own := in.part(""), newOwnDocker(t)
	in.pulled(t, []plug{{name: "Docker", beside: true, ways: []func(h *plugged){pullEngine}}}, p, p, func(t *testing.T) machinery {
		return mortal{newEngineWay(t, own.socket), own}
	})
}
