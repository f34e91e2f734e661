// Package agent is the program that runs on a host: it connects to a server, does
// what the server's commands say by means of drivers, and reports what is there.
//
//	             ┌──────── session ────────┐
//	gateway ◀──▶ │ one WebSocket at a time │──▶ desk ──▶ driver of the command's kind
//	             └─────────────────────────┘     └─ one command a resource, 25 in all
//	                    ping ─────────────────▶ pinger ──▶ every driver
//
// Commands outlive the connection they came by: their answer goes up the next one.
// The agent is the last judge of order: it refuses what is older than something it
// has already done. It knows no database, no queue and no engine.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/workers/agent/driver"
)

// Config says where the server is and who this host is.
type Config struct {
	// URL of the server, as in http://127.0.0.1:8080.
	URL string
	// Tunnel says that the URL is that of a tunnel, whose port may change; Home tells.
	Tunnel bool
	// Token registers the host once; then its own keys are kept in Home. Without
	// token and keys the server must be one that asks nobody who he is.
	Token                string
	AccessKey, SecretKey string
	// Home keeps identity, keys and fences. Empty is /var/lib/cattle.
	Home string
	// Hostname names the host; empty asks the system.
	Hostname string
	// HostIP is where users reach published ports; empty is the address from
	// which this host reaches the server.
	HostIP string
	// PhysicalHostUUID and DockerUUID are identities; empty takes them from
	// CATTLE_PHYSICAL_HOST_UUID and CATTLE_DOCKER_UUID, else random ones from Home.
	PhysicalHostUUID, DockerUUID string
	// Drivers are the kinds to serve, which then have to be there; none is what is there.
	Drivers []string
	// CAFile is trusted besides the system's authorities.
	CAFile string
	// Pin is the digest of the server's public key. It is kept in Home; with it no
	// authority is asked.
	Pin string
	// Workers is how many commands run at a time; 0 is 25.
	Workers int
	// Retry is the first pause between connections; 0 is a second.
	Retry time.Duration
	// Patience is how long a command waits for an engine that does not answer, and the
	// agent for one that has to be there when it begins; 0 is 45 seconds.
	Patience time.Duration
	// Stall is how long a command may go on without a word of its engine; 0 is ten minutes.
	Stall time.Duration
	// Silence is how long nothing may be heard; 0 is a minute.
	Silence time.Duration
	Version string
	// Update lets the server's program take the place of this one, when it is another.
	Update bool
	// UpdateWithin is how long that may wait, so that not all hosts ask at once.
	UpdateWithin time.Duration
	Log          *slog.Logger
}

type agent struct {
	config  Config
	home    home
	base    *url.URL
	http    *http.Client
	self    identity
	bootID  string
	drivers map[string]driver.Driver
	desk    *desk
	pinger  *pinger
	line    line
	moved   chan struct{} // the tunnel begins elsewhere

	accesses *accesses
	updating atomic.Bool
	over     context.CancelCauseFunc
	log      *slog.Logger
}

// Run serves the host until ctx ends, through any number of connections. It
// returns an error when it cannot begin, or when the server refuses the token, and
// ErrUpdated when another program has taken the place of this one.
func Run(ctx context.Context, config Config) error {
	a, err := newAgent(ctx, config)
	if err != nil && ctx.Err() != nil {
		return nil // asked to end
	}
	if err != nil {
		return err
	}
	defer a.desk.fences.Close()
	if err := a.begun(); err != nil {
		return err
	}
	ctx, a.over = context.WithCancelCause(ctx)
	defer a.over(nil)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.pinger.run(groupCtx) })
	if config.Tunnel {
		port := a.home.tunnelPort()
		group.Go(func() error { return a.follow(groupCtx, port) })
	}
	group.Go(func() error { return a.connectAgainAndAgain(groupCtx) })
	for _, d := range a.drivers {
		if r, ok := d.(driver.Runner); ok {
			group.Go(func() error { return r.Run(groupCtx) })
		}
	}
	err = group.Wait()
	a.desk.wait()
	a.accesses.wait()
	if errors.Is(context.Cause(ctx), ErrUpdated) {
		return ErrUpdated
	}
	if ctx.Err() != nil {
		return nil // asked to end
	}
	return err
}

func newAgent(ctx context.Context, config Config) (*agent, error) {
	config = withDefaults(config)
	base, err := serverURL(config.URL)
	if err != nil {
		return nil, err
	}
	a := &agent{config: config, home: home(config.Home), base: base, bootID: uuid.NewString(), moved: make(chan struct{}, 1), log: config.Log}
	if err := os.MkdirAll(config.Home, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the agent's home: %w", err)
	}
	pin, err := a.home.pin(config.Pin, base)
	if err != nil {
		return nil, err
	}
	if a.http, err = httpClient(config.CAFile, pin, a.dial); err != nil {
		return nil, err
	}
	if a.self, err = a.home.identity(config); err != nil {
		return nil, err
	}
	if a.config.HostIP == "" {
		a.config.HostIP = addressTowards(base)
	}
	kinds, err := finder{engines, os.Getenv, a.home.met, config.Patience, config.Log}.find(ctx, config.Drivers)
	if err != nil {
		return nil, err
	}
	if a.drivers, err = openDrivers(a.config, a.self, kinds); err != nil {
		return nil, err
	}
	fences, err := openFences(a.home.path("fences"))
	if err != nil {
		return nil, err
	}
	a.desk = newDesk(config, a.drivers, fences, a.line.send, a.log)
	a.accesses = newAccesses(a.drivers, a.line.send, a.log)
	a.pinger = newPinger(a.drivers, a.home, a.line.send, a.log)
	return a, nil
}

func withDefaults(c Config) Config {
	if c.Home == "" {
		c.Home = "/var/lib/cattle"
	}
	if c.Hostname == "" {
		c.Hostname, _ = os.Hostname() // a host may have no name
	}
	if c.Workers <= 0 {
		c.Workers = 25
	}
	if c.Retry <= 0 {
		c.Retry = time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 45 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = 10 * time.Minute
	}
	if c.Silence <= 0 {
		c.Silence = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// serverURL accepts the forms in which a server's address is handed on: with or
// without the API's version, or with its schemas.
func serverURL(text string) (*url.URL, error) {
	text = strings.TrimSuffix(strings.TrimRight(text, "/"), "/schemas")
	base, err := url.Parse(strings.TrimSuffix(text, "/v1"))
	if err != nil {
		return nil, fmt.Errorf("cannot read server address: %w", err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("server address %q is no http or https URL", text)
	}
	return base, nil
}

// addressTowards is the local address that leads to the server. Nothing is sent.
func addressTowards(base *url.URL) string {
	port := base.Port()
	if port == "" {
		port = "80"
	}
	conn, err := net.Dial("udp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		return ""
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}
