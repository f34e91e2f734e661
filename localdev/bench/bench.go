// Package bench measures Cattle on the machine it runs on, against goals. It knows
// the program only from outside: it starts it as child processes and asks over HTTP.
// The history alone is asked of the store, where nothing else takes time.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// bencher is what the flags of the benchmark say.
type bencher struct {
	containers, starts, parallel, hosts, waiting, ended, rows, agents, gateways int
	image                                                                       string
	skeleton                                                                    float64 // starts per second, once measured
}

// measure is one section of the table. The limit bounds it, not counting the end
// of what it started.
type measure struct {
	name, about string
	limit       time.Duration
	run         func(b *bencher, ctx context.Context) error
}

var measures = []measure{
	{"first", "an embedded server in an empty home", time.Minute, (*bencher).first},
	{"latency", "one container at a time on an idle embedded server, simulated host", 2 * time.Minute, (*bencher).latency},
	{"embedded", "many containers at once, embedded database, many simulated hosts", 5 * time.Minute, (*bencher).embedded},
	{"postgres", "the same over Postgres and Redis", 5 * time.Minute, (*bencher).postgres},
	{"queue", "the bare queue: jobs that do nothing, on the Redis that the next ones use", time.Minute, (*bencher).queue},
	{"skeleton", "the least that a start can cost, with the libraries of the product", 3 * time.Minute, (*bencher).bare},
	{"start", "the product doing the same with the same clients and hosts", 5 * time.Minute, (*bencher).whole},
	{"rate", "starts that come by the clock, a hundred a second for half a minute", 3 * time.Minute, (*bencher).steady},
	{"idle", "how soon an idle installation over Postgres and Redis takes up work", 3 * time.Minute, (*bencher).pickup},
	{"dead", "half of the hosts take commands and never answer", 5 * time.Minute, (*bencher).dead},
	{"waits", "starts that wait for silent hosts, and other work meanwhile", 10 * time.Minute, (*bencher).waits},
	{"memory", "a server with a hundred hosts of an agent each", 2 * time.Minute, (*bencher).memory},
	{"agents", "many agents at one gateway or more, of which one is killed", 10 * time.Minute, (*bencher).manyAgents},
	{"history", "what is asked all the time, of a database in which much has ended", 30 * time.Minute, (*bencher).history},
	{"pages", "pages of a hundred out of a million, beside a handler written by hand", 10 * time.Minute, (*bencher).pages},
	{"docker", "real containers, through Cattle and by 'docker run -d' in turn", 5 * time.Minute, (*bencher).docker},
}

// errSkip says why a measure does not apply here.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// Run measures the program on this machine against its goals. It starts what it
// needs, apart from what may run here, and takes all of it away again. A missed
// goal is no error: the machine may be busy.
func Run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "skeleton" { // a child of ours
		return runSkeleton(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "hold" { // another
		return runHold(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "handler" { // another one
		return runHandler(ctx, args[1:])
	}
	b := &bencher{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var names []string
	for _, m := range measures {
		names = append(names, m.name)
	}
	only := flags.String("only", "", "what to measure, with commas: "+strings.Join(names, ", ")+"; all if empty")
	flags.IntVar(&b.containers, "containers", 1000, "how many to start for a throughput")
	flags.IntVar(&b.starts, "starts", 8000, "how many to start for the comparison with the skeleton")
	flags.IntVar(&b.agents, "agents", 10_000, "how many agents the gateways hold; each takes a descriptor")
	flags.IntVar(&b.gateways, "gateways", 1, "how many gateways share the agents")
	flags.IntVar(&b.waiting, "waiting", 10_000, "how many starts wait for silent hosts")
	flags.IntVar(&b.ended, "ended", 10_000_000, "how many processes have ended")
	flags.IntVar(&b.parallel, "parallel", 32, "clients that post at once for a throughput")
	flags.IntVar(&b.hosts, "hosts", 1000, "simulated hosts for a throughput, ten to an agent")
	flags.IntVar(&b.rows, "rows", 1_000_000, "out of how many rows the pages are")
	flags.StringVar(&b.image, "docker-image", "cattle-test/busybox:1.35", "a local image with a sleep command")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.containers < 1 || b.starts < 1 || b.waiting < 1 || b.ended < 1 || b.agents < 100 || b.gateways < 1 || b.gateways > holders || b.rows < 20_000 || b.parallel < 1 || b.hosts < 1 || b.hosts > 1000 {
		return errors.New("--containers, --starts, --waiting, --ended, --parallel and --hosts begin at 1, --agents at 100, --rows at 20000; hosts end at 1000, gateways at 3")
	}
	chosen, err := choose(*only, names)
	if err != nil {
		return err
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = b.parallel + 8 // keep every client's connection
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Printf("Load before the start: %s. On a busy machine these numbers say little.\n", strings.Fields(string(load))[0])
	}
	var failures []error
	for _, m := range measures {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if slices.Contains(chosen, m.name) {
			failures = append(failures, m.do(ctx, b))
		}
	}
	return errors.Join(failures...)
}

func choose(only string, names []string) ([]string, error) {
	if only == "" {
		return names, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no benchmark %q: it is one of %s", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

func (m measure) do(ctx context.Context, b *bencher) error {
	fmt.Printf("\n%s: %s\n", m.name, m.about)
	ctx, cancel := context.WithTimeoutCause(ctx, m.limit, fmt.Errorf("not done after %s", m.limit))
	defer cancel()
	err := m.run(b, ctx)
	var skip errSkip
	switch {
	case errors.As(err, &skip):
		fmt.Printf("  skipped: %s\n", skip)
		return nil
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("cannot measure %s: %w: %v", m.name, context.Cause(ctx), err)
	case err != nil:
		return fmt.Errorf("cannot measure %s: %w", m.name, err)
	}
	return nil
}

// line prints one number and what it means.
func line(what, value, meaning string) {
	fmt.Printf("  %-22s %14s   %-20s %s\n", what, value, "", meaning)
}

// judged is a line whose number has a goal.
func judged(what, value, goal string, met bool, meaning string) {
	verdict := "ok"
	if !met {
		verdict = "MISSED"
	}
	fmt.Printf("  %-22s %14s   %-20s %s\n", what, value, goal+" "+verdict, meaning)
}

// quantile returns the value below which a share of sorted values lies.
func quantile[T any](sorted []T, share float64) T {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return quantile(values, 0.5)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
