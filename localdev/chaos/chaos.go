// Package chaos runs a whole installation under load while everything in it fails,
// lets it go quiet, and tells whether each accepted operation came to its end: none
// lost, none stuck, none done twice. It knows the installation only from outside:
// over HTTP, as its hosts, by signals to its processes, and by reading SQL.
//
//	clients ──HTTP──▶ api ─┐                        ┌─ gateway ◀══ hosts, with a ledger
//	                       ├─ proxies ─ SQL, Redis ─┤
//	              worker ──┘                        └─ scheduler
//
// What the hosts have done they keep in a ledger of their own, which is compared
// with SQL at the end.
package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// options are what the flags say.
type options struct {
	operations, clients, agents int
	apis, workers, gateways     int
	faults                      []string
	seed                        uint64
	quiet                       time.Duration
	keep                        bool
}

// ErrViolated says that a promise was broken; the account has said which.
var ErrViolated = errors.New("the installation broke a promise")

// Run does as the command 'cattle chaos' says. It starts what it needs, apart from
// what may run here, and takes all of it away again.
func Run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := newRig(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	return r.trial(ctx)
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.IntVar(&o.operations, "operations", 3000, "how many operations the servers have to accept")
	flags.IntVar(&o.clients, "clients", 16, "clients that ask at once")
	flags.IntVar(&o.agents, "agents", 10, "simulated agents, each with two hosts")
	flags.IntVar(&o.apis, "apis", 2, "API servers")
	flags.IntVar(&o.workers, "workers", 3, "workers")
	flags.IntVar(&o.gateways, "gateways", 2, "gateways")
	flags.Uint64Var(&o.seed, "seed", 0, "of the plan of operations and faults; 0 takes a new one, which is printed")
	flags.DurationVar(&o.quiet, "quiet", 3*time.Minute, "how long it may take to go quiet once the faults are over")
	flags.BoolVar(&o.keep, "keep", false, "leave the logs of the servers behind")
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	chosen := flags.String("faults", "", "which faults, with commas: "+strings.Join(names, ", ")+"; all if empty, 'none' for none")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch *chosen {
	case "":
		o.faults = names
	case "none":
	default:
		o.faults = strings.Split(*chosen, ",")
	}
	for _, name := range o.faults {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no fault %q: it is one of %s", name, strings.Join(names, ", "))
		}
	}
	if min(o.operations, o.clients, o.agents, o.apis, o.workers, o.gateways) < 1 {
		return nil, errors.New("all numbers begin at 1")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1 << 32)
	}
	return o, nil
}

// trial drives the load through the faults, waits for quiet and gives the account.
func (r *rig) trial(ctx context.Context) error {
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Printf("Load before the start: %s. Seed %d.\n", strings.Fields(string(load))[0], r.seed)
	}
	begin := time.Now()
	l := newLoad(r)
	trouble, heal := context.WithCancel(ctx)
	defer heal()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.inject(trouble)
	}()
	err := l.drive(ctx)
	drove := time.Since(begin)
	heal()
	<-done
	if err != nil {
		return err
	}
	if err := r.mend(ctx); err != nil {
		return err
	}
	a := &account{rig: r, load: l, drove: drove}
	a.settled, err = r.settle(ctx)
	if err != nil {
		return err
	}
	return a.give(ctx)
}
