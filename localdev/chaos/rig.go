package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver called pgx

	"github.com/cattleio/cattle/localdev/faulty"
)

// rig is an installation of its own: databases behind proxies, each part as a
// process of this program, and hosts.
type rig struct {
	*options
	dir             string
	postgres, redis *faulty.Server
	sql, cache      *faulty.Proxy
	commits         faulty.Commits
	messages        faulty.Messages
	parts           []*part
	gates           []*faulty.Proxy // the ways of the agents to the gateways
	db              *sql.DB         // past the proxy, to look
	hosts           *hosts
	tally           tally

	mu     sync.Mutex
	deaths map[string][]death // by id of the server
	struck map[string]bool    // faults that came at least once
}

// death is when and how a server ceased to work.
type death struct {
	at     int64 // milliseconds
	until  int64 // when it went on, 0 for never
	frozen bool
}

// tally counts what was done to the installation.
type tally struct {
	mu    sync.Mutex
	count map[string]int
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil {
		t.count = map[string]int{}
	}
	t.count[what]++
}

// newRig starts all of it and waits until the hosts are there.
func newRig(ctx context.Context, o *options) (r *rig, err error) {
	r = &rig{options: o, deaths: map[string][]death{}, struck: map[string]bool{}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "cattle-chaos-"); err != nil {
		return r, err
	}
	if err = os.Chmod(r.dir, 0o755); err != nil { // Postgres may run as somebody else
		return r, err
	}
	if err = r.databases(ctx); err != nil {
		return r, err
	}
	if err = r.servers(ctx); err != nil {
		return r, err
	}
	if err = r.audit(ctx); err != nil {
		return r, err
	}
	r.hosts = newHosts(r)
	return r, r.hosts.join(ctx)
}

func (r *rig) databases(ctx context.Context) (err error) {
	if r.postgres, err = faulty.Postgres(r.dir); err != nil {
		return err
	}
	if r.redis, err = faulty.Redis(r.dir); err != nil {
		return err
	}
	if r.sql, err = faulty.NewProxy(r.postgres.Address(), r.commits.Relay); err != nil {
		return err
	}
	if r.cache, err = faulty.NewProxy(r.redis.Address(), r.messages.Relay); err != nil {
		return err
	}
	r.db, err = sql.Open("pgx", "postgres://postgres@"+r.postgres.Address()+"/postgres?sslmode=disable")
	return err
}

// servers starts the parts; the first one alone, so that it makes the tables.
func (r *rig) servers(ctx context.Context) error {
	for _, kind := range []struct {
		profile string
		n       int
	}{{"api", r.apis}, {"worker", r.workers}, {"gateway", r.gateways}, {"scheduler", 2}} {
		for i := range kind.n {
			profile := kind.profile
			port, err := freePort()
			if err != nil {
				return err
			}
			p := &part{rig: r, profile: profile, name: fmt.Sprintf("%s-%d", profile, i), port: port}
			r.parts = append(r.parts, p)
			if profile == "gateway" {
				gate, err := faulty.NewProxy("127.0.0.1:"+port, nil)
				if err != nil {
					return err
				}
				r.gates = append(r.gates, gate)
			}
		}
	}
	for i, p := range r.of("api") {
		if err := p.start(); err != nil {
			return err
		}
		if i == 0 {
			if err := p.serves(ctx); err != nil {
				return err
			}
		}
	}
	for _, p := range r.parts {
		if p.profile != "api" {
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	return r.allServe(ctx)
}

func (r *rig) allServe(ctx context.Context) error {
	for _, p := range r.parts {
		if err := p.serves(ctx); err != nil {
			return err
		}
	}
	return nil
}

// of lists the parts of a profile.
func (r *rig) of(profile string) (out []*part) {
	for _, p := range r.parts {
		if p.profile == profile {
			out = append(out, p)
		}
	}
	return out
}

// close takes all of it away.
func (r *rig) close() {
	if r.hosts != nil {
		r.hosts.close()
	}
	for _, p := range r.parts {
		p.end()
	}
	for _, p := range append([]*faulty.Proxy{r.sql, r.cache}, r.gates...) {
		if p != nil {
			p.Close()
		}
	}
	if r.db != nil {
		_ = r.db.Close()
	}
	for _, s := range []*faulty.Server{r.redis, r.postgres} {
		if s != nil {
			s.Stop()
		}
	}
	if r.keep {
		fmt.Println("The logs are in", r.dir)
		return
	}
	_ = os.RemoveAll(r.dir)
}

// part is a server of one profile, started anew as often as it dies.
type part struct {
	*rig
	profile, name, port string

	busy  sync.Mutex // held by whatever fault works on it
	cmd   *exec.Cmd
	id    string // of the present life
	lives atomic.Int64
	ended chan struct{}
}

func (p *part) url() string { return "http://127.0.0.1:" + p.port }

func (p *part) log() string { return filepath.Join(p.dir, p.name+".log") }

// start begins a new life under a new id.
func (p *part) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.id = fmt.Sprintf("%s-%d", p.name, p.lives.Add(1))
	p.cmd = exec.Command(self, "server", "--profile", p.profile)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(p.environment(), "CATTLE_SERVER_ID="+p.id)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

// environment is the caller's without its settings, and ours. What a host does not
// answer is asked again soon, and what fails is tried again soon, so that a trial
// does not spend its time in pauses.
func (p *part) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CATTLE_") || strings.HasPrefix(v, "CATTLE_TEST_") {
			env = append(env, v)
		}
	}
	return append(env, "CATTLE_HOME="+filepath.Join(p.dir, p.name), "CATTLE_HTTP_PORT="+p.port,
		"CATTLE_DB_URL=postgres://postgres@"+p.sql.Address()+"/postgres?sslmode=disable&pool_max_conns=16",
		"CATTLE_REDIS_URL=redis://"+p.cache.Address()+"/0",
		"CATTLE_EVENTING_TIMEOUT_MILLIS=2000", "CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=8000", "CATTLE_PROCESS_BUSY_BACKOFF_MAX_MS=4000",
		"CATTLE_OBJECT_REMOVE_TIME_DELAY_SECONDS=86400")
}

// serves waits until the part answers.
func (p *part) serves(ctx context.Context) error {
	err := until(ctx, p.name+" to serve", 60*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/ping", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if err != nil {
		said, _ := os.ReadFile(p.log())
		err = fmt.Errorf("%w; it said last: %s", err, said[max(0, len(said)-1000):])
	}
	return err
}

// died tells whether the part has ended by itself.
func (p *part) died() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *part) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// note keeps when the present life ended, or stood still and until when.
func (p *part) note(since, until time.Time) {
	d := death{at: since.UnixMilli()}
	if !until.IsZero() {
		d.frozen, d.until = true, until.UnixMilli()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaths[p.id] = append(p.deaths[p.id], d)
}

// end ends the part for good.
func (p *part) end() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

// freePort finds a port that nobody uses, below those that the system gives to
// connections: a server has to get it again after each of its deaths.
func freePort() (string, error) {
	var last error
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			return port, ln.Close()
		}
		last = err
	}
	return "", last
}

// until looks every 50 ms until something is so.
func until(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain for %s", limit, what)
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// read runs f until SQL answers: it may be down for a moment.
func read(ctx context.Context, f func() error) error {
	var last error
	err := until(ctx, "SQL", 30*time.Second, func() bool { last = f(); return last == nil })
	return errors.Join(err, last)
}
