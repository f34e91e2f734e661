package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver/sim"
	"github.com/cattleio/cattle/workers/handler"
)

// A tale takes resources through their lives, a chapter at a time: something is asked
// for, and done until all is quiet. It is told once undisturbed. Then each chapter is
// told again from a copy of the database as it was before, with a death in it or under
// the checks for idempotence, and has to leave everything as it did the first time.
type tale struct {
	w        *world
	chapters []*chapter
	ran      *coverage
}

type chapter struct {
	name   string
	posts  bool   // its process may be claimed as it is born
	file   string // the database before it
	memory memory // what the host knew before it
	ask    func(w *world)
	after  map[string]string // all rows behind it, by type and id
}

// memory is what the host remembers between commands.
type memory struct {
	effects map[string]int
	running map[string]bool
	fences  map[string]int64
}

func (a *agent) memory() memory {
	return memory{maps.Clone(a.effects), maps.Clone(a.running), maps.Clone(a.fences)}
}

// first is the database in which tales begin: two hosts that are told apart by what
// they have left, so that placement has no choice; a staged image; an instance.
func first(t *testing.T) (file string, m memory) {
	w := newWorld(t, filepath.Join(folder(t), "first.db"))
	w.sql("update host set compute_free = compute_free - 500000 where id = 2")
	c := w.container(nil)
	w.work(w.worker())
	w.want(c, "running")
	return w.copy(), w.agent.memory()
}

