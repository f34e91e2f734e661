package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/api"
	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/gateway"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/functions"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/queue"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/telemetry"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers"
	"github.com/cattleio/cattle/workers/agent"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
	"github.com/cattleio/cattle/workers/ssh"
)

// profiles are the parts of a server.
var profiles = []string{"api", "worker", "gateway", "scheduler"}

// server is one process: some of the parts and what they share.
type server struct {
	settings *config.Settings
	parts    map[string]bool
	id       string
	log      *slog.Logger

	ready   sync.WaitGroup // until every part hears what it has to
	owned   *os.File       // held open while the embedded database is ours
	replica *store.Replica // nil for none
	store   *store.Store   // nil for a gateway alone: it touches no SQL
	redis   redis.UniversalClient
	bus     *event.Bus
	news    *workers.News // nil where there is no store
	queue   *queue.Queue
	locks   *lock.Locks

	pin     string // by what agents know our certificate
	metrics *telemetry.Metrics
}

func newServer(settings *config.Settings, profile string, log *slog.Logger) (*server, error) {
	s := &server{settings: settings, parts: map[string]bool{}, log: log, metrics: telemetry.New()}
	names := profiles
	if profile != "" {
		names = strings.Split(profile, ",")
	}
	for _, p := range names {
		if !slices.Contains(profiles, p) {
			return nil, fmt.Errorf("there is no profile %q: it is one of %s", p, strings.Join(profiles, ", "))
		}
		s.parts[p] = true
	}
	if len(s.parts) < len(profiles) && (settings.Get("db.url") == "" && !s.only("gateway") || settings.Get("redis.url") == "") {
		return nil, errors.New("a part of a server needs CATTLE_DB_URL and CATTLE_REDIS_URL, where it meets the others")
	}
	s.id = settings.Get("server.id")
	if s.id == "" {
		s.id = token(8)
	}
	return s, nil
}

func (s *server) only(part string) bool { return len(s.parts) == 1 && s.parts[part] }

func token(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// run serves until ctx ends, then lets everything finish for a few seconds.
func (s *server) run(ctx context.Context) error {
	ln, err := s.listen()
	if err != nil {
		return err
	}
	defer ln.Close()
	// What the parts share outlives them by a moment, so that each can end well.
	shared, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	closing, err := s.connect(shared)
	if err != nil {
		return err
	}
	defer closing()
	s.measure()
	g, ctx := errgroup.WithContext(ctx)
	if err := s.expose(ctx, g); err != nil {
		return err
	}
	go func() { _ = s.bus.Run(shared) }()
	go func() { _ = s.queue.Run(shared) }()
	if s.store != nil {
		g.Go(func() error { return s.follow(ctx, lookAgain) })
	}
	if err := s.pprof(ctx); err != nil {
		return err
	}
	s.start(ctx, g, ln)
	g.Go(func() error { s.makeKey(ctx); return nil })
	g.Go(func() error { s.makeSamples(ctx); return nil })
	s.ready.Wait()
	fmt.Println("Startup Succeeded, Listening on port", ln.Addr().(*net.TCPAddr).Port)
	s.log.Info("serving", "address", ln.Addr().String(), "parts", s.names(), "server", s.id, "version", versionText())
	err = g.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed)) {
		return nil
	}
	return err
}

func (s *server) names() string {
	var out []string
	for _, p := range profiles {
		if s.parts[p] {
			out = append(out, p)
		}
	}
	return strings.Join(out, ",")
}

// connect opens what the parts stand on.
func (s *server) connect(ctx context.Context) (closing func(), err error) {
	client, stop, err := queue.Connect(ctx, s.settings.Get("redis.url"))
	if err != nil {
		return nil, err
	}
	redis.SetLogger(quiet{})
	s.redis, s.bus, s.queue, s.locks = client, event.New(client, s.log), queue.New(client, s.log), lock.New(client)
	if s.settings.Get("redis.url") == "" {
		s.queue.Patient()
	}
	if s.only("gateway") {
		return func() { _ = client.Close(); stop() }, nil
	}
	if s.settings.Get("db.url") == "" {
		if s.owned, err = alone(home()); err != nil {
			return nil, err
		}
	}
	if s.store, err = openStore(ctx, s.settings); err != nil {
		return nil, err
	}
	s.news = workers.NewNews(s.bus)
	s.store.Moved = s.news.Moved
	for _, first := range []func(context.Context) error{s.secure, s.noteItems} {
		if err := patiently(ctx, func() error { return first(ctx) }); err != nil {
			return nil, err
		}
	}
	if !s.store.Seals() {
		s.log.Warn("secrets are not encrypted in the database: encryption.keys is not set")
	}
	return func() { _ = client.Close(); stop(); _ = s.store.Close() }, nil
}

