package bench

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/wire"
)

// crowd is many agents at gateways of their own. They live in processes of their own
// and come from several addresses: a pair of addresses has ports for some 28,000.
type crowd struct {
	*rig
	*databases
	n        int
	cut      int      // how many of them, the last, lose their cable
	agents   []string // the addresses of the gateways
	gateways []*child
	bus      *event.Bus
	sql      *sql.DB
	answers  *answers
}

// holders are the processes in which the agents live, beside that of those who lose
// their cable.
const holders = 3

// The goals of a gateway.
const (
	perAgentKB   = 12.0
	commandP99   = 50 * time.Millisecond
	noticeWithin = 15 * time.Second
	backWithin   = time.Minute
	commandsEach = 1000 // a second
)

// calm is for how long the watch over agents takes those who are away for late ones, after
// many were at once: six of its looks, and one more.
const calm = 7 * 5 * time.Second

// manyAgents holds many agents at gateways, commands them, cuts the cable of some, and
// kills a gateway.
func (b *bencher) manyAgents(ctx context.Context) error {
	c := &crowd{n: b.agents, cut: b.agents / 100, gateways: make([]*child, b.gateways), answers: &answers{begun: map[string]time.Time{}}}
	defer c.close()
	if err := c.open(ctx); err != nil {
		return err
	}
	empty, err := c.residentMB()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := c.gather(ctx); err != nil {
		return err
	}
	line("connected", fmt.Sprintf("%.1f s", time.Since(begun).Seconds()), fmt.Sprintf("until all of %d agents were held, each known by a question to an API server", c.n))
	if err := c.command(ctx, commandsEach, 10*time.Second); err != nil {
		return err
	}
	if err := pause(ctx, 10*time.Second); err != nil { // a gateway gives back what is spare after five calm seconds
		return err
	}
	full, err := c.residentMB()
	if err != nil {
		return err
	}
	each := (full - empty) * 1e6 / 1024 / float64(c.n)
	judged("memory", fmt.Sprintf("%.1f KB", each), fmt.Sprintf("<= %.0f KB", perAgentKB), each <= perAgentKB,
		fmt.Sprintf("resident (VmRSS) for each agent: %.1f MB less the %.1f MB when empty, %d gateways", full, empty, len(c.gateways)))
	if err := c.loseCables(ctx); err != nil {
		return err
	}
	return c.comeBack(ctx)
}

