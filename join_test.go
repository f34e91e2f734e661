package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// text reads an answer that is no JSON.
func (p *program) text(path string) string {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s answers %s: %s %v", path, resp.Status, b, err)
	}
	return string(b)
}

// One line makes a machine a host: it works once, trusts one key, and what it leaves
// behind nobody else reads.
func TestOneLineMakesAMachineAHost(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		secure := freePort(t)
		in.env = append(in.env, "CATTLE_HTTPS_PORT="+secure)
		p := in.start()
		_, row := p.ask("POST", "/v1/registrationtokens", object{})
		path := "/v1/registrationtokens/" + row.id()
		p.becomes(path, "active")
		line := strings.Fields(p.text(path + "/join"))
		if len(line) != 8 || line[0] != "cattle" || line[1] != "agent" || line[3] != "https://127.0.0.1:"+secure || line[6] != "--pin" {
			t.Fatalf("the line is %q", line)
		}
		if again := strings.Fields(p.text(path + "/join")); again[5] == line[5] || again[7] != line[7] {
			t.Errorf("the next line is %q after %q", again, line)
		}
		home := t.TempDir()
		env := func(home string) []string { return []string{"CATTLE_HOME=" + home, "CATTLE_DRIVERS=sim"} }
		a := start(t, env(home), line[1:]...)
		p.hosts(1, "")
		until(t, "its agent, which has its configuration", 30*time.Second, func() bool { return len(p.list("/v1/agents?state=active&managedConfig=true")) == 1 })
		for _, name := range []string{".credentials", ".server_pin"} {
			if f, err := os.Stat(filepath.Join(home, name)); err != nil || f.Mode().Perm() != 0o600 {
				t.Errorf("%s of the host: %v %v", name, f, err)
			}
		}

		other := start(t, env(t.TempDir()), line[1:]...)
		select {
		case <-other.done:
		case <-time.After(20 * time.Second):
			t.Error("a second host joins with the same line")
		}
		if !strings.Contains(other.log.String(), "token is not valid") {
			t.Errorf("a second host is told %s", other.log)
		}

		a.kill()
		a = start(t, env(home), "agent", "--url", line[3]) // it knows the server and itself
		until(t, "the host to be back", 30*time.Second, func() bool { return strings.Contains(a.log.String(), "msg=connected") })

		mistaken := append([]string{}, line[1:]...)
		mistaken[6] = strings.Repeat("0", 64)
		foreign := start(t, env(t.TempDir()), mistaken...)
		until(t, "the wrong server to be refused", 20*time.Second, func() bool {
			return strings.Contains(foreign.log.String(), "the server is not the one that this host joined")
		})
		if n := len(p.list("/v1/agents")); n != 1 {
			t.Errorf("there are %d agents", n)
		}
	})
}

// The port for TLS speaks nothing old, and serves the API and the event stream alike.
func TestTheAPIOverTLS(t *testing.T) {
	t.Parallel()
	secure, home := freePort(t), t.TempDir()
	in := &installation{t, []string{"CATTLE_HOME=" + home, "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_HTTPS_PORT=" + secure}}
	in.start()
	client := func(most uint16) *http.Client {
		return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: most}}}
	}
	for path, want := range map[string]string{"/v1": `"self":"https://127.0.0.1:`, "/v1/subscribe": `"self":"https://127.0.0.1:`} {
		resp, err := client(0).Get("https://127.0.0.1:" + secure + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(b), want) {
			t.Errorf("%s answers %s: %.300s", path, resp.Status, b)
		}
	}
	if _, err := client(tls.VersionTLS11).Get("https://127.0.0.1:" + secure + "/v1"); err == nil {
		t.Error("it speaks TLS 1.1")
	}
	if f, err := os.Stat(filepath.Join(home, "tls-key.pem")); err != nil || f.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v %v", f, err)
	}
}
