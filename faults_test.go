package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/localdev/faulty"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// The stories here break one thing at a time on an installation over Postgres and
// Redis; TestChaos breaks everything at once. shared/store/away.go, the leases and the
// epochs are what they try.

// broken is an installation whose databases, or the ways to them, may be broken.
type broken struct {
	*installation
	postgres, redis *faulty.Server // of its own
	commits         faulty.Commits
	messages        faulty.Messages
}

// breakable starts a Redis and, if wanted, a Postgres of its own.
func breakable(t *testing.T, own bool) *broken {
	t.Helper()
	b := &broken{}
	dir, err := os.MkdirTemp("", "cattle-broken-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres may run as somebody else
		t.Fatal(err)
	}
	if b.redis, err = faulty.Redis(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.redis.Stop)
	at := testkit.PostgresSchema
	if own {
		if b.postgres, err = faulty.Postgres(dir); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.postgres.Stop)
		at = func(testing.TB) string {
			return "postgres://postgres@" + b.postgres.Address() + "/postgres?sslmode=disable&pool_max_conns=12"
		}
	}
	b.installation = &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DB_URL=" + through(t, at(t), b.commits.Relay),
		"CATTLE_REDIS_URL=redis://" + way(t, b.redis.Address(), b.messages.Relay).Address() + "/0",
		"CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=4000"}}
	return b
}

// way opens a way to an address that may be broken.
func way(t *testing.T, address string, relay faulty.Relay) *faulty.Proxy {
	t.Helper()
	p, err := faulty.NewProxy(address, relay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// through is the address of a database behind a way that may be broken.
func through(t *testing.T, address string, relay faulty.Relay) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = way(t, u.Host, relay).Address()
	return u.String()
}

// part starts one profile, or all with "", on a port of its own.
func (in *installation) part(profile string, env ...string) *program {
	in.t.Helper()
	env = append(append(append([]string{}, in.env...), "CATTLE_HOME="+in.t.TempDir(), "CATTLE_HTTP_PORT="+freePort(in.t)), env...)
	if profile == "" {
		return start(in.t, env, "server")
	}
	return start(in.t, env, "server", "--profile", profile)
}

// query reads one number past the program.
func (b *broken) query(t *testing.T, text string) (n int) {
	t.Helper()
	db, err := sql.Open("pgx", "postgres://postgres@"+b.postgres.Address()+"/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if strings.HasPrefix(text, "select") {
		err = db.QueryRow(text).Scan(&n)
	} else {
		_, err = db.Exec(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// allRun waits until there are n containers and each runs.
func (p *program) allRun(n int, limit time.Duration) {
	p.t.Helper()
	running, all := 0, 0
	look := func() bool {
		running, all = len(p.list("/v1/containers?limit=1000&state=running")), len(p.list("/v1/containers?limit=1000"))
		return running == n && all == n
	}
	if comes(limit, look) {
		return
	}
	for _, o := range p.list("/v1/processinstances?endTime_null=true&limit=20") {
		p.t.Logf("%v of %v %v waits: %v", o["processName"], o["resourceType"], o["resourceId"], o["waiting"])
	}
	p.t.Fatalf("after %s %d of %d containers run, %d are wanted", patience*limit, running, all, n)
}

// post makes containers from several clients and wants each to be accepted at once.
func (p *program) post(n int, body object) {
	p.t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				if status, o, err := p.try("POST", "/v1/containers", body); err != nil || status != 201 {
					p.t.Errorf("a create answers %d %v: %v", status, o, err)
				}
			}
		})
	}
	all.Wait()
}

