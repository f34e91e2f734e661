package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// another makes a program that does what this one does, and is not the same. A shell does
// it: what this process has open for writing, a child that it begins elsewhere holds open.
func another(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", `{ cat "$0"; echo of another release; } >"$1" && chmod 755 "$1"`, os.Args[0], path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// same tells whether a file holds this program.
func same(t *testing.T, path string) bool {
	t.Helper()
	one, err := os.Stat(os.Args[0])
	other, missing := os.Stat(path)
	if err != nil || missing != nil || one.Size() != other.Size() {
		return false
	}
	a, _ := os.ReadFile(os.Args[0])
	b, _ := os.ReadFile(path)
	return bytes.Equal(a, b)
}

func digestOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// An agent of another release gets the server's program, and goes on as the same
// process. The one before it is kept until the new one has reached the server.
func TestAnAgentBecomesWhatItsServerIs(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		home, path := t.TempDir(), filepath.Join(t.TempDir(), "cattle")
		another(t, path)
		agent := startFrom(t, path, []string{"CATTLE_HOME=" + home}, "agent", "--url", p.url, "--drivers", "sim", "--update-within", "100ms")
		pid := agent.cmd.Process.Pid
		until(t, "the server's program", 60*time.Second, func() bool { return same(t, path) })
		until(t, "the proof of it", 30*time.Second, func() bool {
			_, old := os.Stat(path + ".old")
			_, pending := os.Stat(filepath.Join(home, ".update-pending"))
			return os.IsNotExist(old) && os.IsNotExist(pending)
		})
		p.hosts(1, "&kind=sim")
		p.becomes(p.container(object{"imageUuid": "sim:x"}), "running")
		select {
		case <-agent.done:
			t.Error("the agent has ended")
		default:
		}
		if agent.cmd.Process.Pid != pid || len(p.list("/v1/agents?kind_ne=x&removed_null&uri_like=event%")) != 1 {
			t.Errorf("it came back as another: %v", p.list("/v1/agents"))
		}
	})
}

// A program that never reaches a server gives way to the one before it, which does not
// take it again.
func TestAProgramThatReachesNoServerGivesWay(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	home, path := t.TempDir(), filepath.Join(t.TempDir(), "cattle")
	another(t, path)
	args := []string{"agent", "--url", p.url, "--drivers", "sim", "--update-within", "0s"}
	agent := startFrom(t, path, []string{"CATTLE_HOME=" + home}, args...)
	until(t, "the server's program", 60*time.Second, func() bool { return same(t, path) })
	until(t, "the proof of it", 30*time.Second, func() bool { _, old := os.Stat(path + ".old"); return os.IsNotExist(old) })
	agent.kill()
	digest, err := os.ReadFile(filepath.Join(home, ".agent_uuid"))
	if err != nil || len(digest) == 0 {
		t.Fatal("it has no home", err)
	}
	// The same again, without a server: the trial of what runs now is not over.
	another(t, path+".old")
	if err := os.WriteFile(filepath.Join(home, ".update-pending"), []byte(`{"digest":"`+digestOf(t, path)+`","tries":0}`), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := append([]string{}, args...)
	lost[2] = "http://127.0.0.1:" + freePort(t)
	until(t, "the one before it", 60*time.Second, func() bool {
		a := startFrom(t, path, []string{"CATTLE_HOME=" + home}, lost...)
		until(t, "a start", 20*time.Second, func() bool { return len(a.log.String()) > 0 })
		a.kill()
		return !same(t, path)
	})
	a := startFrom(t, path, []string{"CATTLE_HOME=" + home}, args...)
	until(t, "the host to be back", 30*time.Second, func() bool { return len(p.list("/v1/agents?state=active")) > 0 && len(a.log.String()) > 0 })
	until(t, "it to connect", 30*time.Second, func() bool { return bytes.Contains([]byte(a.log.String()), []byte("msg=connected")) })
	for range 20 { // it is offered at each greeting
		if same(t, path) {
			t.Fatal("what failed was taken again")
		}
		p.list("/v1/hosts")
	}
}