// residentMB is what all gateways hold.
func (c *crowd) residentMB() (sum float64, err error) {
	for _, g := range c.gateways {
		mb, err := residentMB(g.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += mb
	}
	return sum, nil
}

// open starts the servers and puts the agents into the database.
func (c *crowd) open(ctx context.Context) (err error) {
	if c.databases, err = newDatabases(ctx); err != nil {
		return err
	}
	if c.rig, err = newRig(); err != nil {
		return err
	}
	if err := c.rig.serve(ctx, "server", c.env(), "server", "--profile", "api,worker,scheduler"); err != nil {
		c.rig = nil // closed
		return err
	}
	for i := range c.gateways {
		port, err := freePort()
		if err != nil {
			return err
		}
		c.agents = append(c.agents, "http://127.0.0.1:"+port)
		if err := c.startGateway(ctx, i, fmt.Sprintf("gateway%d", i)); err != nil {
			return err
		}
	}
	if c.sql, err = sql.Open("pgx", c.postgres); err != nil {
		return err
	}
	_, err = c.sql.ExecContext(ctx, `insert into agent (kind, uuid, state, created, data, account_id, managed_config, uri)
		select 'agent', 'crowd-' || n, 'active', 0, '{}', 1, false, 'event://crowd-' || n from generate_series(1, $1) n`, c.n)
	if err != nil {
		return fmt.Errorf("cannot make the agents: %w", err)
	}
	c.bus = event.New(c.cache, slog.New(slog.NewTextHandler(io.Discard, nil)))
	go func() { _ = c.bus.Run(ctx) }()
	c.bus.SubscribeOwn(ctx, wire.ServerChannel("bench"), c.answers.hear)
	return nil
}

func (c *crowd) startGateway(ctx context.Context, i int, name string) (err error) {
	address := c.agents[i]
	env := append(c.env(), "CATTLE_HTTP_PORT="+address[strings.LastIndexByte(address, ':')+1:], "CATTLE_LOG_LEVEL=warn")
	if c.gateways[i], err = c.run(name, env, "server", "--profile", "gateway"); err != nil {
		return err
	}
	return c.gateways[i].explained(wait(ctx, "the gateway to answer", 20*time.Second, func() bool { return client{address}.get(ctx, "/ping", nil) == nil }))
}

// gather starts the processes that hold the agents, and waits for all of them.
func (c *crowd) gather(ctx context.Context) error {
	first, err := c.firstID(ctx)
	if err != nil {
		return err
	}
	well := c.n - c.cut
	for i := range holders {
		if err := c.hold(i, first+i*well/holders, first+(i+1)*well/holders); err != nil {
			return err
		}
	}
	if err := c.hold(holders, first+well, first+c.n); err != nil {
		return err
	}
	return c.allHeld(ctx, 4*time.Minute)
}

// hold starts a process with the agents of some ids, at one of the gateways.
func (c *crowd) hold(i, from, to int) error {
	_, err := c.run(fmt.Sprintf("holder%d", i), nil, "bench", "hold", "--gateway", c.agents[i%len(c.agents)], "--source", holderAddress(i),
		"--first", strconv.Itoa(from), "--agents", strconv.Itoa(to-from))
	return err
}

func holderAddress(i int) string { return fmt.Sprintf("127.0.0.%d", i+2) }

func (c *crowd) firstID(ctx context.Context) (id int, err error) {
	err = c.sql.QueryRowContext(ctx, "select min(id) from agent where uuid like 'crowd-%'").Scan(&id)
	return id, err
}

// allHeld waits until every agent's channel is heard.
func (c *crowd) allHeld(ctx context.Context, limit time.Duration) error {
	first, err := c.firstID(ctx)
	if err != nil {
		return err
	}
	all := make([]string, c.n)
	for i := range all {
		all[i] = wire.AgentChannel(strconv.Itoa(first + i))
	}
	away := slices.Clone(all)
	ask := func() error {
		heard, err := c.bus.Heard(ctx, away...)
		away = slices.DeleteFunc(away, func(channel string) bool { return heard[channel] > 0 })
		return err
	}
	err = wait(ctx, "all agents to be held", limit, func() bool { // who has been held is asked for again in the end alone: it would be most of the load
		if ask() != nil || len(away) > 0 {
			return false
		}
		away = slices.Clone(all)
		return ask() == nil && len(away) == 0
	})
	if err != nil {
		return fmt.Errorf("%w: %d of %d are not", err, len(away), c.n)
	}
	return nil
}

// answers notes when commands were sent and how long their answers took.
type answers struct {
	mu    sync.Mutex
	begun map[string]time.Time
	took  []time.Duration
}

func (a *answers) sent(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun[id] = time.Now()
}

func (a *answers) hear(payload string) {
	now := time.Now()
	_, rest, _ := strings.Cut(payload, `"previousIds":["`)
	id, _, _ := strings.Cut(rest, `"`)
	a.mu.Lock()
	defer a.mu.Unlock()
	if begun, ok := a.begun[id]; ok {
		delete(a.begun, id)
		a.took = append(a.took, now.Sub(begun))
	}
}

// command sends commands by the clock, as workers do, to agents by chance.
func (c *crowd) command(ctx context.Context, perSecond int, lasts time.Duration) error {
	first, err := c.firstID(ctx)
	if err != nil {
		return err
	}
	const beat = 10 * time.Millisecond
	total := int(lasts.Seconds() * float64(perSecond))
	begun := time.Now()
	for sent := 0; sent < total; {
		due := min(int(float64(perSecond)*time.Since(begun).Seconds()), total)
		for ; sent < due; sent++ {
			if err := c.send(ctx, int64(first+rand.IntN(c.n)), sent); err != nil {
				return err
			}
		}
		if err := pause(ctx, beat); err != nil {
			return err
		}
	}
	rate := float64(total) / time.Since(begun).Seconds()
	err = wait(ctx, "all answers", 10*time.Second, func() bool { c.answers.mu.Lock(); defer c.answers.mu.Unlock(); return len(c.answers.took) == total })
	c.answers.mu.Lock()
	defer c.answers.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %d of %d came", err, len(c.answers.took), total)
	}
	slices.Sort(c.answers.took)
	p50, p99 := quantile(c.answers.took, 0.5), quantile(c.answers.took, 0.99)
	judged("commands", ms(p99), "p99 <= "+ms(commandP99), p99 <= commandP99,
		fmt.Sprintf("bus, gateway, agent and back, %.0f a second for %s; median %s", rate, lasts, ms(p50)))
	return nil
}

func (c *crowd) send(ctx context.Context, agent int64, n int) error {
	id := "bench-" + strconv.Itoa(n)
	parcel, err := wire.Parcel{AgentID: agent, Server: "bench"}.Carrying(&wire.Event{ID: id, Name: wire.StorageVolumeActivate,
		ReplyTo: wire.Text("reply.bench." + id), ResourceType: wire.Text("agent"), ResourceID: wire.Text(strconv.FormatInt(agent, 10)), TimeMillis: time.Now().UnixMilli()})
	if err != nil {
		return err
	}
	text, err := parcel.Encode()
	if err != nil {
		return err
	}
	c.answers.sent(id)
	heard, err := c.bus.Publish(ctx, wire.AgentChannel(strconv.FormatInt(agent, 10)), text)
	if err == nil && heard != 1 {
		err = fmt.Errorf("%d gateways hold agent %d", heard, agent)
	}
	return err
}