// Postgres refuses writes, loses the answers to commits and is killed: nobody who
// creates anything sees an error, and everything is made once.
func TestPostgresFailsWithoutAUserNoticing(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	p := b.part("")
	p.simulators(2)
	b.query(t, `create function refuse() returns trigger language plpgsql as $$ begin
		if random() < 0.03 then raise exception 'by chance' using errcode = '40001'; end if;
		if random() < 0.03 then raise exception 'by chance' using errcode = '40P01'; end if;
		return new; end $$`)
	b.query(t, `create trigger refuse before insert or update on process_instance for each row execute function refuse()`)
	b.commits.Lose.Store(20)
	const some = 60
	wanted := 0
	for b.commits.Lost.Load() == 0 && wanted < 10*some {
		p.post(some, object{"imageUuid": "sim:x"})
		wanted += some
	}
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		p.post(some, object{"imageUuid": "sim:x"})
	}()
	b.postgres.Kill()
	if err := b.postgres.Start(); err != nil {
		t.Fatal(err)
	}
	<-posted
	wanted += some
	p.allRun(wanted, 60*time.Second)
	if b.commits.Lost.Load() == 0 {
		t.Error("no answer was lost")
	}
	if n := b.query(t, "select count(*) from process_instance where process_name = 'instance.create'"); n != wanted {
		t.Errorf("%d processes make %d containers", n, wanted)
	}
}

// Half of all messages of the bus get lost, a fifth come twice and many late: all ends
// as it does without that.
func TestABusThatLosesHalf(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	b.env = append(b.env, "CATTLE_AGENT_TIMEOUT_MILLIS=300", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=1000")
	api := b.part("api")
	for _, profile := range []string{"worker", "gateway", "scheduler"} {
		b.part(profile)
	}
	api.simulators(2)
	stops, goes := api.container(nil), api.container(nil)
	api.becomes(stops, "running")
	api.becomes(goes, "running")
	b.messages.Lose.Store(500)
	b.messages.Repeat.Store(200)
	b.messages.Delay.Store(200)
	api.ask("POST", stops+"/?action=stop", object{})
	api.ask("DELETE", goes, nil)
	api.post(8, object{"imageUuid": "sim:x", "name": "late"})
	api.becomes(stops, "stopped")
	api.becomes(goes, "removed")
	until(t, "the late ones to run", 45*time.Second, func() bool { return len(api.list("/v1/containers?name=late&state=running")) == 8 })
	once(t, b, 10)
	if m := &b.messages; m.Lost.Load() == 0 || m.Repeated.Load() == 0 || m.Delayed.Load() == 0 {
		t.Error("no message was lost, came twice and late")
	}
}

// Redis does what it is asked, and the answer is lost with the connection.
func TestRedisDoesAndDoesNotSay(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	api := b.part("api")
	for _, profile := range []string{"worker", "gateway", "scheduler"} {
		b.part(profile)
	}
	api.simulators(2)
	b.messages.Mute.Store(50)
	api.post(30, object{"imageUuid": "sim:x"})
	api.allRun(30, 45*time.Second)
	once(t, b, 30)
	if b.messages.Muted.Load() == 0 {
		t.Error("no answer was lost")
	}
}

// once checks that each of n containers was made, placed and begun by one process.
func once(t *testing.T, b *broken, n int) {
	t.Helper()
	for what, text := range map[string]string{
		"processes that make one": "select count(*) from process_instance where process_name = 'instance.create'",
		"containers":              "select count(*) from instance",
		"of them with a volume":   "select count(distinct instance_id) from volume where instance_id is not null",
		"volumes":                 "select count(*) from volume where instance_id is not null",
	} {
		if got := b.query(t, text); got != n {
			t.Errorf("%d %s, %d are wanted", got, what, n)
		}
	}
	if twice := b.query(t, "select count(*) from (select 1 from instance_host_map where removed is null group by instance_id having count(*) > 1) x"); twice != 0 {
		t.Errorf("%d containers have two places", twice)
	}
}

// An API server alone, without Redis, accepts all that can be asked; the work is done
// once the others are there, although Redis comes back with what it had before.
func TestTheAPIAcceptsWithNothingBesideIt(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	api := b.part("api")
	var others []*program
	for _, profile := range []string{"worker", "gateway", "scheduler"} {
		others = append(others, b.part(profile))
	}
	api.simulators(1)
	stays, goes := api.container(nil), api.container(nil)
	api.becomes(stays, "running")
	api.becomes(goes, "running")
	if err := b.redis.Save(); err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		o.kill()
	}
	b.redis.Kill()
	fresh := api.container(object{"name": "fresh"})
	for _, x := range []struct {
		method, path string
		body         object
		status       int
		state        string
	}{
		{"PUT", stays, object{"name": "renamed"}, 200, "running"},
		{"POST", stays + "/?action=stop", object{}, 202, "stopping"},
		{"DELETE", goes, nil, 200, "stopping"},
		{"GET", fresh, nil, 200, "creating"},
	} {
		if status, o := api.ask(x.method, x.path, x.body); status != x.status || o.state() != x.state {
			t.Errorf("%s %s answers %d: %v", x.method, x.path, status, o)
		}
	}
	if err := b.redis.Start(); err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{"worker", "gateway", "scheduler"} {
		b.part(profile)
	}
	if o := api.becomes(stays, "stopped"); o["name"] != "renamed" {
		t.Errorf("it is called %v", o["name"])
	}
	api.becomes(goes, "removed")
	api.becomes(fresh, "running")
}

