package explore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/engine"
)

// The model is worth what it has in common with the real thing. Here both go through
// the same random steps, and stand alike after each: the real store, on both
// databases, and the real engine, with runs that are held at their command and told
// how to go on.
func TestTheEngineDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		d := newDouble(t, address)
		for seed := range uint64(30) {
			d.live(seed)
		}
		t.Logf("%d steps, of which %d claims, %d refused, %d busy, %d waits, %d chains, %d delegations, %d that lost their process, %d conflicts", d.steps,
			d.seen["claim"], d.seen["refused"], d.seen["busy"], d.seen["wait"], d.seen["chain"], d.seen["delegate"], d.seen["fenced"], d.seen["conflict"])
		for _, what := range []string{"claim", "refused", "busy", "wait", "chain", "delegate", "canceled", "fenced", "conflict"} {
			if d.seen[what] == 0 {
				t.Errorf("no story had one: %s", what)
			}
		}
	})
}

// double is a model and a real resource that go the same way.
type double struct {
	t     *testing.T
	ctx   context.Context
	store *store.Store
	raw   *sql.DB
	agent int64
	defs  []*process.Definition
	spare []*worker
	steps int
	seen  map[string]int

	m       *machine
	w       world
	rng     *rand.Rand
	row     *schema.Row
	ids     [mostRows]int64  // of the real processes
	base    [mostRows]int64  // wakes before the last claim
	asked   [mostRows]string // id of the last command
	workers [mostRuns]*worker
	client  *schema.Row // as the API server has read it
	story   []string
}

// worker is one slot: an engine on a connection of its own. A run stops at its command
// and waits for an order.
type worker struct {
	*engine.Engine
	store  *store.Store
	dead   bool
	sent   chan *wire.Event
	answer chan func(*wire.Event) (*wire.Event, error)
	over   chan error
	choice step // how its logic ends
	d      *double
}

var errDead = errors.New("this server is dead")

func newDouble(t *testing.T, address string) *double {
	d := &double{t: t, ctx: context.Background(), store: testkit.Store(t, address), seen: map[string]int{}}
	driver := "sqlite"
	if strings.HasPrefix(address, "postgres") {
		driver = "pgx"
	}
	var err error
	if d.raw, err = sql.Open(driver, strings.Replace(address, "pool_max_conns=12&", "", 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.raw.Close() })
	d.raw.SetMaxOpenConns(1)
	if driver == "sqlite" {
		_, _ = d.raw.Exec("pragma busy_timeout = 5000")
	}
	for _, p := range resource.All.Kind("instance").Processes {
		if p.StateField() == "state" {
			d.defs = append(d.defs, p)
		}
	}
	d.must(d.store.Write(d.ctx, "test", func(tx *store.Tx) error {
		row := store.NewRow(resource.All.Type("agent"), 1, map[string]any{"uri": "event://double"})
		err := tx.Insert(d.ctx, row)
		d.agent = row.ID()
		return err
	}))
	for range mostRuns {
		d.spare = append(d.spare, d.newWorker(address))
	}
	return d
}

func (d *double) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, strings.Join(d.story, "\n"))
	}
}

func (d *double) newWorker(address string) *worker {
	s, err := store.Open(d.ctx, address)
	d.must(err)
	d.t.Cleanup(func() { _ = s.Close() })
	k := &worker{store: s, d: d, sent: make(chan *wire.Event), answer: make(chan func(*wire.Event) (*wire.Event, error)), over: make(chan error, 1)}
	s.Seam = func(store.Seam, string) error {
		if k.dead {
			return errDead
		}
		return nil
	}
	settings, err := config.Load(nil, map[string]string{"process.lease.seconds": "36000", "eventing.timeout.millis": "3600000", "eventing.retry": "1000", "agent.timeout.millis": "3600000", "agent.retries": "1000",
		"process.retry.backoff.initial.ms": "3600000", "process.retry.backoff.max.ms": "3600000"}, d.t.TempDir(), config.Standard())
	d.must(err)
	var names []string
	for _, p := range d.defs {
		names = append(names, p.Name)
	}
	k.Engine = engine.New(engine.Config{Store: s, Settings: settings, Caller: k, Locks: everybody{}, Ring: func([]store.Bell) {}, Tell: func([]engine.Change) {},
		Server: fmt.Sprintf("%p", k), Log: slog.New(slog.DiscardHandler),
		Handlers: []process.Handler{{Name: "Double", Stage: process.Main, Priority: process.Specific, Processes: names, Run: k.logic}}})
	return k
}