// loseCables lets the packets of one holder vanish, as of hosts that lose their cable, and
// waits until all who ask why something waits are told that its agents are gone.
func (c *crowd) loseCables(ctx context.Context) error {
	if os.Getuid() != 0 {
		line("noticed", "-", "not measured: only root can let packets vanish")
		return nil
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		line("noticed", "-", "not measured: iptables lets packets vanish, and is not here")
		return nil
	}
	if err := pause(ctx, calm); err != nil {
		return err
	}
	begun := time.Now()
	mend, err := vanish(ctx, holderAddress(holders))
	defer mend()
	if err != nil {
		return err
	}
	first, err := c.firstID(ctx)
	if err != nil {
		return err
	}
	var known int
	err = wait(ctx, "the loss of cables to be noticed", 2*time.Minute, func() bool {
		return c.sql.QueryRowContext(ctx, "select count(*) from agent where id >= $1 and disconnected_since is not null", first+c.n-c.cut).Scan(&known) == nil && known == c.cut
	})
	if err != nil {
		return fmt.Errorf("%w: of %d of %d", err, known, c.cut)
	}
	took := time.Since(begun)
	judged("noticed", fmt.Sprintf("%.1f s", took.Seconds()), "<= 15 s", took <= noticeWithin, fmt.Sprintf("until the last of %d that lost their cable was known to be gone", c.cut))
	mend()
	return c.allHeld(ctx, 2*time.Minute)
}

// vanish drops what comes from and goes to an address of this machine, until the returned
// function is called, which may be called again.
func vanish(ctx context.Context, address string) (mend func(), err error) {
	var dropped []string
	mend = func() {
		for _, side := range dropped {
			_ = exec.Command("iptables", "-D", "INPUT", side, address, "-j", "DROP").Run()
		}
		dropped = nil
	}
	for _, side := range []string{"-s", "-d"} {
		if out, err := exec.CommandContext(ctx, "iptables", "-I", "INPUT", side, address, "-j", "DROP").CombinedOutput(); err != nil {
			return mend, fmt.Errorf("cannot let the packets of %s vanish: %w: %s", address, err, bytes.TrimSpace(out))
		}
		dropped = append(dropped, side)
	}
	return mend, nil
}

// comeBack kills a gateway and starts another in its place.
func (c *crowd) comeBack(ctx context.Context) error {
	before, err := c.writes(ctx)
	if err != nil {
		return err
	}
	movedBefore, err := c.moves(ctx) // agents that were connected late have been missed, rightly
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := c.gateways[0].Process.Kill(); err != nil {
		return err
	}
	<-c.gateways[0].done
	if err := c.startGateway(ctx, 0, "gateway-again"); err != nil {
		return err
	}
	if err := c.allHeld(ctx, 2*backWithin); err != nil {
		return err
	}
	took := time.Since(begun)
	judged("back", fmt.Sprintf("%.1f s", took.Seconds()), "<= 60 s", took <= backWithin, "until all were held again after a gateway was killed and started anew")
	if err := pause(ctx, 8*time.Second); err != nil { // the watch looks every 5 s
		return err
	}
	after, err := c.writes(ctx)
	if err != nil {
		return err
	}
	each := float64(after-before) / float64(c.n)
	judged("writes", fmt.Sprintf("%.2f", each), "<= 1", each <= 1, "updates of the agent's row for each agent, by Postgres's count")
	moved, err := c.moves(ctx)
	if err != nil {
		return err
	}
	moved -= movedBefore
	judged("moved", fmt.Sprint(moved), "0", moved == 0, "processes that were started for an agent, without which none leaves its state")
	return nil
}

// moves counts the processes of agents so far.
func (c *crowd) moves(ctx context.Context) (n int, err error) {
	err = c.sql.QueryRowContext(ctx, "select count(*) from process_instance where resource_type = 'agent'").Scan(&n)
	return n, err
}

// writes counts the updates of agents so far.
func (c *crowd) writes(ctx context.Context) (n int, err error) {
	err = c.sql.QueryRowContext(ctx, "select n_tup_upd from pg_stat_user_tables where relname = 'agent' and schemaname = current_schema()").Scan(&n)
	return n, err
}

func (c *crowd) close() {
	if c.rig != nil {
		c.rig.close()
	}
	if c.sql != nil {
		_ = c.sql.Close()
	}
	if c.databases != nil {
		c.drop()
	}
}