// The server dies when its answer is on the way: the client asks another one with the
// same key, and there is one resource.
func TestACreateIsAskedAgainAfterItsServerDied(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	other := b.part("")
	other.simulators(1)
	for i := range 3 {
		dying := b.part("api")
		between := way(t, strings.TrimPrefix(dying.url, "http://"), func(_ io.Writer, from *bufio.Reader) error {
			if _, err := from.Peek(1); err == nil { // it has answered: the commit is done
				dying.kill()
			}
			return errors.New("it is gone")
		})
		create := func(url string) (*http.Response, error) {
			req, err := http.NewRequest("POST", url+"/v1/containers", strings.NewReader(fmt.Sprintf(`{"imageUuid":"sim:x","name":"c%d"}`, i)))
			if err != nil {
				return nil, err
			}
			req.Header.Set("Idempotency-Key", fmt.Sprint("key", i))
			return http.DefaultClient.Do(req)
		}
		if resp, err := create("http://" + between.Address()); err == nil {
			t.Fatalf("an answer came: %s", resp.Status)
		}
		resp, err := create(other.url)
		if err != nil || resp.StatusCode != 201 {
			t.Fatalf("the second request: %v %v", resp, err)
		}
		_ = resp.Body.Close()
	}
	other.allRun(3, 45*time.Second)
}

// A command in work when its agent dies has had its effect or not: the agent that
// comes back is asked again, and the container runs.
func TestAnAgentDiesBetweenEffectAndReply(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	p := b.part("")
	token := p.token()
	home := t.TempDir()
	agent := func() *program {
		return start(t, []string{"CATTLE_HOME=" + home, "CATTLE_AGENT_IP=127.0.0.1"}, "agent", "--drivers", "sim", "--url", p.url, "--token", token)
	}
	first := agent()
	p.hosts(1, "")
	path := p.container(object{"data": object{"simDelayMillis": 1500}})
	until(t, "the command to be in work", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/processinstances?resourceType=instance&endTime_null=true") {
			w, _ := o["waiting"].(map[string]any)
			if w["kind"] == "agent" {
				return true
			}
		}
		return false
	})
	first.kill()
	agent()
	p.becomes(path, "running")
}