// quiet keeps the Redis client from writing to the log by itself: what matters
// comes back as an error to whoever asked.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// alone refuses to share the embedded database with another server. The lock is
// the open file: it ends with the process.
func alone(home string) (*os.File, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another server uses %s; stop it, or set CATTLE_DB_URL and CATTLE_REDIS_URL to share a database", home)
	}
	return f, nil
}

func openStore(ctx context.Context, settings *config.Settings) (*store.Store, error) {
	address, embedded := settings.Get("db.url"), false
	if address == "" {
		address, embedded = filepath.Join(home(), "cattle.db"), true
	}
	var s *store.Store
	err := patiently(ctx, func() (err error) {
		if s, err = store.Open(ctx, address); err != nil {
			return unready{err}
		}
		if err = prepare(ctx, s, settings, embedded); err != nil {
			err = errors.Join(err, s.Close())
		}
		return err
	})
	return s, err
}

// unready is what is wrong with a database that may just not have started yet.
type unready struct{ error }

// patiently does what a server needs before it can serve. The database may start later
// than we do, or go away once more: that is waited for, a minute at most.
func patiently(ctx context.Context, do func() error) error {
	for deadline := time.Now().Add(time.Minute); ; {
		err := do()
		if err == nil || !errors.As(err, &unready{}) && !store.Away(err) && !store.Passing(err) && !errors.Is(err, store.ErrUnsure) {
			return err
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// prepare brings the database to where this program can work with it.
func prepare(ctx context.Context, s *store.Store, settings *config.Settings, embedded bool) error {
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	keys, err := encryptionKeys(settings, embedded)
	if err != nil {
		return err
	}
	if err := s.UseKeys(ctx, keys); err != nil {
		return err
	}
	if embedded { // we are alone: what ran before us died
		if err := s.Expire(ctx); err != nil {
			return err
		}
	}
	values, err := s.Settings(ctx)
	if err != nil {
		return err
	}
	settings.SetDatabase(values)
	return nil
}

// local tells whether nobody but this machine reaches the server.
func (s *server) local() bool {
	host := s.settings.Get("http.host")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// secure turns security on for a server that others can reach, unless somebody has
// decided otherwise, and says once how to get in.
func (s *server) secure(ctx context.Context) error {
	host := s.settings.Get("http.host")
	if s.local() {
		return nil
	}
	v, decided := s.settings.Lookup("api.security.enabled")
	if decided && v.Value != "true" {
		s.log.Warn("anybody who reaches this server is its administrator: api.security.enabled is false", "address", host, "source", v.Source)
		return nil
	}
	if !decided {
		s.settings.SetDefault("api.security.enabled", "true")
	}
	return s.firstKey(ctx)
}

// firstKey gives the administrator a key when there is none, and prints it.
func (s *server) firstKey(ctx context.Context) error {
	if !s.parts["api"] {
		return nil
	}
	typ := resource.All.Type("credential")
	keys, err := s.store.Find(ctx, typ, process.Match{"accountId": int64(1), "kind": "apiKey", "removed": nil})
	if err != nil || len(keys) > 0 {
		return err
	}
	public, secret := strings.ToUpper(token(10)), token(20)
	err = s.store.Write(ctx, "first key", func(tx *store.Tx) error {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		return tx.Insert(ctx, store.NewRow(typ, now, map[string]any{"accountId": int64(1), "kind": "apiKey", "state": "active", "publicValue": public, "secretValue": secret}))
	})
	if err == nil {
		fmt.Printf("Security is on. The administrator's key, shown this once:\n  CATTLE_ACCESS_KEY=%s\n  CATTLE_SECRET_KEY=%s\n", public, secret)
	}
	return err
}

// settingsChannel tells all servers that the settings in the database changed.
const settingsChannel = "cattle.settings"

// lookAgain is how often the settings of the database are read although nobody has
// said that they changed.
const lookAgain = time.Second

// follow keeps the settings of the database in force: at once when a server says
// that they changed, and by looking every now and then in case nobody heard.
func (s *server) follow(ctx context.Context, every time.Duration) error {
	changed := make(chan struct{}, 1)
	defer s.bus.Subscribe(ctx, settingsChannel, func(string) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(every):
		}
		if values, err := s.store.Settings(ctx); err == nil {
			s.settings.SetDatabase(values)
		}
	}
}

// makeKey has the key with which hosts are entered ready before somebody asks for it.
func (s *server) makeKey(ctx context.Context) {
	if s.store == nil || !s.settings.Bool("ssh.keygen.on.startup") {
		return
	}
	if err := ssh.EnsureKey(ctx, s.store); err != nil && ctx.Err() == nil {
		s.log.Warn("the server's SSH key was not made", "err", err)
	}
}

// start runs the parts.
func (s *server) start(ctx context.Context, g *errgroup.Group, ln net.Listener) {
	var work *workers.Worker
	if s.news != nil {
		g.Go(func() error { return s.news.Run(ctx) })
	}
	if s.parts["worker"] || s.parts["api"] { // the API shows the logic that workers run
		work = workers.New(workers.Deps{Store: s.store, Queue: s.queue, Bus: s.bus, News: s.news, Locks: s.locks, Settings: s.settings,
			Server: s.id, Slots: int(s.settings.Int("worker.slots")), Log: s.log, Ready: s.ready.Done, Metrics: s.metrics,
			Serves: s.serves(ln), Dialer: dialler, Connected: s.connected})
	}
	if s.parts["worker"] {
		s.metrics.Count("cattle_news_dropped_total", "News of resources that nobody was told because too many waited.", s.news.Dropped)
		s.ready.Add(1)
		g.Go(func() error { return work.Run(ctx) })
	}
	if s.parts["scheduler"] {
		clock := s.scheduler()
		clock.Metrics = s.metrics
		g.Go(func() error { return clock.Run(ctx) })
		g.Go(func() error { s.reseal(ctx); return nil })
	}
	agents, web := ln, ln
	if s.parts["api"] {
		agents, web = api.Split(ctx, ln)
	}
	if s.parts["gateway"] || s.parts["api"] { // an API by itself has its own event stream
		s.ready.Add(1)
		config := gateway.Config{Ready: s.ready.Done, Bus: s.bus, Locks: s.locks, Server: s.id, Log: s.log, Settings: s.settings, Count: s.locks.Count, Metrics: s.scraped()}
		if config.Listeners = !s.parts["gateway"]; config.Listeners {
			config.Serves = func(kind string) bool { return auth.Serves(s.settings, kind) }
		} else {
			config.Sim = simulate
		}
		gate := gateway.New(config)
		s.measureGateway(gate)
		g.Go(func() error { return gate.Run(ctx, agents) })
	}
	switch {
	case s.parts["api"]:
		s.ready.Add(1)
		s.copies(ctx, g)
		g.Go(func() error { return api.Run(ctx, s.api(work), web) })
	case !s.parts["gateway"]:
		g.Go(func() error { return s.plain(ctx, ln) })
	}
}

// serves is where this process serves agents, which need gateway and API, "" if it does not.
func (s *server) serves(ln net.Listener) string {
	address := ln.Addr().(*net.TCPAddr)
	switch {
	case !s.parts["gateway"] || !s.parts["api"]:
		return ""
	case address.IP.IsUnspecified():
		return net.JoinHostPort("localhost", strconv.Itoa(address.Port))
	}
	return address.String()
}

func (s *server) scheduler() *functions.Scheduler {
	return functions.New(functions.Deps{Store: s.store, Ring: s.queue.Ring, Depths: s.queue.Depths, Connected: s.connected,
		Locks: s.locks, Bus: s.bus, Settings: s.settings, Server: s.id, Log: s.log, Items: s.itemSources})
}

// connected asks the bus who is heard: a gateway listens for each agent it holds.
func (s *server) connected(ctx context.Context, agents []int64) (map[int64]bool, error) {
	channels := make([]string, len(agents))
	for i, id := range agents {
		channels[i] = wire.AgentChannel(fmt.Sprint(id))
	}
	heard, err := s.bus.Heard(ctx, channels...)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]bool, len(agents))
	for i, id := range agents {
		out[id] = heard[channels[i]] > 0
	}
	return out, nil
}

func (s *server) api(work *workers.Worker) api.Deps {
	return api.Deps{Store: s.store, Count: s.locks.Count, Items: s.bundles, Bus: s.bus, Settings: s.settings, Log: s.log, Ready: s.ready.Done, Rest: rest.Config{
		Store: s.store, Replica: s.replica, Settings: s.settings, ServerID: s.id, Ring: s.queue.Ring, Place: work.Place,
		SettingsChanged: func() { s.tell(settingsChannel) },
		Changed:         func(c rest.Change) { s.changed(c, work) },
		RunTask:         s.runTask,
		Script:          agent.Script,
		Metrics:         s.metrics.Text,
		Answered:        s.metrics.Answered,
		Panicked:        func() { s.metrics.Panicked("api") },
		Pin:             s.pin,
		EnsureKey:       func(ctx context.Context) error { return ssh.EnsureKey(ctx, s.store) },
		Handlers: func(name, list string) []rest.Implementation {
			var out []rest.Implementation
			for _, stage := range []process.Stage{process.Pre, process.Main, process.Post} {
				if stage.String() != list {
					continue
				}
				for _, h := range work.Engine().Attached(name, stage) {
					out = append(out, rest.Implementation{Name: h.Name, ClassName: "handler." + h.Name, Priority: h.Priority,
						Properties: map[string]any{"name": h.Name, "priority": fmt.Sprint(h.Priority)}})
				}
			}
			return out
		},
	}}
}

// copies reads from the replica, if there is one, and keeps from it who has just
// written, on whichever server.
func (s *server) copies(ctx context.Context, g *errgroup.Group) {
	address := s.settings.Get("db.read.url")
	if address == "" || !s.store.Postgres() {
		return
	}
	s.replica = store.NewReplica(s.store, address)
	g.Go(func() error { s.replica.Run(ctx); return nil })
	s.bus.Subscribe(ctx, wire.EventChannel(wire.APIChange), func(payload string) {
		var e struct{ Data rest.Change }
		if json.Unmarshal([]byte(payload), &e) == nil {
			s.replica.Wrote(e.Data.AccountID)
		}
	})
}

func (s *server) tell(channel string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, _ = s.bus.Publish(ctx, channel, "{}")
	}()
}