type everybody struct{}

func (everybody) Try(context.Context, string, time.Duration) (func(), bool) { return func() {}, true }

// logic sends its command and ends as it was told.
func (k *worker) logic(ctx context.Context, run process.Run) (*process.Answer, error) {
	_, err := run.Call(ctx, process.Call{AgentID: k.d.agent, Name: "do." + run.Process().Name, Resource: run.Resource()})
	if err != nil {
		return nil, err
	}
	switch k.choice.kind {
	case delegate:
		return &process.Answer{Delegate: true}, nil
	case chain:
		return &process.Answer{Chain: k.d.m.def(k.choice.def).Name}, nil
	case fail:
		return nil, errors.New("it went wrong")
	case compensate:
		if err := run.Schedule(ctx, k.d.m.def(k.choice.def).Name, run.Resource(), nil); err != nil {
			return nil, err
		}
		return nil, &process.Failure{Message: "it went wrong", Shown: true}
	}
	return &process.Answer{}, nil
}

func (k *worker) Send(_ context.Context, _ *schema.Row, e *wire.Event, _ time.Duration, _ func(*wire.Event)) (*wire.Event, error) {
	k.sent <- e
	return (<-k.answer)(e)
}

func (k *worker) Forget(string) *wire.Event  { return nil }
func (k *worker) ReplyName(id string) string { return "reply." + id }

// settled waits until a run stands at its command or is over, as the model says.
func (d *double) settled(slot int, k *worker, row uint8) {
	d.t.Helper()
	waits := d.w.runs[slot].row == row && d.w.runs[slot].at == waiting
	select {
	case e := <-k.sent:
		if !waits {
			d.fail("the run sends a command, and the model's does not")
		}
		d.asked[row-1] = e.ID
		d.workers[slot] = k
	case err := <-k.over:
		if waits {
			d.fail("the run is over (%v), and the model's waits", err)
		}
		d.workers[slot] = nil
		d.spare = append(d.spare, k)
	case <-time.After(30 * time.Second):
		d.fail("the run neither sends nor ends")
	}
}

func (d *double) fail(format string, args ...any) {
	d.t.Helper()
	d.t.Fatalf("%s: model %s\n%s", fmt.Sprintf(format, args...), d.m.show(&d.w), strings.Join(d.story, "\n"))
}

// live takes one resource through a life of random steps.
func (d *double) live(seed uint64) {
	d.rng = rand.New(rand.NewPCG(seed, 1))
	subject := d.defs[seed%uint64(len(d.defs))]
	from := subject.Start[d.rng.IntN(len(subject.Start))]
	d.m = newMachine(Plan{Processes: d.defs, Subject: subject, From: from, Launches: 3, Faults: 200, Workers: mostRuns})
	d.w, d.story = d.m.first(), nil
	d.ids, d.base, d.workers, d.client = [mostRows]int64{}, [mostRows]int64{}, [mostRuns]*worker{}, nil
	d.must(d.store.Write(d.ctx, "test", func(tx *store.Tx) error {
		d.row = store.NewRow(resource.All.Type("instance"), 1, nil)
		d.row.Set("state", from)
		if err := tx.Insert(d.ctx, d.row); err != nil {
			return err
		}
		_, err := tx.Launch(d.ctx, store.Launch{Process: subject, Row: d.row})
		return err
	}))
	d.story = append(d.story, fmt.Sprintf("seed %d: %s from %s", seed, subject.Name, from))
	d.compare()
	for range 60 {
		if d.w.rows[mostRows-2].def != 0 {
			break // no room for more
		}
		if !d.step() {
			break
		}
		d.compare()
	}
	for i, k := range d.workers {
		if k != nil { // whoever still runs dies
			d.end(i, k, func(*wire.Event) (*wire.Event, error) { k.dead = true; return nil, errDead })
			<-k.over
			k.dead = false
			d.spare = append(d.spare, k)
		}
	}
}