// A part of the logic that is outside never answers, for a thousand processes; others
// do not notice.
func TestAThousandHandlersThatNeverAnswer(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	b.env = append(b.env, "CATTLE_WORKER_SLOTS=10")
	p := b.part("")
	p.simulators(2)
	p.attach("never", object{"processNames": []string{"genericobject.create"}})
	p.listen("", names("genericobject.create;handler=never"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 125 {
				if status, o, err := p.try("POST", "/v1/genericobjects", object{"kind": "x", "key": "y"}); err != nil || status != 201 {
					t.Errorf("refused: %d %v %v", status, o, err)
				}
			}
		})
	}
	all.Wait()
	p.post(100, object{"imageUuid": "sim:x"})
	p.allRun(100, 45*time.Second)
	if n := len(p.list("/v1/genericobjects?limit=1000&state=registering")); n != 1000 {
		t.Errorf("%d of 1000 still wait", n)
	}
}

// A host that takes seconds for each command holds up nobody else.
func TestOneSlowHost(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	b.env = append(b.env, "CATTLE_WORKER_SLOTS=10", "CATTLE_AGENT_TIMEOUT_MILLIS=15000")
	p := b.part("")
	p.simulators(2)
	hosts := p.list("/v1/hosts?state=active")
	slow, quick := hosts[0].id(), hosts[1].id()
	p.post(80, object{"imageUuid": "sim:x", "requestedHostId": slow, "data": object{"simDelayMillis": 4000}, "name": "slow"})
	p.post(80, object{"imageUuid": "sim:x", "requestedHostId": quick, "name": "quick"})
	until(t, "the quick ones to run", 45*time.Second, func() bool {
		return len(p.list("/v1/containers?limit=1000&name=quick&state=running")) == 80
	})
	p.allRun(160, 60*time.Second)
}

// Connections of agents are cut and stand still in turn, within what is forgiven: no
// host is taken for dead, and what was asked meanwhile is done.
func TestCloggedAgentsAreNotTakenForDead(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	b.env = append(b.env, "CATTLE_TASK_AGENT_PING_SCHEDULE=3")
	p := b.part("")
	token := p.token()
	clogged := way(t, strings.TrimPrefix(p.url, "http://"), nil)
	for i := range 3 {
		start(t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_AGENT_IP=127.0.0.1", "CATTLE_HOSTNAME=" + fmt.Sprint("host", i)},
			"agent", "--drivers", "sim", "--url", "http://"+clogged.Address(), "--token", token)
	}
	until(t, "the hosts", 30*time.Second, func() bool { return len(p.list("/v1/hosts?state=active")) == 3 })
	for round := range 3 {
		begun := time.Now()
		clogged.Stall(true)
		p.post(4, object{"imageUuid": "sim:x"})
		until(t, "the work to have met a fault of a second", 30*time.Second, func() bool {
			return time.Since(begun) > time.Second && len(p.list("/v1/containers?state=starting")) == 4
		})
		clogged.Stall(false)
		clogged.Cut()
		p.allRun(4*(round+1), 45*time.Second)
	}
	if n := len(p.list("/v1/processinstances?processName=agent.reconnect")); n != 0 {
		t.Errorf("%d agents were taken for dead", n)
	}
}

// The newest connection of an agent wins, at whichever gateway: the older one is
// closed and hears nothing more.
func TestOneAgentOnTwoGateways(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	p := b.part("")
	second := b.part("gateway")
	_, a := p.ask("POST", "/v1/agents", object{"uri": "event://twice", "uuid": "twice", "managedConfig": false})
	old := connect(t, p.url, a.id())
	until(t, "the first connection to be asked", 30*time.Second, func() bool { return old.asked.Load() > 0 })
	newest := connect(t, second.url, a.id())
	until(t, "the first connection to be closed", 30*time.Second, func() bool { return old.closed.Load() })
	before := old.asked.Load()
	newest.answers.Store(true)
	p.becomes("/v1/agents/"+a.id(), "active")
	if old.asked.Load() != before || newest.asked.Load() == 0 {
		t.Errorf("the old connection heard %d more, the new one %d", old.asked.Load()-before, newest.asked.Load())
	}
}