// folder is a temporary one, in memory where the system has such: nobody pulls the plug
// of this machine, and thousands of databases need not wait for its disk.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cattle")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// begin opens a world on a copy of a database.
func begin(t *testing.T, file string, m memory) *world {
	t.Helper()
	address := filepath.Join(folder(t), "cattle.db")
	if file != "" {
		from, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := os.Create(address)
		if err == nil {
			_, err = io.Copy(to, from)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = to.Close()
	}
	w := &world{t: t, ctx: context.Background(), address: address}
	var err error
	if w.store, err = store.Open(w.ctx, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.agent = &agent{effects: maps.Clone(m.effects), running: maps.Clone(m.running), fences: maps.Clone(m.fences), alias: "another",
		sim: sim.New(sim.Config{AgentUUID: "agent", Data: twoHosts}), outside: agree}
	return w
}

// agree is a handler outside that has nothing to add.
func agree(e *wire.Event) *wire.Event {
	reply, _ := e.Reply(map[string]any{})
	return reply
}

// sql runs statements past the store.
func (w *world) sql(text string) {
	w.t.Helper()
	if _, err := w.raw().Exec(text); err != nil {
		w.t.Fatal(err)
	}
}

// copy writes the database to a file of its own.
func (w *world) copy() string {
	w.t.Helper()
	file := filepath.Join(folder(w.t), "copy.db")
	w.sql("vacuum into '" + file + "'")
	return file
}

// step tells a chapter.
func (s *tale) step(name string, ask func(w *world)) {
	s.w.t.Helper()
	c := &chapter{name: name, file: s.w.copy(), memory: s.w.agent.memory(), ask: ask}
	s.chapters = append(s.chapters, c)
	ask(s.w)
	s.w.work(s.w.on(s.w.store, "60", s.ran.watching(handler.All())))
	c.after = s.w.picture()
}

// act is a chapter in which a process is asked for.
func (s *tale) act(row *schema.Row, name string) {
	s.w.t.Helper()
	s.step(name, func(w *world) { w.act(row.Clone(), name) })
}

// post is a chapter in which a resource is made, which it returns.
func (s *tale) post(typ string, values map[string]any) *schema.Row {
	s.w.t.Helper()
	var row *schema.Row
	defer func() { s.chapters[len(s.chapters)-1].posts = true }()
	named := map[string]any{"uuid": fmt.Sprint(typ, "-", len(s.chapters))}
	maps.Copy(named, values)
	s.step(typ+".post", func(w *world) {
		if made := w.post(typ, maps.Clone(named)); w == s.w {
			row = made
		}
	})
	return row
}

func (s *tale) want(row *schema.Row, state string) {
	s.w.t.Helper()
	s.w.want(row, state)
}

// beginning is how a process gets its first attempt.
type beginning int

const (
	asked beginning = iota // a bell says to look
	born                   // whoever bore it has claimed it, and runs it at once
	fresh                  // a bell says that it is new
)

// die tells the chapter again with a death at its n-th seam, or tells that there is none.
func (c *chapter) die(t *testing.T, n int, how beginning) (died bool) {
	w := begin(t, c.file, c.memory)
	w.bears = how == born
	c.ask(w)
	k := w.mortal(n)
	switch how {
	case born:
		if w.born == nil {
			t.Fatal("nothing was born")
		}
		_ = k.ExecuteBorn(w.ctx, w.born)
	case fresh:
		due, err := w.store.Due(w.ctx, 100)
		if err != nil || len(due) == 0 {
			t.Fatalf("%d are due: %v", len(due), err)
		}
		for _, b := range due {
			_ = k.ExecuteNew(w.ctx, b.ID)
		}
	}
	w.work(k)
	w.store.Seam, w.agent.after = nil, nil
	if k.dead {
		w.accounted()
		w.work(w.on(w.store, "60", handler.All()))
	}
	c.compare(t, w)
	return k.dead
}

// accounted checks what holds at any moment: what is under way has a pending process that
// is its own or holds it, and what a process is done with is not under way for it.
func (w *world) accounted() {
	w.t.Helper()
	pending, last := map[string]bool{}, map[string]*schema.Row{}
	for _, p := range w.find("processInstance", nil) {
		at := p.Str("resourceType") + " " + p.Str("resourceId")
		pending[at] = pending[at] || p.Get("endTime") == nil
		pending[p.Key()] = p.Get("endTime") == nil
		last[at] = p
	}
	for _, t := range resource.All.Tables() {
		if len(resource.All.Processes(t)) == 0 {
			continue
		}
		for _, row := range w.find(t.Name, nil) {
			at := t.Name + " " + row.Key()
			if resource.All.Moving(t, row.State()) && !pending[at] && !pending[fmt.Sprint(row.Int("claimProcessId"))] {
				w.t.Errorf("%s is %s, and no process will move it on", at, row.State())
			}
			if p := last[at]; p != nil && p.Str("exitReason") == "DONE" && resource.All.Process(p.Str("processName")).IsTransitioning(row.State()) {
				w.t.Errorf("%s is %s, and %s is done", at, row.State(), p.Str("processName"))
			}
		}
	}
}

// mortal is a worker that dies at the n-th seam: before a transaction begins, before it
// is committed, after that, and between an effect on a host and the reply. It is on the
// store of the world, which is used by nobody else meanwhile.
func (w *world) mortal(n int) *worker {
	k, passed := w.on(w.store, "60", handler.All()), 0
	pass := func() error {
		if passed++; k.dead || passed == n {
			k.dead = true
			return errDead
		}
		return nil
	}
	k.store.Seam = func(store.Seam, string) error { return pass() }
	w.agent.after = func(*wire.Event) error { return pass() }
	return k
}

// check tells the chapter again under the checks for idempotence.
func (c *chapter) check(t *testing.T) {
	w := begin(t, c.file, c.memory)
	c.ask(w)
	w.checked = true
	w.work(w.on(w.store, "60", handler.All()))
	c.compare(t, w)
}

// compare tells what is not as it was when the chapter was told undisturbed.
func (c *chapter) compare(t *testing.T, w *world) {
	t.Helper()
	got := w.picture()
	all := maps.Clone(c.after)
	maps.Copy(all, got)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if w.checked && strings.HasPrefix(name, "processInstance") && (got[name] == "" || strings.HasSuffix(got[name], "SUCCESS")) {
			continue // who finds what an earlier attempt left may end it inside another process
		}
		if got[name] != c.after[name] {
			t.Errorf("%s: %s\nundisturbed: %s", name, got[name], c.after[name])
		}
	}
}

// passing are the columns that differ between two tellings, or that claims and writes
// change by themselves; of the others in it only whether they are set is compared.
var passing = map[string]bool{"revision": false, "claim_epoch": false, "claim_process_id": false, "state_since": false, "created": true,
	"removed": true, "remove_time": true, "first_running": true, "token": true, "secret_value": true, "value": true, "public_value": true, "uuid": true}

// moments are times, names, addresses, ports and numbers of claims that are made up within texts.
var moments = regexp.MustCompile(`\b02(:[0-9a-f]{2}){2,5}\b|\b10\.4[23]\.0\.[0-9]+\b|\b[23][0-9]{4}\b|\b1[0-9]{12}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\\"(secretKey|accessKey)\\":\\"[^"]*"|\\"left\\":[0-9]+`)

// numbered gives what is said of an instance with its id in place of its uuid, which may
// differ between two tellings.
func (w *world) numbered(what string) string {
	verb, uuid, _ := strings.Cut(what, " ")
	for _, row := range w.find("instance", process.Match{"uuid": uuid}) {
		return verb + " instance " + row.Key()
	}
	return what
}

// picture is all that is in the database, and what runs on the hosts.
func (w *world) picture() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for uuid := range w.agent.running {
		if w.agent.running[uuid] {
			out[w.numbered("running "+uuid)] = "yes"
		}
	}
	for what, n := range w.agent.effects {
		out["effects "+w.numbered(what)] = fmt.Sprint(n)
	}
	for _, t := range resource.All.Tables() {
		if t.Name == "processExecution" || t.Name == "setting" || t.Name == "task" {
			continue
		}
		for _, row := range w.all(t.Table) {
			name := row["id"]
			switch t.Name { // what is known by other things than its id
			case "configItemStatus":
				name = fmt.Sprint(row["agent_id"], " ", row["name"])
				delete(row, "id")
			case "resourcePool":
				name = fmt.Sprint(row["owner_type"], " ", row["owner_id"], " ", row["qualifier"])
				delete(row, "id")
			}
			out[fmt.Sprint(t.Name, " ", name)] += written(t.Name, row)
		}
	}
	return out
}