func (d *double) end(_ int, k *worker, answer func(*wire.Event) (*wire.Event, error)) {
	k.answer <- answer
}

// step takes one random step in both.
func (d *double) step() bool {
	d.t.Helper()
	var may []func()
	add := func(weight int, f func()) {
		for range weight {
			may = append(may, f)
		}
	}
	if d.w.client.def != 0 {
		add(3, d.launch)
	} else if int(d.w.launches) < d.m.plan.Launches {
		for i, def := range d.m.defs {
			if _, reason := process.Decide(def, nil, d.m.states[d.w.state], d.m.find); reason == process.Scheduled {
				add(1, func() { d.read(uint8(i + 1)) })
			}
		}
	}
	for i := range d.w.rows {
		r := &d.w.rows[i]
		n := uint8(i + 1)
		if r.def == 0 || r.end != 0 {
			continue
		}
		if slot(&d.w, mostRuns) >= 0 {
			weight := 1
			if r.due && r.lease != live {
				weight = 5
			}
			add(weight, func() { d.claim(n) })
		}
		if r.lease == live {
			add(1, func() { d.lapse(n) })
		}
		if !r.due {
			add(2, func() { d.ripen(n) })
		}
		if r.asked == pending && !attended(&d.w, n) {
			add(2, func() { d.reply(n, d.rng.IntN(3) == 0) })
		}
	}
	for i := range d.w.runs {
		if d.w.runs[i].row == 0 {
			continue
		}
		add(4, func() { d.answered(i, false) })
		add(1, func() { d.answered(i, true) })
		add(2, func() { d.giveUp(i) })
		add(1, func() { d.die(i) })
	}
	if len(may) == 0 {
		return false
	}
	d.steps++
	may[d.rng.IntN(len(may))]()
	return true
}

func (d *double) tell(format string, args ...any) {
	d.story = append(d.story, fmt.Sprintf(format, args...))
}

func (d *double) read(def uint8) {
	d.tell("read for %s", d.m.def(def).Name)
	d.m.take(&d.w, step{kind: read, def: def})
	row, err := d.store.Get(d.ctx, d.row.Type(), d.row.ID())
	d.must(err)
	d.client = row
}

func (d *double) launch() {
	def := d.m.def(d.w.client.def)
	d.tell("launch %s", def.Name)
	before := d.w
	d.m.take(&d.w, step{kind: launch})
	err := d.store.Write(d.ctx, "api", func(tx *store.Tx) error {
		_, err := tx.Launch(d.ctx, store.Launch{Process: def, Row: d.client})
		return err
	})
	if errors.Is(err, store.ErrConflict) && d.w.state == before.state && before.client.stale {
		d.w = before // it had nothing to move, but an old error to clear away
		d.w.client = client{}
	}
	switch refused := d.w.rows == before.rows; {
	case errors.Is(err, store.ErrConflict) != refused:
		d.fail("the launch of %s answers %v", def.Name, err)
	case refused:
		d.seen["conflict"]++
	default:
		d.must(err)
	}
}

// claim rings a bell at a worker.
func (d *double) claim(n uint8) {
	d.tell("ring for %d (%s)", n, d.m.def(d.w.rows[n-1].def).Name)
	before := d.w
	d.m.take(&d.w, step{kind: take, at: n})
	at := -1
	for i := range d.w.runs {
		if d.w.runs[i].row != 0 && before.runs[i].row == 0 {
			at = i
		}
	}
	k := d.spare[0]
	d.spare = d.spare[1:]
	taken := before.rows[n-1].due && before.rows[n-1].lease != live
	d.seen["claim"]++
	if !taken {
		d.seen["refused"]++
	}
	free := at
	if at < 0 {
		free = slot(&before, mostRuns)
		if d.w.rows[n-1].end == 0 && taken {
			d.seen["busy"]++
		}
	} else {
		d.onward(at, k)
	}
	go func() { k.over <- k.Execute(d.ctx, d.ids[n-1]) }()
	d.settled(free, k, n)
	if taken {
		d.base[n-1] = -1 // counted anew below
	}
}

