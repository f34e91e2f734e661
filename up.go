package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cattleio/cattle/api/client"
	"github.com/cattleio/cattle/shared/config"
)

// local is Cattle on this machine: a server and an agent, each with a file that
// holds its process id.
type local struct {
	home, url string
	client    *client.Client
}

func newLocal() (*local, error) {
	settings, err := config.Load(os.Environ(), nil, home(), defaults())
	if err != nil {
		return nil, err
	}
	h, err := filepath.Abs(home())
	if err != nil {
		return nil, err
	}
	url := "http://127.0.0.1:" + settings.Get("http.port")
	c, err := client.New(client.Config{URL: url + "/v1", AccessKey: os.Getenv("CATTLE_ACCESS_KEY"), SecretKey: os.Getenv("CATTLE_SECRET_KEY")})
	return &local{home: h, url: url, client: c}, err
}

// up starts the server and the agent in the background, unless they run, joins a
// simulated host, and says what to do next.
func up(ctx context.Context, _ []string) error {
	l, err := newLocal()
	if err != nil {
		return err
	}
	if err := l.spawn("server", "server"); err != nil {
		return err
	}
	if err := l.wait(ctx, "the server to answer", 30*time.Second, func() bool { return l.get(ctx, "/ping", nil) == nil }); err != nil {
		return fmt.Errorf("%w; see %s", err, l.file("server.log"))
	}
	if err := l.simulated(ctx); err != nil {
		return err
	}
	token, err := l.token(ctx)
	if err != nil {
		return err
	}
	docker := exec.CommandContext(ctx, "docker", "info").Run() == nil
	if docker {
		args := []string{"agent", "--url", l.url, "--token", token}
		if os.Getenv("CATTLE_DRIVERS") == "" {
			args = append(args, "--drivers", "docker") // who tries Cattle may have machines on libvirt that are no business of ours
		}
		if err := l.spawn("agent", args...); err != nil {
			return err
		}
		if err := l.wait(ctx, "the host to join", 30*time.Second, func() bool {
			return l.count(ctx, "/v1/hosts?kind=docker&state=active") > 0 && l.count(ctx, "/v1/agents?state=activating") == 0
		}); err != nil {
			return fmt.Errorf("%w; see %s", err, l.file("agent.log"))
		}
	}
	l.explain(docker)
	return nil
}

// down stops what up started.
func down(ctx context.Context) error {
	l, err := newLocal()
	if err != nil {
		return err
	}
	for _, name := range []string{"agent", "server"} {
		pid := l.pid(name)
		if pid == 0 {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGTERM)
		if err := l.wait(ctx, name+" to end", 15*time.Second, func() bool { return l.pid(name) == 0 }); err != nil {
			return err
		}
		_ = os.Remove(l.file(name + ".pid"))
		fmt.Println(name, "stopped")
	}
	return nil
}

func (l *local) file(name string) string { return filepath.Join(l.home, "run", name) }

// pid returns the process that runs under a name, 0 if none does.
func (l *local) pid(name string) int {
	b, err := os.ReadFile(l.file(name + ".pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return 0
	}
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && bytes.Contains(state, []byte(") Z ")) {
		return 0 // it ended and nobody has asked how
	}
	return pid
}

// spawn runs this program in the background, apart from the terminal.
func (l *local) spawn(name string, args ...string) error {
	if l.pid(name) != 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(l.home, "run"), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(l.file(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "CATTLE_HOME="+filepath.Join(l.home, map[string]string{"server": "", "agent": "agent"}[name]))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the %s: %w", name, err)
	}
	return os.WriteFile(l.file(name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

func (l *local) wait(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain for %s", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// get asks the server and reads its answer into v.
func (l *local) get(ctx context.Context, path string, v any) error {
	return l.ask(ctx, http.MethodGet, path, nil, v)
}

func (l *local) ask(ctx context.Context, method, path string, body, v any) error {
	return l.client.Do(ctx, method, l.url+path, body, v)
}

type found struct {
	Data []struct {
		ID    string `json:"id"`
		State string `json:"state"`
		Token string `json:"token"`
	} `json:"data"`
}

func (l *local) count(ctx context.Context, path string) int {
	var f found
	if l.get(ctx, path, &f) != nil {
		return 0
	}
	return len(f.Data)
}

// simulated joins a host that the server plays itself, once.
func (l *local) simulated(ctx context.Context) error {
	const uuid = "local-simulator"
	if l.count(ctx, "/v1/agents?uuid="+uuid) == 0 {
		agent := map[string]any{"uri": "sim://" + uuid, "uuid": uuid, "name": "simulator", "managedConfig": false}
		if err := l.ask(ctx, http.MethodPost, "/v1/agents", agent, nil); err != nil {
			return err
		}
	}
	var hosts found
	err := l.wait(ctx, "the simulated host", 30*time.Second, func() bool {
		return l.get(ctx, "/v1/hosts?kind=sim&state=active", &hosts) == nil && len(hosts.Data) > 0
	})
	if err != nil {
		return err
	}
	// It says what it is wherever hosts are listed.
	return l.ask(ctx, http.MethodPut, "/v1/hosts/"+hosts.Data[0].ID, map[string]any{"name": "simulator"}, nil)
}

// token returns what a host needs to join.
func (l *local) token(ctx context.Context) (string, error) {
	var f found
	read := func() bool {
		return l.get(ctx, "/v1/registrationtokens?state=active", &f) == nil && len(f.Data) > 0 && f.Data[0].Token != ""
	}
	if read() {
		return f.Data[0].Token, nil
	}
	if err := l.ask(ctx, http.MethodPost, "/v1/registrationtokens", map[string]any{}, nil); err != nil {
		return "", err
	}
	if err := l.wait(ctx, "a token", 30*time.Second, read); err != nil {
		return "", err
	}
	return f.Data[0].Token, nil
}

func (l *local) explain(docker bool) {
	u := l.url
	fmt.Printf("Cattle runs. Its API is %s/v1; a browser shows it, and so does:\n\n", u)
	fmt.Printf("  curl %s/v1/hosts\n", u)
	fmt.Printf("  curl -X POST %s/v1/containers -F imageUuid=sim:demo -F name=pretend\n", u)
	if docker {
		fmt.Printf("  curl -X POST %s/v1/containers -F imageUuid=docker:IMAGE -F command=sleep -F commandArgs=120 -F name=real\n", u)
	} else {
		fmt.Println("\nNo Docker engine answers, so there is only the simulated host.")
	}
	fmt.Printf("  curl %s/v1/containers\n\n", u)
	fmt.Printf("Logs are in %s. './task down' stops it.\n", filepath.Join(l.home, "run"))
}