// Gateways serve groups of agents. One that comes to the wrong gateway is sent on, one that
// is put into another group goes, and agents that are played are played where they belong.
func TestAgentsKeepToTheGatewaysOfTheirGroup(t *testing.T) {
	t.Parallel()
	b := breakable(t, false)
	p := b.part("api,worker,scheduler")
	_, group := p.ask("POST", "/v1/agentgroups", object{"name": "east"})
	id := strings.TrimPrefix(group.id(), "1ag")
	east, others := b.part("gateway", "CATTLE_AGENT_GROUPS="+id), b.part("gateway", "CATTLE_AGENT_GROUPS=!, 999")
	_, a := p.ask("POST", "/v1/agents", object{"uri": "event://moves", "uuid": "moves", "managedConfig": false, "agentGroupId": group.id()})
	wrong := connect(t, others.url, a.id())
	until(t, "it to be sent on", 30*time.Second, func() bool { return wrong.code.Load() == 4003 })
	if status, after := others.tries(others.url + "/v1/subscribe?eventNames=ping&agentId=" + a.id()); status != 503 || after == 0 {
		t.Errorf("a classic one gets %d, to come again in %d s", status, after)
	}
	right := connect(t, east.url, a.id())
	right.answers.Store(true)
	p.becomes("/v1/agents/"+a.id(), "active")
	if wrong.asked.Load() != 0 {
		t.Error("the wrong gateway gave it a command")
	}
	p.ask("PUT", "/v1/agents/"+a.id(), object{"agentGroupId": nil})
	until(t, "it to be sent on once it is of no group", 30*time.Second, func() bool { return right.code.Load() == 4003 })
	_, played := p.ask("POST", "/v1/agents", object{"uri": "sim://moves", "agentGroupId": group.id()})
	p.becomes("/v1/agents/"+played.id(), "active")
	if n := east.scrape()["cattle_agents_played"]; n != 1 {
		t.Errorf("its gateway plays %v agents", n)
	}
	p.ask("PUT", "/v1/agents/"+played.id(), object{"agentGroupId": nil})
	until(t, "another gateway to play it", 30*time.Second, func() bool {
		p.ask("POST", "/v1/agents/"+played.id()+"/?action=reconnect", object{})
		return east.scrape()["cattle_agents_played"] == 0 && others.scrape()["cattle_agents_played"] == 1
	})
}

// connection is an agent that counts what it is asked.
type connection struct {
	gws.BuiltinEventHandler
	asked           atomic.Int64
	closed, answers atomic.Bool
	code            atomic.Int64 // with which it was closed
}

func connect(t *testing.T, url, agent string) *connection {
	t.Helper()
	c := &connection{}
	conn, _, err := gws.NewClient(c, &gws.ClientOption{Addr: strings.Replace(url, "http", "ws", 1) + "/v1/subscribe?eventNames=ping&agentId=" + agent,
		RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.NetConn().Close() })
	go conn.ReadLoop()
	return c
}

func (c *connection) OnClose(_ *gws.Conn, err error) {
	var end *gws.CloseError
	if errors.As(err, &end) {
		c.code.Store(int64(end.Code))
	}
	c.closed.Store(true)
}

func (c *connection) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	e := &wire.Event{}
	if json.Unmarshal(bytes.Clone(m.Bytes()), e) != nil || e.ReplyTo == nil {
		return
	}
	c.asked.Add(1)
	if !c.answers.Load() {
		return
	}
	if reply, err := e.Reply(wire.PingData{Resources: []wire.Resource{}}); err == nil {
		if text, err := wire.Encode(reply); err == nil {
			_ = conn.WriteMessage(gws.OpcodeText, text)
		}
	}
}

