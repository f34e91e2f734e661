package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rig is a Cattle of its own for one measure: child processes of this program, a
// home that is empty, and a port that was free.
type rig struct {
	client
	home     string
	port     string
	children []*child
}

// child is a process of ours; done is closed when it has ended.
type child struct {
	*exec.Cmd
	log  string
	done chan struct{}
}

func newRig() (*rig, error) {
	dir, err := os.MkdirTemp("", "cattle-bench-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &rig{client: client{"http://127.0.0.1:" + port}, home: dir, port: port}, nil
}

// freePort finds a port that nobody uses.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

// served returns a rig whose server answers; the caller closes it.
func served(ctx context.Context, env ...string) (*rig, error) {
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	return r, r.serve(ctx, "server", env, "server")
}

// serve runs what answers on the port of the rig, which is closed if it does not.
func (r *rig) serve(ctx context.Context, name string, env []string, args ...string) error {
	c, err := r.run(name, env, args...)
	if err == nil {
		err = wait(ctx, "the "+name+" to answer", 30*time.Second, func() bool { return r.get(ctx, "/ping", nil) == nil })
		err = c.explained(err)
	}
	if err != nil {
		r.close()
	}
	return err
}

// run starts this program once more, in a process group of its own so that a
// ctrl-C reaches only us. Settings of the caller's environment stay out of it.
func (r *rig) run(name string, env []string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(r.home, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.Command(self, args...), log: home + ".log", done: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	c.Env = append(append(unset(os.Environ()), "CATTLE_HOME="+home, "CATTLE_HTTP_PORT="+r.port), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the %s: %w", name, err)
	}
	go func() {
		_ = c.Wait()
		close(c.done)
	}()
	r.children = append(r.children, c)
	return c, nil
}

func unset(env []string) []string {
	var rest []string
	for _, v := range env {
		if !strings.HasPrefix(v, "CATTLE_") || strings.HasPrefix(v, "CATTLE_TEST_") {
			rest = append(rest, v)
		}
	}
	return rest
}

// explained adds to an error what the child said last.
func (c *child) explained(err error) error {
	if err == nil {
		return nil
	}
	said, _ := os.ReadFile(c.log)
	lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
	return fmt.Errorf("%w; it said last: %s", err, lines[len(lines)-1])
}

// close ends the children, the last one first, and removes their homes.
func (r *rig) close() {
	for i := len(r.children) - 1; i >= 0; i-- {
		c := r.children[i]
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-time.After(10 * time.Second):
			_ = c.Process.Kill()
			<-c.done
		}
	}
	_ = os.RemoveAll(r.home)
}

// simHosts joins hosts that the server plays itself, ten to an agent, and waits
// until all of them are active.
func (r *rig) simHosts(ctx context.Context, hosts int) (agents int, err error) {
	for left := hosts; left > 0; left -= 10 {
		uuid := fmt.Sprintf("bench-%d", agents)
		agent := map[string]any{"uri": "sim://" + uuid, "uuid": uuid, "managedConfig": false, "data": map[string]any{
			"io.cattle.platform.agent.connection.simulator.AgentConnectionSimulator": map[string]any{"hosts": min(left, 10)}}}
		if err := r.ask(ctx, "POST", "/v1/agents", agent, nil); err != nil {
			return agents, err
		}
		agents++
	}
	active := fmt.Sprintf("/v1/hosts?state=active&limit=%d", hosts)
	return agents, wait(ctx, "the simulated hosts", 2*time.Minute, func() bool { return r.count(ctx, active) == hosts })
}