// changed announces a write of the API.
func (s *server) changed(c rest.Change, work *workers.Worker) {
	s.replica.Wrote(c.AccountID)
	if work.Changed(c.Type) {
		s.tell(wire.ExternalChannel)
	}
	// No worker tells what a state that was forced takes from whom, nor that an agent has
	// been put into another group.
	if c.Action == "force" || c.Type == "agent" && c.Method == "PUT" {
		s.withdraw(c)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		data, err := wire.Encode(map[string]any{"method": c.Method, "id": c.ID, "type": c.Type, "action": wire.Text(c.Action), "responseCode": c.Code, "accountId": c.AccountID})
		if err != nil {
			return
		}
		if text, err := wire.Encode(&wire.Event{ID: token(16), Name: wire.APIChange, ResourceType: wire.Text(c.Type), ResourceID: wire.Text(c.ID),
			Data: data, TimeMillis: time.Now().UnixMilli()}); err == nil {
			_, _ = s.bus.Publish(ctx, wire.EventChannel(wire.APIChange), string(text))
		}
	}()
}

// withdraw lets the gateways look again whether those who are connected may be.
func (s *server) withdraw(c rest.Change) {
	id, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil || c.Type != "credential" && c.Type != "account" && c.Type != "agent" {
		return
	}
	if text, err := wire.Encode(wire.Revoked{Type: c.Type, ID: id}); err == nil {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			_, _ = s.bus.Publish(ctx, wire.RevokeChannel, string(text))
		}()
	}
}