// onward takes the run of the model to where the real one stops by itself, and decides
// how its logic ends if that comes before.
func (d *double) onward(at int, k *worker) {
	r := &d.w.runs[at]
	for r.row != 0 && (r.at == ready || r.at == answered) {
		if r.at == ready {
			d.m.take(&d.w, step{kind: send, at: uint8(at)})
			d.w.orders = [mostOnWay]order{}
			continue
		}
		var ends []step
		d.m.runSteps(&d.w, uint8(at), true, func(s step) {
			if s.kind != crash {
				ends = append(ends, s)
			}
		})
		k.choice = ends[d.rng.IntN(len(ends))]
		owns := r.owns
		d.tell("  its logic ends: %s", d.m.tell(&d.w, k.choice))
		d.m.take(&d.w, k.choice)
		switch {
		case !owns:
			d.seen["fenced"]++
		case k.choice.kind == chain:
			d.seen["chain"]++
		case k.choice.kind == delegate:
			d.seen["delegate"]++
		}
	}
}

// answered lets a run have its reply.
func (d *double) answered(i int, fails bool) {
	r := d.w.runs[i]
	d.tell("run %d of %d has its reply, an error: %v", i, r.row, fails)
	k := d.workers[i]
	if r.owns {
		d.w.replies[0] = reply{row: r.row, as: r.as, there: true, fails: fails}
		d.m.take(&d.w, step{kind: hear, at: 0})
	} else {
		fails = false
		d.m.take(&d.w, step{kind: haunt, at: uint8(i)})
	}
	d.onward(i, k)
	d.end(i, k, func(e *wire.Event) (*wire.Event, error) {
		if fails {
			return e.Fail("it cannot be done", ""), nil
		}
		return e.Reply(nil)
	})
	d.settled(i, k, r.row)
}

func (d *double) giveUp(i int) {
	r := d.w.runs[i]
	d.tell("run %d of %d gives up its slot", i, r.row)
	d.seen["wait"]++
	if !r.owns {
		d.seen["fenced"]++
	}
	k := d.workers[i]
	d.m.take(&d.w, step{kind: giveUp, at: uint8(i)})
	d.end(i, k, func(*wire.Event) (*wire.Event, error) { return nil, engine.ErrSilent })
	d.settled(i, k, r.row)
}

func (d *double) die(i int) {
	r := d.w.runs[i]
	d.tell("run %d of %d dies", i, r.row)
	k := d.workers[i]
	d.m.take(&d.w, step{kind: crash, at: uint8(i)})
	d.end(i, k, func(*wire.Event) (*wire.Event, error) { k.dead = true; return nil, errDead })
	d.settled(i, k, r.row)
	k.dead = false
}

// reply arrives for a process that waits without a slot.
func (d *double) reply(n uint8, fails bool) {
	d.tell("reply for %d, an error: %v", n, fails)
	d.w.replies[0] = reply{row: n, as: d.w.rows[n-1].as, there: true, fails: fails}
	d.m.take(&d.w, step{kind: hear, at: 0})
	e := &wire.Event{ID: d.asked[n-1], Name: "do", ReplyTo: wire.Text("reply")}
	answer, err := e.Reply(nil)
	d.must(err)
	if fails {
		answer = e.Fail("it cannot be done", "")
	}
	d.must(d.spare[0].Accept(d.ctx, wire.Answer{AgentID: d.agent, Reply: answer}))
}

