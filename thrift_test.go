package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An agent is part of a program that is mostly a server's, and does not show it. The
// program of the tests is a larger one still.
func TestAnAgentStaysSmall(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
	p := in.start()
	agent := start(t, []string{"CATTLE_HOME=" + t.TempDir()}, "agent", "--url", p.url, "--drivers", "sim")
	p.hosts(1, "&kind=sim")
	for range 50 {
		p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
	}
	until(t, "them to run", 60*time.Second, func() bool { return len(p.list("/v1/containers?state=running")) == 50 })
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", agent.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil || kb*1024 > 30_000_000 {
		t.Errorf("it holds %d kB of memory, %v", kb, err)
	}
}
