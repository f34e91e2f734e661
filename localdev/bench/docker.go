package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	dockerRounds   = 5
	dockerEach     = 24
	dockerParallel = 8
)

// engine makes containers in one of two ways.
type engine struct {
	rig    *rig
	image  string
	label  string   // of what 'docker run' makes
	labels []string // of all that is made
}

// docker compares Cattle with the plain command line, in turn so that both see the
// same machine.
func (b *bencher) docker(ctx context.Context) (err error) {
	if exec.CommandContext(ctx, "docker", "image", "inspect", b.image).Run() != nil {
		return errSkip("no Docker engine answers that has the image " + b.image)
	}
	e := &engine{image: b.image, label: "io.cattle.bench=" + word(8)}
	e.labels = []string{e.label}
	if e.rig, err = served(ctx); err != nil {
		return err
	}
	defer func() { // the agent first, so that it sees nothing vanish
		e.rig.close()
		err = errors.Join(err, e.clear(ctx))
	}()
	if err := e.join(ctx); err != nil {
		return err
	}
	for _, way := range []func(context.Context) error{e.cattle, e.plain} {
		if err := way(ctx); err != nil { // to warm up
			return err
		}
	}
	var ours, theirs []float64
	for range dockerRounds {
		a, err := e.round(ctx, e.cattle)
		if err != nil {
			return err
		}
		b, err := e.round(ctx, e.plain)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, a), append(theirs, b)
	}
	e.report(ours, theirs)
	memory, err := residentMB(e.rig.children[1].Process.Pid)
	if err != nil {
		return err
	}
	judged("agent", fmt.Sprintf("%.1f MB", memory), "< 30 MB", memory < 30, "resident (VmRSS) of the host agent after all of this")
	return nil
}

func (e *engine) report(ours, theirs []float64) {
	a, b := median(ours), median(theirs)
	rounds := func(all []float64) string { // sorted by now
		return fmt.Sprintf("(median of %d rounds of %d by %d clients, %.1f to %.1f)", len(all), dockerEach, dockerParallel, all[0], all[len(all)-1])
	}
	line("through Cattle", fmt.Sprintf("%.1f /s", a), "POST until a GET every 50 ms shows 'running' "+rounds(ours))
	line("docker run -d", fmt.Sprintf("%.1f /s", b), "until the command returns "+rounds(theirs))
	judged("ratio", fmt.Sprintf("%.2f", a/b), ">= 0.90", a/b >= 0.9, "of the medians; above 1 Cattle is faster")
}

// join adds this machine's engine as a host.
func (e *engine) join(ctx context.Context) error {
	token, err := e.rig.token(ctx)
	if err != nil {
		return err
	}
	c, err := e.rig.run("agent", nil, "agent", "--url", e.rig.url, "--token", token, "--drivers", "docker")
	if err != nil {
		return err
	}
	err = wait(ctx, "the host to join", 30*time.Second, func() bool { return e.rig.count(ctx, "/v1/hosts?kind=docker&state=active") > 0 })
	if err != nil {
		return c.explained(err)
	}
	uuid, err := os.ReadFile(filepath.Join(e.rig.home, "agent", ".agent_uuid")) // it marks what it makes
	if err != nil {
		return err
	}
	e.labels = append(e.labels, "io.cattle.agent.uuid="+strings.TrimSpace(string(uuid)))
	return nil
}

// round starts containers with all clients and tells how many a second it took.
func (e *engine) round(ctx context.Context, one func(context.Context) error) (float64, error) {
	var n atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for range dockerParallel {
		g.Go(func() error {
			for n.Add(1) <= dockerEach {
				if err := one(gctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	took := time.Since(begin)
	if err != nil {
		return math.NaN(), err
	}
	return dockerEach / took.Seconds(), nil
}

func (e *engine) cattle(ctx context.Context) error {
	_, err := e.rig.create(ctx, map[string]any{"imageUuid": "docker:" + e.image, "command": "sleep", "commandArgs": []string{"1000"}}, 50*time.Millisecond)
	return err
}

func (e *engine) plain(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "docker", "run", "-d", "--label", e.label, e.image, "sleep", "1000").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker run: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// clear removes what both ways made, also when there is no time left.
func (e *engine) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	var all []string
	for _, label := range e.labels {
		out, err := exec.CommandContext(ctx, "docker", "ps", "-aq", "--filter", "label="+label).Output()
		if err != nil {
			return fmt.Errorf("cannot find the containers of the benchmark, labelled %s: %w", label, err)
		}
		all = append(all, strings.Fields(string(out))...)
	}
	if len(all) == 0 {
		return nil
	}
	out, err := exec.CommandContext(ctx, "docker", append([]string{"rm", "-f", "-v"}, all...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot remove the containers of the benchmark: %w: %s", err, out)
	}
	return nil
}
