package docker

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// An engine that is killed while it starts a container may forget that its containerd has a
// task for it, with a process or without. Such an orphan outlives every start of the engine:
// the container does not run, cannot be started, and its process goes on. The engine has no
// way out; but containerd clears away a task whose shim has died.

// orphaned is what an engine answers to the start of a container that has an orphan.
var orphaned = regexp.MustCompile(`task ([0-9a-f]{64}): already exists`)

// clearTime is how long containerd may take to clear an orphan away.
const clearTime = 10 * time.Second

// begin starts a container, in place of its orphan if it has one.
func (d *Driver) begin(ctx context.Context, uuid string) error {
	end := time.Now().Add(clearTime)
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		_, err := d.engine.ContainerStart(ctx, uuid, client.ContainerStartOptions{})
		if err == nil {
			return nil
		}
		of := orphaned.FindStringSubmatch(err.Error())
		if of == nil || pause == 50*time.Millisecond && !bury(of[1]) || time.Now().After(end) {
			return engineError("cannot start container "+uuid, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// bury ends the orphan of a container that does not run, and answers whether there was one.
// Those of an engine on another machine, or that does not show us its processes, are left.
func bury(id string) (was bool) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		command, err := os.ReadFile(file)
		if err != nil || !shimOf(id, strings.Split(string(command), "\x00")) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if shim, err := os.FindProcess(pid); err == nil && shim.Kill() == nil {
			was = true
		}
	}
	return was
}

// shimOf tells whether this is the command of the shim of a container.
func shimOf(id string, command []string) bool {
	at := slices.Index(command, "-id") + 1
	return strings.HasPrefix(filepath.Base(command[0]), "containerd-shim") && at > 0 && at < len(command) && command[at] == id
}
