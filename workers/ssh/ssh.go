// Package ssh brings the agent to hosts that let the server log in, and opens it a way
// back. A command for an agent with an ssh:// address that nobody holds opens this way:
// a server logs in with the key of the installation, copies its own program there unless
// the host has it, and starts it as an agent under the host's service manager, or
// detached where there is none.
//
//	agent ──▶ localhost:PORT ══ the server's SSH connection ══▶ a worker ──▶ gateway and API
//
// The way back is a tunnel: a port of the host's loopback, chosen by the host, through
// which nothing gets but requests with the key of that agent, and these to nowhere but
// the server: the one that holds the tunnel, or that of ssh.tunnel.server. So a host needs
// no way to the server, and a server on loopback is enough.
//
// The agent has a tunnel unless it is told where the server is: by data.urlConfig.api (a
// URL, or default for that of the settings), which counts when a way is opened the next
// time, or by the settings cattle.agent.ID.api.url, cattle.api.url or cattle.url. The
// setting ssh.tunnel.enabled decides it for those without urlConfig. urlConfig.config and
// .storage say nothing here: our agent asks the API for everything.
//
// Who holds it. The worker that has the lease AGENT.SSH.ID, renewed for as long as the
// connection lives; two for a moment are harmless, since either leads to the gateways.
// Every worker looks every few seconds which of these agents nobody hears. Of those it
// enters whom no other enters, so that the hosts of a worker that died spread over the
// others within the lease and a look. A worker that holds the tunnel of an agent that is
// not heard looks after the agent through it, and gives up a connection through which
// nothing can be done.
//
// The agent is not started anew for that. It dials the port that its environment file
// names by now and makes a new connection when that changes; commands under way outlive
// it, as they do any other. Its program is replaced when the server's is another.
//
// TLS. Anybody on a host may listen on a port of its loopback once the tunnel is gone, so
// the agent speaks TLS through it and knows the server by a pin: that of the key with
// which the installation enters hosts. It ends at the worker, which therefore can tell
// whose key is shown. ssh.localhost.url.format may ask for http:// instead; then a host
// must trust whoever may log in to it, and its agent takes no program from there.
//
// Hosts that reach the server by themselves already go on so. One whose agent is gone has
// its agent started in the same way, and is given some time before it gets a tunnel. A
// host whose sshd opens no port for us has its agent started to reach the server by
// itself, and while it does not, who asks why is told.
//
// Ten thousand hosts are as many connections, spread over the workers by who comes first:
// each costs some goroutines, a renewal of its lease every seven seconds, and no traffic of
// ours, since the system notices peers that are gone. So many are entered at once that a
// new worker is not drowned.
//
// A host shows who it is by its host key: the first one is believed and kept in SQL,
// a different one later is refused.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// Settings is what is read of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
}

// Config is what ways to agents are made of.
type Config struct {
	Store    *store.Store
	Locks    *lock.Locks
	Settings Settings
	Log      *slog.Logger
	// Serves is HOST:PORT where this process serves agents, "" if it does not.
	Serves string
	// Dialer makes the connections to hosts.
	Dialer net.Dialer
	// Connected tells which agents a gateway holds.
	Connected func(ctx context.Context, agents []int64) (map[int64]bool, error)
}

// Ways brings agents to hosts and keeps their tunnels.
type Ways struct {
	Config
	asked chan wish

	mu      sync.Mutex
	last    map[int64]attempt // by agent
	tunnels map[int64]*tunnel // by agent
}

// attempt is how the latest one went.
type attempt struct {
	running bool
	again   time.Time // not before
	err     error
	direct  time.Time // since when the agent is known to reach the server by itself, and does not
}

// wish is that an agent have a way.
type wish struct {
	id   int64
	only bool // if it is a tunnel
}

// agent is one with an address to log in to.
type agent struct {
	id, account int64
	uri         string
	url         string // urlConfig.api
}