func written(typ string, row map[string]any) string {
	if typ == "processInstance" {
		return fmt.Sprint(row["process_name"], " on ", row["resource_type"], " ", row["resource_id"], ": ", row["result"])
	}
	if typ == "configItemStatus" { // what is asked for once more is applied once more
		row["behind"] = row["requested_version"] != row["applied_version"]
		delete(row, "requested_version")
		delete(row, "applied_version")
	}
	for name := range row {
		if set, passes := passing[name]; passes {
			if row[name] = row[name] != nil; !set {
				delete(row, name)
			}
		}
	}
	b, _ := json.Marshal(row)
	return moments.ReplaceAllString(string(b), "…")
}

func (w *world) all(table string) []map[string]any {
	w.t.Helper()
	rows, err := w.raw().Query(fmt.Sprintf("select * from %q", table))
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	var out []map[string]any
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		row := map[string]any{}
		for i, name := range names {
			row[name] = values[i]
		}
		out = append(out, row)
	}
	return out
}

// coverage notes which handlers ran in which process, and which of them did something.
type coverage struct {
	mu  sync.Mutex
	ran map[string]bool // by process and handler
	did map[string]bool // by handler
}

func (c *coverage) note(into map[string]bool, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	into[name] = true
}

func (c *coverage) watching(all []process.Handler) []process.Handler {
	out := slices.Clone(all)
	for i, h := range all {
		out[i].Run = func(ctx context.Context, run process.Run) (*process.Answer, error) {
			c.note(c.ran, run.Process().Name+" "+h.Name)
			did := func() { c.note(c.did, h.Name) }
			answer, err := h.Run(ctx, watched{run, did})
			if answer != nil {
				did()
			}
			return answer, err
		}
	}
	return out
}

// watched is a run that notices when logic does something.
type watched struct {
	process.Run
	did func()
}

func (v watched) Unit(ctx context.Context, types ...string) (*store.Tx, error) {
	return v.Run.(interface {
		Unit(context.Context, ...string) (*store.Tx, error)
	}).Unit(ctx, types...)
}

func (v watched) Create(ctx context.Context, typ string, values map[string]any) (*schema.Row, error) {
	v.did()
	return v.Run.Create(ctx, typ, values)
}

func (v watched) Save(ctx context.Context, row *schema.Row) error {
	v.did()
	return v.Run.Save(ctx, row)
}

func (v watched) Execute(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	v.did()
	return v.Run.Execute(ctx, name, row, data)
}

func (v watched) Schedule(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	v.did()
	return v.Run.Schedule(ctx, name, row, data)
}

func (v watched) Call(ctx context.Context, c process.Call) (json.RawMessage, error) {
	v.did()
	return v.Run.Call(ctx, c)
}

// attached lists every process with logic, and what logic that is.
func attached(w *world) map[string][]string {
	e := w.worker()
	out := map[string][]string{}
	for _, k := range resource.All.Kinds() {
		for _, d := range k.Processes {
			for _, stage := range []process.Stage{process.Pre, process.Main, process.Post} {
				for _, h := range e.Attached(d.Name, stage) {
					out[d.Name] = append(out[d.Name], h.Name)
				}
			}
		}
	}
	return out
}

// shouting fails a test with what an engine logs as an error.
type shouting struct{ t *testing.T }

func (s shouting) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s shouting) WithGroup(string) slog.Handler      { return s }

func (s shouting) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool { fmt.Fprint(&b, " ", a); return true })
	s.t.Errorf("%s%s", r.Message, b.String())
	return nil
}

func (s shouting) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