// runTask asks the servers that run tasks to run one now, in the background. If none
// hears it, it is run here: that is harmless, wherever it is.
func (s *server) runTask(name string) error {
	channel, payload, err := functions.Request(name)
	if err != nil {
		return err
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if heard, err := s.bus.Publish(ctx, channel, payload); err == nil && heard > 0 {
			return
		}
		if err := s.scheduler().Task(ctx, name); err != nil {
			s.log.Warn("task failed", "task", name, "err", err)
		}
	}()
	return nil
}

// simulate plays an agent whose address is sim://.
func simulate(p wire.Parcel) gateway.Player {
	data := map[string]any{}
	_ = json.Unmarshal(p.Data, &data) // an agent without data has one host and one pool
	played := sim.New(sim.Config{AgentUUID: p.UUID, Data: data})
	played.Remember(p.Running...)
	return played
}

// plain answers health checks of a process that serves nothing else.
func (s *server) plain(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong")) })
	if scraped := s.scraped(); scraped != nil {
		mux.Handle("GET /metrics", scraped)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// health asks the server of this machine how it is.
func health(ctx context.Context) error {
	settings, err := config.Load(os.Environ(), nil, home(), defaults())
	if err != nil {
		return err
	}
	host := settings.Get("http.host")
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, settings.Get("http.port"))+"/ping", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	fmt.Println("ok")
	return nil
}