const (
	longest  = 4 * time.Minute  // an attempt may take
	lease    = 20 * time.Second // of a way, unless it is renewed
	looking  = 5 * time.Second  // between two looks at who is gone
	grace    = 2 * time.Minute  // for an agent to come back by itself
	mostAsks = 1000             // that wait for their turn; the others are found at the next look
	mostWork = 200              // attempts at once
)

// New returns ways to agents. Nothing is opened before they run.
func New(c Config) *Ways {
	return &Ways{Config: c, asked: make(chan wish, mostAsks), last: map[int64]attempt{}, tunnels: map[int64]*tunnel{}}
}

// Open has the agent of a host installed, started and given its way back, in the
// background, unless that was tried a moment ago. It tells why the latest attempt failed,
// nil if none did.
func (w *Ways) Open(_ context.Context, row *schema.Row) error { return w.open(wish{id: row.ID()}) }

func (w *Ways) open(of wish) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.last[of.id]
	if was.running || time.Now().Before(was.again) {
		return was.err
	}
	select {
	case w.asked <- of:
		was.running = true
		w.last[of.id] = was
	default:
	}
	return was.err
}

func agentOf(row *schema.Row) agent {
	a := agent{id: row.ID(), account: row.Int("accountId"), uri: row.Str("uri")}
	urls, _ := row.Data()["urlConfig"].(map[string]any)
	a.url, _ = urls["api"].(string)
	return a
}

// Run opens ways until ctx ends; then it closes those that it holds.
func (w *Ways) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { w.watch(ctx) })
	places := make(chan struct{}, mostWork)
	for {
		select {
		case <-ctx.Done():
			return nil
		case of := <-w.asked:
			select {
			case <-ctx.Done():
				return nil
			case places <- struct{}{}:
			}
			all.Go(func() {
				t := w.attempt(ctx, of)
				<-places
				if t != nil {
					w.keep(t)
				}
			})
		}
	}
}

// keep serves a tunnel for as long as it is there.
func (w *Ways) keep(t *tunnel) {
	defer t.free()
	w.mu.Lock()
	w.tunnels[t.agent.id] = t
	w.mu.Unlock()
	t.serve(t.kept)
	w.mu.Lock()
	delete(w.tunnels, t.agent.id)
	w.mu.Unlock()
	w.Log.Info("tunnel is closed", "agent", t.agent.id)
}

// watch looks again and again who is gone.
func (w *Ways) watch(ctx context.Context) {
	for pause := time.Duration(0); ; pause = looking - looking/5 + rand.N(looking*2/5) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.Log.DebugContext(ctx, "cannot look which hosts are to be entered", "err", err)
		}
	}
}