func (d *double) lapse(n uint8) {
	d.tell("the lease of %d runs out", n)
	d.m.take(&d.w, step{kind: lapse, at: n})
	d.exec("update process_instance set lease_until = 0 where id = %d", d.ids[n-1])
}

func (d *double) ripen(n uint8) {
	d.tell("the pause of %d is over", n)
	d.m.take(&d.w, step{kind: ripen, at: n})
	d.exec("update process_instance set due_at = 0 where id = %d", d.ids[n-1])
}

func (d *double) exec(query string, args ...any) {
	d.t.Helper()
	_, err := d.raw.Exec(fmt.Sprintf(query, args...))
	d.must(err)
}

// real is a process as the database has it.
type real struct {
	id, due, wakes    int64
	lease             sql.NullInt64
	ended             sql.NullInt64
	reason            string
	holding, canceled bool
}

// compare looks whether both stand alike.
func (d *double) compare() {
	d.t.Helper()
	if d.m.fault != "" {
		d.fail("the model breaks a promise: %s", d.m.fault)
	}
	row, err := d.store.Get(d.ctx, d.row.Type(), d.row.ID())
	d.must(err)
	if row.State() != d.m.states[d.w.state] {
		d.fail("the resource is %s", row.State())
	}
	now, err := d.store.Now(d.ctx)
	d.must(err)
	rows, err := d.raw.Query(fmt.Sprintf(`select id, due_at, wake_seq, lease_until, end_time, coalesce(exit_reason, ''), holding, canceled
		from process_instance where resource_type = 'instance' and resource_id = '%d' order by id`, d.row.ID()))
	d.must(err)
	var all []real
	for rows.Next() {
		var p real
		d.must(rows.Scan(&p.id, &p.due, &p.wakes, &p.lease, &p.ended, &p.reason, &p.holding, &p.canceled))
		all = append(all, p)
	}
	d.must(errors.Join(rows.Err(), rows.Close()))
	n := 0
	for n < mostRows && d.w.rows[n].def != 0 {
		n++
	}
	if n != len(all) {
		d.fail("there are %d processes", len(all))
	}
	for i, p := range all {
		d.alike(i, p, now)
	}
	if h := d.w.holder; h != 0 && d.w.rows[h-1].end == 0 && row.Int("claimProcessId") != d.ids[h-1] {
		d.fail("process %d holds the resource", row.Int("claimProcessId"))
	}
}

func (d *double) alike(i int, p real, now int64) {
	d.t.Helper()
	r := &d.w.rows[i]
	d.ids[i] = p.id
	if p.ended.Valid != (r.end != 0) || r.end != 0 && p.reason != string(reasons[r.end]) {
		d.fail("process %d has ended: %v, %s", i+1, p.ended.Valid, p.reason)
	}
	if r.end != 0 {
		if reasons[r.end] == process.Canceled {
			d.seen["canceled"]++
		}
		return
	}
	lease := free
	if p.lease.Valid {
		lease = live
		if p.lease.Int64 < now {
			lease = over
		}
	}
	if lease != r.lease || p.holding != r.holding || p.canceled != r.canceled {
		d.fail("process %d: lease %d, holding %v, canceled %v", i+1, lease, p.holding, p.canceled)
	}
	if d.base[i] < 0 { // it was claimed in this step: the model's mark says whether it was woken since
		d.base[i] = p.wakes
		if r.woken {
			d.base[i]--
		}
	}
	if (p.wakes != d.base[i]) != r.woken {
		d.fail("process %d was woken %d times since its claim", i+1, p.wakes-d.base[i])
	}
	short := p.reason == string(process.ResourceBusy) || p.reason == string(process.StateChanged) // milliseconds, which may be over by now
	if !short && (p.due <= now) != r.due {
		d.fail("process %d is due in %d ms", i+1, p.due-now)
	}
	if short && r.due {
		d.exec("update process_instance set due_at = 0 where id = %d", p.id)
	}
	if short && !r.due {
		d.exec("update process_instance set due_at = %d where id = %d", now+3_600_000, p.id)
	}
}
