package engine_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
	"github.com/cattleio/cattle/workers/engine"
	"github.com/cattleio/cattle/workers/handler"
)

// world is a database, one simulated agent with two hosts, and as many workers as
// a story needs. Nothing happens by itself: a story says when bells are answered.
type world struct {
	t       *testing.T
	ctx     context.Context
	address string
	store   *store.Store // of the story itself; it never dies
	agent   *agent
	past    *sql.DB
	bears   bool              // what it posts is claimed as it is born
	born    *store.Born       // the last of these
	more    map[string]string // settings of the next worker
	checked bool              // workers hold logic to the checks for idempotence
	journal io.Writer         // where workers write their log, if anywhere
}

// worker is an engine on a connection of its own, which a story may cut.
type worker struct {
	*engine.Engine
	store *store.Store
	dead  bool
}

// agent records what it is told, the way a host would.
type agent struct {
	mu      sync.Mutex
	sim     *sim.Simulator
	effects map[string]int                  // by command and uuid of the instance
	running map[string]bool                 // by uuid
	fences  map[string]int64                // highest number seen, by resource
	alias   string                          // one more agent that it plays
	mute    func(e *wire.Event) bool        // no answer in time
	fail    func(e *wire.Event) string      // an error instead of doing it
	after   func(e *wire.Event) error       // once it is done, before the reply
	outside func(e *wire.Event) *wire.Event // what a handler from outside answers
}

// twoHosts is the data of an agent that reports two hosts.
var twoHosts = map[string]any{
	"io.cattle.platform.agent.connection.simulator.AgentConnectionSimulator": map[string]any{"hosts": 2},
}

var errDead = errors.New("this server is dead")

func newWorld(t *testing.T, address string) *world {
	w := &world{t: t, ctx: context.Background(), address: address, store: testkit.Store(t, address)}
	w.agent = &agent{effects: map[string]int{}, running: map[string]bool{}, fences: map[string]int64{}, sim: sim.New(sim.Config{AgentUUID: "agent", Data: twoHosts})}
	a := w.worker()
	w.post("agent", map[string]any{"uri": "sim://agent", "uuid": "agent", "managedConfig": false})
	w.work(a)
	if hosts := w.find("host", nil); len(hosts) != 2 || hosts[0].State() != "active" {
		t.Fatalf("the agent's hosts did not become active: %d", len(hosts))
	}
	return w
}

// worker starts one more worker, with more logic if it is given any.
func (w *world) worker(more ...process.Handler) *worker {
	w.t.Helper()
	return w.leased("60", more...)
}

// leased starts a worker whose lease lasts so many seconds.
func (w *world) leased(seconds string, more ...process.Handler) *worker {
	w.t.Helper()
	return w.on(w.open(), seconds, append(handler.All(), more...))
}

// with starts a worker that has such logic alone.
func (w *world) with(logic []process.Handler) *worker {
	w.t.Helper()
	return w.on(w.open(), "60", logic)
}