// look has those entered that nobody hears, and closes the tunnels that are needed no more.
func (w *Ways) look(ctx context.Context) error {
	wanted, err := w.Store.Entered(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for id, t := range w.tunnels {
		if wanted[id] != t.agent.uri || !w.byTunnel(t.agent) {
			t.login.close()
		}
	}
	w.mu.Unlock()
	if len(wanted) == 0 {
		return nil
	}
	there, err := w.Connected(ctx, slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return err
	}
	for id := range wanted {
		if there[id] {
			w.returned(id)
			continue
		}
		_ = w.open(wish{id: id, only: true}) // the others come back by themselves, or are entered when they are asked something
	}
	return nil
}

// byTunnel tells whether an agent reaches the server by a tunnel.
func (w *Ways) byTunnel(a agent) bool {
	enabled := w.Settings.Get("ssh.tunnel.enabled")
	return a.url == "" && enabled != "false" && (enabled == "true" || w.set(a) == "")
}

// set is where settings or the agent itself say that the server is, "" if they do not.
func (w *Ways) set(a agent) string {
	if a.url != "" && a.url != "default" {
		return a.url
	}
	for _, name := range []string{fmt.Sprintf("cattle.agent.%d.api.url", a.id), "cattle.api.url", "cattle.url"} {
		if url := w.Settings.Get(name); url != "" {
			return url
		}
	}
	return ""
}

// attempt enters a host, and gives the tunnel that is to be served from now on, nil for none.
func (w *Ways) attempt(ctx context.Context, of wish) *tunnel {
	t, err := w.enter(ctx, of)
	if err != nil && !errors.Is(err, errNotWished) && ctx.Err() == nil {
		w.Log.WarnContext(ctx, "no way to an agent was opened", "agent", of.id, "err", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.last[of.id]
	if was.running = false; !errors.Is(err, errNotWished) {
		was.err = err
		was.again = time.Now().Add(time.Duration(w.Settings.Int("ssh.retry.millis")) * time.Millisecond)
	}
	w.last[of.id] = was
	return t
}

var errNotWished = errors.New("the agent has no tunnel")

// enter is done by one server at a time.
func (w *Ways) enter(ctx context.Context, of wish) (*tunnel, error) {
	row, err := w.Store.Get(ctx, resource.All.Type("agent"), of.id)
	if err != nil {
		return nil, err
	}
	a := agentOf(row)
	if of.only && !w.byTunnel(a) {
		return nil, errNotWished
	}
	w.mu.Lock()
	held := w.tunnels[a.id]
	w.mu.Unlock()
	if held != nil {
		ctx, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		return nil, w.revive(ctx, held)
	}
	kept, free, ok := w.Locks.Keep(ctx, fmt.Sprintf("AGENT.SSH.%d", a.id), lease)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(kept, longest)
	defer cancel()
	t, err := w.install(ctx, a)
	if t == nil {
		free()
		return nil, err
	}
	t.kept, t.free = kept, free
	return t, nil
}

// revive looks after an agent that is not heard although it has its tunnel.
func (w *Ways) revive(ctx context.Context, t *tunnel) error {
	there, err := look(ctx, t.login, t.env["CATTLE_HOME"])
	if err == nil {
		_, err = bring(ctx, t.login, there, t.env)
	}
	if err != nil {
		t.login.close()
	}
	return err
}

// install logs in, brings the program there and starts it. What it gives besides an
// error is nil.
func (w *Ways) install(ctx context.Context, a agent) (t *tunnel, err error) {
	begun := time.Now()
	l, err := w.login(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() {
		if t == nil {
			l.close()
		}
	}()
	env, err := w.environment(ctx, a)
	if err != nil {
		return nil, err
	}
	there, err := look(ctx, l, env["CATTLE_HOME"])
	if err != nil {
		return nil, err
	}
	t, refused, err := w.way(ctx, l, a, there, env)
	if err != nil {
		return nil, err
	}
	did, err := bring(ctx, l, there, env)
	if err != nil {
		return nil, err
	}
	if t != nil {
		did += ", and it has a tunnel"
	}
	w.Log.InfoContext(ctx, "agent is on its host", "agent", a.id, "did", did, "took", time.Since(begun))
	return t, refused
}

// login is a connection to the host of an agent, which has shown who it is.
func (w *Ways) login(ctx context.Context, a agent) (*login, error) {
	to, err := parse(a.uri)
	if err != nil {
		return nil, err
	}
	keys, err := signers(ctx, w.Store)
	if err != nil {
		return nil, err
	}
	met, err := known(ctx, w.Store, to.host)
	if err != nil {
		return nil, err
	}
	step := time.Duration(max(w.Settings.Int("ssh.timeout.millis"), 1000)) * time.Millisecond
	l, err := dial(ctx, w.Dialer, to, met, keys, step)
	if err != nil || met != nil {
		return l, err
	}
	if err := meet(ctx, w.Store, to.host, l.key); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// environment is what the agent is started with, but for where the server is.
func (w *Ways) environment(ctx context.Context, a agent) (environment, error) {
	found, err := w.Store.Find(ctx, resource.All.Type("credential"),
		process.Match{"accountId": a.account, "kind": "agentApiKey", "state": "active", "removed": nil})
	if err != nil {
		return nil, err
	}
	if a.account == 0 || len(found) == 0 {
		return nil, fmt.Errorf("agent %d has no key to log in with", a.id)
	}
	key := found[len(found)-1] // the newest
	env := environment{"CATTLE_HOME": defaultHome}
	if err := env.add(w.Settings.Get("ssh.agent.env")); err != nil {
		return nil, err
	}
	env["CATTLE_ACCESS_KEY"], env["CATTLE_SECRET_KEY"] = key.Str("publicValue"), key.Str("secretValue")
	return env, env.check()
}

// way adds to env how the agent reaches the server: by a tunnel, which is open then, or by
// itself. refused is why it got no tunnel although it should.
func (w *Ways) way(ctx context.Context, l *login, a agent, there facts, env environment) (t *tunnel, refused, err error) {
	url, unreachable := w.direct(l, a)
	if w.byTunnel(a) && !(there.direct && unreachable == nil && w.mayReturn(a)) {
		t, err := w.dig(ctx, l, a, env)
		switch {
		case errors.Is(err, errNoForward) && unreachable != nil:
			return nil, nil, fmt.Errorf("%w, and the agent cannot reach the server by itself: %w", err, unreachable)
		case errors.Is(err, errNoForward):
			refused = fmt.Errorf("%w: the agent was told to reach the server at %s by itself", err, url)
		default:
			return t, nil, err
		}
	}
	if unreachable != nil {
		return nil, nil, unreachable
	}
	env["CATTLE_URL"] = url
	return nil, refused, env.check()
}

// mayReturn tells whether an agent that has reached the server by itself is given more
// time to do so again.
func (w *Ways) mayReturn(a agent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.last[a.id]
	if errors.Is(was.err, errNoForward) {
		return false // whoever asks why is to be told
	}
	if was.direct.IsZero() {
		was.direct = time.Now()
		w.last[a.id] = was
	}
	return time.Since(was.direct) < grace
}

// returned ends the time that an agent is given to come back.
func (w *Ways) returned(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, known := w.last[id]; known {
		was.direct = time.Time{}
		w.last[id] = was
	}
}

// dig opens a tunnel and adds to env what the agent has to know of it.
func (w *Ways) dig(ctx context.Context, l *login, a agent, env environment) (*tunnel, error) {
	t := &tunnel{agent: a, login: l, env: env, to: w.Settings.Get("ssh.tunnel.server"), dialer: w.Dialer}
	t.dialer.Timeout = l.step
	if t.to == "" {
		t.to = w.Serves
	}
	if t.to == "" {
		return nil, errors.New("this server is no gateway and API, to which a tunnel may lead: say in ssh.tunnel.server where they are, HOST:PORT")
	}
	format := w.Settings.Get("ssh.localhost.url.format")
	if strings.HasPrefix(format, "https:") {
		var err error
		if t.tls, env["CATTLE_PIN"], err = identity(ctx, w.Store); err != nil {
			return nil, err
		}
	}
	port, err := t.listen()
	if err != nil {
		delete(env, "CATTLE_PIN")
		return nil, err
	}
	env["CATTLE_URL"], env["CATTLE_AGENT_PORT"] = strings.Replace(format, "%s", port, 1), port
	if env["CATTLE_AGENT_IP"] == "" { // through a tunnel it cannot tell
		env["CATTLE_AGENT_IP"] = w.addressOf(l, a)
	}
	return t, env.check()
}

// addressOf is where users find a host: where we do, or where they find us if the host is
// this machine.
func (w *Ways) addressOf(l *login, a agent) string {
	theirs, ok := l.remote.(*net.TCPAddr)
	if ok && !theirs.IP.IsLoopback() {
		return theirs.IP.String()
	}
	if ours, err := url.Parse(wire.URL(w.Settings.Get, a.id, "api")); err == nil {
		return ours.Hostname()
	}
	return ""
}