// A worker stands still in the middle of its work for longer than its lease. Another
// goes on with it, and when the first comes to, it neither writes nor tells anybody
// anything that counts.
func TestAWorkerThatStoodStill(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	api, frozen := b.part("api"), b.part("worker", "CATTLE_SERVER_ID=frozen")
	b.part("gateway")
	b.part("scheduler")
	api.simulators(2)
	api.post(40, object{"imageUuid": "sim:x", "data": object{"simDelayMillis": 100}})
	until(t, "it to work", 20*time.Second, func() bool {
		return b.query(t, "select count(*) from process_instance where running_process_server_id = 'frozen' and lease_until is not null") > 3
	})
	_ = frozen.cmd.Process.Signal(syscall.SIGSTOP)
	b.part("worker")
	api.allRun(40, 60*time.Second)
	revisions := "select sum(revision + claim_epoch)::bigint + (select sum(run_epoch + wake_seq)::bigint from process_instance where resource_type = 'instance') from instance"
	before := b.query(t, revisions)
	_ = frozen.cmd.Process.Signal(syscall.SIGCONT)
	until(t, "it to notice", 20*time.Second, func() bool { return strings.Contains(frozen.log.String(), "run lost its process") })
	if after := b.query(t, revisions); after != before {
		t.Errorf("it wrote: %d became %d", before, after)
	}
	api.allRun(40, time.Second)
}

// A worker dies together with the only scheduler: other workers find what it was at by
// themselves, a lease and a look later.
func TestAWorkerDiesTogetherWithTheScheduler(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	api, dying := b.part("api"), b.part("worker", "CATTLE_SERVER_ID=dying")
	b.part("gateway")
	scheduler := b.part("scheduler")
	api.simulators(1)
	api.post(20, object{"imageUuid": "sim:x", "data": object{"simDelayMillis": 300}})
	const held = "select count(*) from process_instance where running_process_server_id = 'dying' and end_time is null"
	until(t, "it to work", 20*time.Second, func() bool { return b.query(t, held) > 3 })
	dying.kill()
	scheduler.kill()
	if b.query(t, held) == 0 {
		t.Fatal("it died with nothing in hand")
	}
	b.part("worker")
	until(t, "others to go on with it", 30*time.Second, func() bool { return b.query(t, held) == 0 })
	b.part("scheduler") // for the bells that died with it
	api.allRun(20, 30*time.Second)
}

// The scheduler that leads stands still until another leads, and goes on: nothing is
// launched twice by the two.
func TestASchedulerThatStoodStill(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	b.env = append(b.env, "CATTLE_TASK_PURGE_RESOURCES_SCHEDULE=1", "CATTLE_OBJECT_REMOVE_TIME_DELAY_SECONDS=1")
	p := b.part("api,worker,gateway")
	p.simulators(1)
	first := b.part("scheduler", "CATTLE_SERVER_ID=first")
	purged := func(n int, by string) func() bool {
		return func() bool {
			return b.query(t, "select count(*) from instance where state = 'purged'") == n &&
				b.query(t, "select count(*) from process_instance where process_name = 'instance.purge' and start_process_server_id = '"+by+"'") > 0
		}
	}
	remove := func() {
		path := p.container(nil)
		p.becomes(path, "running")
		p.ask("DELETE", path, nil)
	}
	remove()
	until(t, "the first to lead", 30*time.Second, purged(1, "first"))
	b.part("scheduler", "CATTLE_SERVER_ID=second")
	_ = first.cmd.Process.Signal(syscall.SIGSTOP)
	remove()
	until(t, "the second to lead", 30*time.Second, purged(2, "second"))
	_ = first.cmd.Process.Signal(syscall.SIGCONT)
	for range 5 {
		remove()
	}
	until(t, "all to be purged", 30*time.Second, purged(7, "second"))
	if n := b.query(t, "select count(*) from process_instance where process_name = 'instance.purge'"); n != 7 {
		t.Errorf("7 containers were purged by %d processes", n)
	}
}

// token returns what a host needs to join.
func (p *program) token() (token string) {
	p.t.Helper()
	p.ask("POST", "/v1/registrationtokens", object{})
	until(p.t, "a token", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/registrationtokens?state=active") {
			token, _ = o["token"].(string)
		}
		return token != ""
	})
	return token
}