func (w *world) open() *store.Store {
	w.t.Helper()
	s, err := store.Open(w.ctx, w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// set starts a worker with settings of its own.
func (w *world) set(more map[string]string, logic ...process.Handler) *worker {
	w.t.Helper()
	w.more = more
	defer func() { w.more = nil }()
	return w.worker(logic...)
}

// on starts a worker on a store, with such logic alone.
func (w *world) on(s *store.Store, seconds string, logic []process.Handler) *worker {
	w.t.Helper()
	chosen := map[string]string{"process.lease.seconds": seconds, "process.retry.backoff.initial.ms": "60000",
		"idempotent.checks": strconv.FormatBool(w.checked)}
	maps.Copy(chosen, w.more)
	settings, err := config.Load(nil, chosen, w.t.TempDir(), defaults())
	if err != nil {
		w.t.Fatal(err)
	}
	k := &worker{store: s}
	k.Engine = engine.New(engine.Config{Store: s, Settings: settings, Caller: &line{w: w}, Locks: free{},
		Ring: w.heard, Tell: w.told, Server: fmt.Sprintf("%p", k), Handlers: logic,
		Log: slog.New(w.log())})
	return k
}

// heard is rung for what can be read, or rung too early.
func (w *world) heard(bells []store.Bell) {
	for _, b := range bells {
		if _, err := w.store.Process(w.ctx, b.ID); errors.Is(err, store.ErrNotFound) {
			w.t.Errorf("a bell rang for process %d before that could be read", b.ID)
		}
	}
}

// told is news of what can be read, or told too early.
func (w *world) told(changes []engine.Change) {
	for _, c := range changes {
		if _, err := w.store.Get(w.ctx, resource.All.Type(c.Type), c.ID); errors.Is(err, store.ErrNotFound) {
			w.t.Errorf("it was told that %s %d is %s before that could be read", c.Type, c.ID, c.State)
		}
	}
}

// log discards what workers say, but for complaints about logic under the checks.
func (w *world) log() slog.Handler {
	if w.checked {
		return shouting{w.t}
	}
	if w.journal != nil {
		return slog.NewTextHandler(w.journal, nil)
	}
	return slog.DiscardHandler
}

func defaults() map[string]string {
	m := config.Standard()
	for _, k := range resource.All.Kinds() {
		if k.ActivatesByDefault {
			m["activate.by.default."+k.Type.Name] = "true"
		}
	}
	return m
}

// free is a lock that everybody gets: what must be right does not rest on it.
type free struct{}

func (free) Try(context.Context, string, time.Duration) (func(), bool) { return func() {}, true }

// line carries commands straight to the agent.
type line struct{ w *world }

func (l *line) Send(ctx context.Context, row *schema.Row, e *wire.Event, _ time.Duration, progress func(*wire.Event)) (*wire.Event, error) {
	a := l.w.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	if row == nil {
		return a.asked(e)
	}
	if row.UUID() == a.alias || a.outside != nil && strings.HasPrefix(row.Str("uri"), "event://") {
		return sim.New(sim.Config{AgentUUID: a.alias, Data: twoHosts}).Handle(ctx, e, progress), nil
	}
	if row.UUID() != "agent" {
		return nil, engine.ErrOffline
	}
	if e.Fence != nil && e.Fence.Epoch < a.fences[e.Fence.Resource] {
		return e.Fail("stale command", ""), nil
	}
	if e.Fence != nil {
		a.fences[e.Fence.Resource] = e.Fence.Epoch
	}
	l.w.recorded(e)
	if a.mute != nil && a.mute(e) {
		return nil, engine.ErrSilent
	}
	if a.fail != nil {
		if message := a.fail(e); message != "" {
			return e.Fail(message, ""), nil
		}
	}
	a.do(e)
	if a.after != nil {
		if err := a.after(e); err != nil {
			return nil, err
		}
	}
	return a.sim.Handle(ctx, e, progress), nil
}

// asked is what handlers from outside say, if anybody listens.
func (a *agent) asked(e *wire.Event) (*wire.Event, error) {
	if a.outside == nil {
		return nil, engine.ErrOffline
	}
	if a.after != nil {
		if err := a.after(e); err != nil {
			return nil, err
		}
	}
	return a.outside(e), nil
}

func (l *line) Forget(string) *wire.Event { return nil }

func (l *line) ReplyName(id string) string { return "reply.test." + id }

// recorded checks that what an agent is told to change is under way in the records
// before it is told.
func (w *world) recorded(e *wire.Event) {
	if wire.Value(e.ResourceType) == "agent" {
		return
	}
	stored, _ := strconv.ParseInt(wire.Value(e.ResourceID), 10, 64)
	row, err := w.store.Get(w.ctx, resource.All.Type(wire.Value(e.ResourceType)), stored)
	if err != nil || !resource.All.Moving(row.Type(), row.State()) {
		w.t.Errorf("%s was sent for a %s that is not under way: %v", e.Name, wire.Value(e.ResourceType), err)
	}
	if e.Fence == nil || e.Fence.Epoch == 0 {
		w.t.Errorf("%s carries no number of a claim", e.Name)
	}
}

// do notes the effect of a command, once for each time that it has one.
func (a *agent) do(e *wire.Event) {
	var data struct {
		Map struct {
			Instance struct{ UUID string } `json:"instance"`
		} `json:"instanceHostMap"`
	}
	_ = json.Unmarshal(e.Data, &data)
	uuid := data.Map.Instance.UUID
	switch e.Name {
	case wire.ComputeInstanceActivate:
		if !a.running[uuid] {
			a.effects["start "+uuid]++
		}
		a.running[uuid] = true
	case wire.ComputeInstanceDeactivate:
		if a.running[uuid] {
			a.effects["stop "+uuid]++
		}
		delete(a.running, uuid)
	}
}

// post makes a resource the way the API does.
func (w *world) post(typ string, values map[string]any) *schema.Row {
	w.t.Helper()
	row := store.NewRow(resource.All.Type(typ), 1, values)
	if err := w.launch(row, strings.ToLower(row.Type().Name)+".create", values); err != nil {
		w.t.Fatal(err)
	}
	return row
}

func (w *world) launch(row *schema.Row, name string, data map[string]any) error {
	return w.store.Write(w.ctx, "api", func(tx *store.Tx) error {
		if row.ID() != 0 {
			fresh, err := tx.Get(w.ctx, row.Type(), row.ID())
			if err != nil {
				return err
			}
			*row = *fresh
		}
		l := store.Launch{Process: resource.All.Process(name), Row: row, Data: data}
		if w.bears && row.ID() == 0 {
			l.Lease = 60_000
		}
		launched, err := tx.Launch(w.ctx, l)
		if err == nil {
			w.born = launched.Born
		}
		return err
	})
}

// act asks for a process on a resource.
func (w *world) act(row *schema.Row, name string) {
	w.t.Helper()
	if err := w.launch(row, name, nil); err != nil {
		w.t.Fatal(err)
	}
}

// container posts an instance of the image that every simulated host has.
func (w *world) container(values map[string]any) *schema.Row {
	w.t.Helper()
	if images := w.find("image", process.Match{"uuid": "sim:x"}); len(images) == 0 {
		image := w.post("image", map[string]any{"uuid": "sim:x"})
		pool := w.find("storagePool", process.Match{"uuid": "sim-ext-pool"})[0]
		w.post("imageStoragePoolMap", map[string]any{"imageId": image.ID(), "storagePoolId": pool.ID()})
		w.work(w.worker())
	}
	all := map[string]any{"imageId": w.find("image", process.Match{"uuid": "sim:x"})[0].ID(), "accountId": int64(1)}
	for k, v := range values {
		all[k] = v
	}
	return w.post("container", all)
}

// work answers bells until nothing is due, or the worker dies. Pauses are cut short.
func (w *world) work(k *worker) {
	w.t.Helper()
	for range 4000 { // under the checks an attempt ends at each change
		w.hurry()
		due, err := w.store.Due(w.ctx, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(due) == 0 {
			return
		}
		for _, b := range due {
			_ = k.Execute(w.ctx, b.ID)
			if k.dead {
				return
			}
		}
	}
	for _, p := range w.find("processInstance", process.Match{"endTime": nil}) {
		w.t.Errorf("%s of %s %s goes on and on: %s, waits for %v, %v", p.Str("processName"), p.Str("resourceType"), p.Str("resourceId"),
			p.Str("exitReason"), p.Get("waitResource"), p.Get("lastError"))
	}
	w.t.Fatal("the work never ends")
}

// hurry makes everything pending due now and ends all leases, as if time had passed.
func (w *world) hurry() {
	w.t.Helper()
	if _, err := w.raw().Exec("update process_instance set due_at = 0, lease_until = case when lease_until is null then null else 0 end where end_time is null"); err != nil {
		w.t.Fatal(err)
	}
}

// raw is a connection to the database past the store.
func (w *world) raw() *sql.DB {
	w.t.Helper()
	if w.past != nil {
		return w.past
	}
	driver := "sqlite"
	if strings.HasPrefix(w.address, "postgres") {
		driver = "pgx"
	}
	address := strings.Replace(w.address, "pool_max_conns=12&", "", 1)
	db, err := sql.Open(driver, address)
	if err != nil {
		w.t.Fatal(err)
	}
	if driver == "sqlite" {
		db.SetMaxOpenConns(1)
		_, _ = db.Exec("pragma busy_timeout = 5000")
	}
	w.past = db
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (w *world) find(typ string, match process.Match) []*schema.Row {
	w.t.Helper()
	rows, err := w.store.Find(w.ctx, resource.All.Type(typ), match)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func (w *world) again(row *schema.Row) *schema.Row {
	w.t.Helper()
	fresh, err := w.store.Get(w.ctx, row.Type(), row.ID())
	if err != nil {
		w.t.Fatal(err)
	}
	return fresh
}

// processes tells how the processes of a resource ended, oldest first.
func (w *world) processes(row *schema.Row) string {
	w.t.Helper()
	var out []string
	for _, p := range w.find("processInstance", process.Match{"resourceType": row.Type().Name, "resourceId": row.Key()}) {
		out = append(out, p.Str("processName")+" "+p.Str("exitReason"))
	}
	return strings.Join(out, ", ")
}

func (w *world) want(row *schema.Row, state string) {
	w.t.Helper()
	if got := w.again(row).State(); got != state {
		w.t.Fatalf("the %s is %s, not %s; its processes: %s", row.Type().Name, got, state, w.processes(row))
	}
}
