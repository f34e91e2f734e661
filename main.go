// Command cattle is the whole of Cattle in one binary: the server and each of its
// parts, the agent of a host, and what a person does on a command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/api/cli"
	"github.com/cattleio/cattle/localdev/bench"
	"github.com/cattleio/cattle/localdev/chaos"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/workers/agent"
)

// version is set when a release is linked.
var version = "dev"

const usage = `cattle runs containers and virtual machines on many hosts.

  cattle server [--profile api,worker,gateway,scheduler]   run the server, or parts of it
  cattle agent --url URL [--token TOKEN]                   run the agent of this host
  cattle up | down                                         start or stop all of it on this machine
  cattle bench                                             measure this machine
  cattle chaos                                             break all that can break, and account for it
  cattle health                                            ask a running server how it is
  cattle version

  cattle list-host, create-container, container-stop …     ask a server; 'cattle commands' lists what it
                                                           offers, and each takes --help, --wait, -o json

  cattle logs ID [--follow] [--lines N]                    what an instance writes
  cattle exec ID [--tty] -- COMMAND …                      a command in a container

Settings come from CATTLE_… variables, then --set NAME=VALUE, then the files in
$CATTLE_HOME/etc/cattle, then the database.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cattle:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is what the program ends with.
func exitCode(err error) int {
	if e := (*cli.Exit)(nil); errors.As(err, &e) {
		return e.Code
	}
	return 1
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Print(usage)
		return nil
	}
	switch name, rest := args[0], args[1:]; name {
	case "server":
		return runServer(ctx, rest)
	case "agent":
		return runAgent(ctx, rest)
	case "up":
		return up(ctx, rest)
	case "down":
		return down(ctx)
	case "bench":
		return bench.Run(ctx, rest)
	case "chaos":
		return chaos.Run(ctx, rest)
	case "health":
		return health(ctx)
	case "version":
		fmt.Println("cattle", versionText())
		return nil
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		if cli.Looks(name) {
			return cli.Look(ctx, args, os.Getenv, os.Stdin, os.Stdout)
		}
		if name == "commands" || strings.Contains(name, "-") {
			return cli.Run(ctx, args, os.Getenv, os.Stdout)
		}
		return fmt.Errorf("there is no command %q; see 'cattle help'", name)
	}
}

// versionText is the release, or the revision that was built.
func versionText() string {
	if version != "dev" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return version + " " + s.Value
			}
		}
	}
	return version
}

// home is where a server or an agent keeps what it must not forget.
func home() string {
	if h := os.Getenv("CATTLE_HOME"); h != "" {
		return h
	}
	user, err := os.UserHomeDir()
	if err != nil {
		user = "."
	}
	return filepath.Join(user, ".cattle")
}

// overrides collects --set NAME=VALUE flags.
type overrides map[string]string

func (o overrides) String() string { return "" }

func (o overrides) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("want NAME=VALUE")
	}
	o[name] = value
	return nil
}

func runServer(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	profile := flags.String("profile", "", "the parts to run, with commas: api, worker, gateway, scheduler; all if empty")
	set := overrides{}
	flags.Var(set, "set", "a setting, NAME=VALUE; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	settings, err := config.Load(os.Environ(), set, home(), defaults())
	if err != nil {
		return err
	}
	uuid.EnableRandPool() // ids are no secrets
	if settings.Get("pprof.address") == "" {
		runtime.MemProfileRate = 0 // a record of who allocates, for nobody
	}
	if os.Getenv("GOGC") == "" {
		go keepPace(ctx, newPace(*profile, settings.Get("db.url") != ""))
	}
	s, err := newServer(settings, *profile, logger(settings))
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// defaults are the built-in settings with those that the declarations bring.
func defaults() map[string]string {
	m := config.Standard()
	for _, k := range resource.All.Kinds() {
		if k.ActivatesByDefault {
			m["activate.by.default."+k.Type.Name] = "true"
		}
	}
	return m
}

func logger(settings *config.Settings) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(settings.Get("log.level"))) // unknown or empty stays info
	options := &slog.HandlerOptions{Level: level}
	if settings.Get("log.format") == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// beThrifty keeps an agent small: it lives on a machine that is there for others. Its
// own data are a megabyte or two; how much garbage may lie beside them is bounded.
func beThrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(8 << 20)
	}
	forgetBeginning()
}

func runAgent(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	c := agent.Config{Home: os.Getenv("CATTLE_HOME"), AccessKey: os.Getenv("CATTLE_ACCESS_KEY"), SecretKey: os.Getenv("CATTLE_SECRET_KEY"),
		Hostname: os.Getenv("CATTLE_HOSTNAME"), HostIP: os.Getenv("CATTLE_AGENT_IP"), Tunnel: os.Getenv("CATTLE_AGENT_PORT") != "", Version: versionText()}
	c.Workers, _ = strconv.Atoi(os.Getenv("CATTLE_WORKERS")) // what is no number is as if not given
	flags.StringVar(&c.URL, "url", os.Getenv("CATTLE_URL"), "address of the server, as in http://127.0.0.1:8080")
	flags.StringVar(&c.Token, "token", os.Getenv("CATTLE_TOKEN"), "token with which a new host joins")
	flags.StringVar(&c.Pin, "pin", os.Getenv("CATTLE_PIN"), "digest of the server's public key, as the line to join tells it")
	drivers := flags.String("drivers", os.Getenv("CATTLE_DRIVERS"), "kinds of host to serve, which then have to be there, with commas: docker, libvirt, sim; none is what of docker and libvirt is there")
	flags.BoolVar(&c.Update, "update", os.Getenv("CATTLE_AGENT_UPDATE") != "false", "let the server's program take the place of this one, over TLS")
	flags.DurationVar(&c.UpdateWithin, "update-within", time.Minute, "how long that may wait, so that not all hosts ask at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c.URL = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(c.URL, "/"), "/schemas"), "/v1")
	c.Drivers = strings.FieldsFunc(*drivers, func(r rune) bool { return r == ',' })
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	beThrifty()
	err := agent.Run(ctx, c)
	if !errors.Is(err, agent.ErrUpdated) {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(path, os.Args, os.Environ()) // as the same process, which a service manager may look after
}
