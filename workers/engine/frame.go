package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// frame is one process within a run: the top one, or one that a handler runs
// inside it. It is what handlers see as their process.Run.
type frame struct {
	r       *run
	parent  *frame
	def     *process.Definition
	row     *schema.Row
	data    map[string]any
	history *attemptLog // of this process
	log     *execution  // the part of the history that is being written
	handler *handlerLog
	path    string // where it is, resources and all
	pretty  string // the same as users are told it
}

func newFrame(r *run, parent *frame, def *process.Definition, row *schema.Row, data map[string]any) *frame {
	f := &frame{r: r, parent: parent, def: def, row: row, data: data, history: newLog()}
	if data == nil {
		f.data = map[string]any{}
	}
	if parent != nil {
		by := "->(" + parent.handler.Name + ")->"
		f.path, f.pretty = parent.path+by, parent.pretty+by
		parent.handler.Children = append(parent.handler.Children, f.history)
	}
	f.path += def.Name + ":" + row.Key()
	f.pretty += def.Name
	f.log = f.history.open(f)
	return f
}

// delegate goes on as another process on the same resource.
func (f *frame) delegate(def *process.Definition) {
	f.log.close(process.Delegated, nil)
	f.def = def
	f.log = f.history.open(f)
}

// enter moves the resource to the transitioning state, unless it is there, and tells
// whether it did.
func (f *frame) enter() bool {
	field := f.def.StateField()
	from := f.row.Str(field)
	if !f.def.IsStart(from) {
		return false
	}
	store.Transition(f.row, f.def, nil)
	f.r.touch(f.row)
	f.note(from, f.row.Str(field), "transitioning")
	return true
}

func (f *frame) note(from, to, kind string) {
	f.log.Transitions = append(f.log.Transitions, transition{from, to, kind, millis()})
	if kind == "transitioning" && f.def.StateField() == "state" {
		f.r.changes = append(f.r.changes, Change{Type: f.row.Type().Name, ID: f.row.ID(), Account: f.row.Int("accountId"), Previous: from, State: to})
	}
}

// perform runs the three lists of logic and brings the process to its end.
func (f *frame) perform(ctx context.Context) error {
	for {
		delegate, chain := false, ""
		for _, stage := range []process.Stage{process.Pre, process.Main, process.Post} {
			d, c, err := f.list(ctx, stage)
			if err != nil {
				return err
			}
			delegate = delegate || d
			if c != "" {
				chain = c
			}
		}
		switch {
		case delegate:
			next := process.HandOver(f.def, f.row.Str(f.def.StateField()), resource.All.Process)
			if next == nil {
				return fmt.Errorf("%s asked for a delegate that does not fit state %s", f.def.Name, f.row.State())
			}
			f.delegate(next)
			if err := f.step(ctx); err != nil {
				return err
			}
		case chain != "":
			return f.chain(ctx, chain)
		default:
			return f.done(ctx)
		}
	}
}

// step is enter for a row that may have moved within this unit already.
func (f *frame) step(ctx context.Context) error {
	field := f.def.StateField()
	from := f.row.Str(field)
	if !f.def.IsStart(from) {
		return nil
	}
	to := process.Enter(f.def, nil, from)
	if err := f.r.move(ctx, f.row, field, to); err != nil {
		return err
	}
	f.log.Transitions = append(f.log.Transitions, transition{from, to, "transitioning", millis()})
	return nil
}

// list runs one list of logic, and says whether some of it asked to delegate or to
// chain.
func (f *frame) list(ctx context.Context, stage process.Stage) (delegate bool, chain string, err error) {
	if f.parent == nil {
		f.r.phase = [...]string{process.PhasePre, process.PhaseHandlers, process.PhasePost}[stage]
	}
	others, err := f.external(ctx, stage)
	if err != nil {
		return false, "", err
	}
	for _, h := range merged(f.r.e.lists.list(f.def, stage, f.r.e.Settings.Get), others) {
		f.handler = &handlerLog{Name: h.Name, Start: millis(), Missing: []string{}, Children: []*attemptLog{}}
		f.log.Handlers = append(f.log.Handlers, f.handler)
		leave := f.r.enter(f.path, h.Name)
		answer, err := f.logic(ctx, h, stage)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			leave() // a run that fails says where it did
		}
		f.handler.close(answer, err)
		if err != nil {
			return false, "", err
		}
		if answer == nil {
			continue
		}
		if len(answer.Data) > 0 {
			if err := f.Merge(ctx, f.row, answer.Data); err != nil {
				return false, "", err
			}
		}
		delegate = delegate || answer.Delegate
		if answer.Chain != "" {
			if chain != "" && chain != answer.Chain {
				f.r.e.Log.Error("two handlers disagree about what to go on as; the last one counts", "process", f.def.Name,
					"id", f.r.p.ID, "handler", h.Name, "next", answer.Chain, "dropped", chain)
			}
			chain = answer.Chain
		}
		if goOn := answer.Continue; goOn != nil && !*goOn || goOn == nil && stage == process.Main {
			break
		}
	}
	return delegate, chain, nil
}

// done moves the resource to the done state. For the top process that, its log and
// its end become durable together.
func (f *frame) done(ctx context.Context) error {
	field := f.def.StateField()
	from := f.row.Str(field)
	to, ok := f.def.Done.Get(from)
	if !ok {
		return fmt.Errorf("%s has no done state from %s", f.def.Name, from)
	}
	if err := f.r.move(ctx, f.row, field, to); err != nil {
		return err
	}
	f.log.Transitions = append(f.log.Transitions, transition{from, to, "done", millis()})
	return f.over(ctx, process.Done)
}

// over lets the resource go and closes the log; the top process ends with it.
func (f *frame) over(ctx context.Context, reason process.Reason) error {
	f.log.close(reason, nil)
	if f.parent == nil {
		return f.r.finish(ctx, reason)
	}
	if !f.held() {
		f.row.Set("claimProcessId", nil)
		f.r.touch(f.row)
	}
	return nil
}

// held tells whether a process around this one works on the same resource.
func (f *frame) held() bool {
	for p := f.parent; p != nil; p = p.parent {
		if p.row == f.row {
			return true
		}
	}
	return false
}

// chain hands the resource over to another process without passing the done state:
// the birth of the one and the end of the other are one transaction.
func (f *frame) chain(ctx context.Context, name string) error {
	next := resource.All.Process(name)
	if next == nil {
		return fmt.Errorf("%s chains to %s, which does not exist", f.def.Name, name)
	}
	if f.parent != nil {
		return fmt.Errorf("%s cannot chain to %s inside another process", f.def.Name, name)
	}
	if !slices.Contains(f.def.Chains, name) {
		return fmt.Errorf("%s chains to %s without declaring it", f.def.Name, name)
	}
	from := f.row.State()
	if err := f.launch(ctx, next, f.row, f.data, f.def); err != nil {
		return err
	}
	f.note(from, f.row.State(), "chain")
	return f.over(ctx, process.Chain)
}

func (f *frame) Process() *process.Definition { return f.def }
func (f *frame) Resource() *schema.Row        { return f.row }
func (f *frame) Data() map[string]any         { return f.data }
func (f *frame) Setting(name string) string   { return f.r.e.Settings.Get(name) }

func (f *frame) Top() (int64, *process.Definition) {
	return f.r.p.ID, resource.All.Process(f.r.p.Name)
}

func (f *frame) Now() int64 { return f.r.now() }

// Unit returns the open transaction of the run, for logic that decides in SQL about
// rows of the given types. It must not be kept: commands end it.
func (f *frame) Unit(ctx context.Context, types ...string) (*store.Tx, error) {
	for _, row := range f.r.dirty {
		if slices.Contains(types, row.Type().Name) {
			if err := f.r.flush(ctx); err != nil {
				return nil, err
			}
			break
		}
	}
	return f.r.unit(ctx)
}

func (f *frame) Get(ctx context.Context, typ string, id int64) (*schema.Row, error) {
	return f.r.Row(ctx, resource.All.Type(typ), id)
}

func (f *frame) Find(ctx context.Context, typ string, match process.Match) ([]*schema.Row, error) {
	for name, v := range match {
		if n, small := v.(int); small {
			match[name] = int64(n)
		}
	}
	return f.r.rowsOf(ctx, resource.All.Type(typ), match)
}

func (f *frame) Preload(ctx context.Context, wants ...process.Want) error {
	return f.r.preload(ctx, wants)
}

func (f *frame) Create(ctx context.Context, typ string, values map[string]any) (*schema.Row, error) {
	return f.r.create(ctx, resource.All.Type(typ), values)
}

func (f *frame) Save(_ context.Context, row *schema.Row) error {
	f.r.touch(row)
	return nil
}

// Execute runs a process on a row inside this one.
func (f *frame) Execute(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	def := resource.All.Process(name)
	if def == nil {
		return fmt.Errorf("there is no process %s", name)
	}
	row, err := f.Get(ctx, row.Type().Name, row.ID())
	if err != nil {
		return err
	}
	state := row.Str(def.StateField())
	as, end := process.Settle(def, state, resource.All.Process)
	switch end {
	case process.AlreadyDone:
		return nil
	case process.Canceled:
		return &process.CanceledError{Process: name, Resource: row.Type().Name + " " + row.Key(), State: state}
	}
	def = as
	child := newFrame(f.r, f, def, row, data)
	if !child.held() {
		if err := f.r.claimNested(ctx, row); err != nil {
			return err
		}
	}
	if err := child.step(ctx); err != nil {
		return err
	}
	if def.StateField() == "state" {
		row.ClearField("transitioning")
		row.ClearField("transitioningMessage")
	}
	if err := child.perform(ctx); err != nil {
		child.claimError(err)
		if child.log.Stop == nil {
			child.log.close(process.UnknownException, err)
		}
		return err
	}
	return nil
}

// claimError puts an error that its handler wants shown onto the resource of the process,
// once: whoever ran that process inside its own decides anew.
func (f *frame) claimError(cause error) {
	var failure *process.Failure
	if f == nil || !errors.As(cause, &failure) || !failure.Shown {
		return
	}
	failure.Shown = false
	text := failure.Message
	if failure.Detail != "" && f.r.e.Settings.Bool("api.show.transitioning.internal.message") {
		text = failure.Error()
	}
	if text == "" {
		f.row.SetField("transitioning", nil)
		f.row.SetField("transitioningMessage", nil)
	} else {
		f.row.SetField("transitioning", "error")
		f.row.SetField("transitioningMessage", text)
	}
	f.r.touch(f.row)
}

// claimNested holds a row for a process inside this run. A row made in the open
// unit is seen by nobody else, and still gets its number.
func (r *run) claimNested(ctx context.Context, row *schema.Row) error {
	if _, err := r.unit(ctx); err != nil {
		return err
	}
	return r.hold(ctx, row)
}

// Schedule records a process of its own on a row.
func (f *frame) Schedule(ctx context.Context, name string, row *schema.Row, data map[string]any) error {
	def := resource.All.Process(name)
	if def == nil {
		return fmt.Errorf("there is no process %s", name)
	}
	return f.launch(ctx, def, row, data, nil)
}

func (f *frame) launch(ctx context.Context, def *process.Definition, row *schema.Row, data map[string]any, from *process.Definition) error {
	if err := f.r.flush(ctx); err != nil {
		return err
	}
	tx, err := f.r.unit(ctx)
	if err != nil {
		return err
	}
	old := row.State()
	launched, err := tx.Launch(ctx, store.Launch{Process: def, Row: row, Data: data, From: from,
		Priority: int(f.r.e.Settings.Int("process." + def.Name + ".priority")), Server: f.r.e.Server, Parent: f.r.p.ID})
	if err != nil {
		return err
	}
	for _, b := range launched.Bells {
		if b.ID != f.r.p.ID { // this run sees by itself that the state has moved
			f.r.bells = append(f.r.bells, b)
		}
	}
	if row.State() != old {
		f.r.changes = append(f.r.changes, Change{Type: row.Type().Name, ID: row.ID(), Account: row.Int("accountId"), Previous: old, State: row.State()})
	}
	return nil
}

// Call sends a command to an agent, or a request to a handler from outside. All that
// was written before it is durable when it leaves, so that no effect is without a
// record. What is answered quickly costs no row; otherwise the process waits without
// a slot.
func (f *frame) Call(ctx context.Context, c process.Call) (json.RawMessage, error) {
	r := f.r
	step := f.path + "->" + c.Name + ":" + c.Resource.Key()
	asked := r.requests[step]
	if asked != nil && asked.Status == store.RequestReplied {
		return f.use(ctx, asked)
	}
	attempts, timeout := f.patience(c)
	if asked != nil && asked.Sends >= int64(attempts) {
		if err := f.drop(ctx, asked); err != nil {
			return nil, err
		}
		return nil, &process.TimeoutError{Waited: fmt.Sprintf("%s to answer %s", whom(c), c.Name)}
	}
	var agent *schema.Row
	if c.AgentID != 0 {
		var err error
		if agent, err = f.Get(ctx, "agent", c.AgentID); err != nil {
			return nil, err
		}
	}
	if err := r.commit(ctx); err != nil {
		return nil, err
	}
	if asked == nil {
		asked = &store.Request{ID: newID(), ProcessID: r.p.ID, StepKey: step, AgentID: c.AgentID, Patient: c.Patient, Name: strings.ToValidUTF8(c.Name[:min(len(c.Name), 128)], "")}
	}
	asked.ReplyTo = r.e.Caller.ReplyName(asked.ID)
	event, err := f.event(c, asked, timeout)
	if err != nil {
		return nil, err
	}
	wait, answered := r.e.patience.begin(addressee(c), timeout)
	reply, err := r.e.Caller.Send(ctx, agent, event, wait, f.progress(c))
	answered(err == nil)
	switch {
	case errors.Is(err, ErrOffline) && c.OrGone:
		r.e.Caller.Forget(asked.ID)
		return nil, nil
	case err == nil:
		r.e.Caller.Forget(asked.ID)
		if r.requests[step] != nil {
			if err := f.drop(ctx, asked); err != nil {
				return nil, err
			}
		}
		if c.AgentID == 0 {
			if err := f.keep(ctx, asked, reply); err != nil {
				return nil, err
			}
		}
		return open(reply)
	case errors.Is(err, ErrSilent), errors.Is(err, ErrOffline):
		asked.Sends++
		r.suspended = asked
		what := fmt.Sprintf("%s to answer %s for %s %s", whom(c), c.Name, c.Resource.Type().Name, c.Resource.Key())
		if errors.Is(err, ErrOffline) {
			what = fmt.Sprintf("%s to connect, to answer %s for %s %s", whom(c), c.Name, c.Resource.Type().Name, c.Resource.Key())
			what += strings.TrimPrefix(err.Error(), ErrOffline.Error()) // why it is away, if somebody knows
		}
		return nil, &process.WaitingError{For: what, Agent: c.AgentID, After: timeout}
	}
	r.e.Caller.Forget(asked.ID)
	return nil, err
}

// addressee tells those apart who may be slow to answer.
func addressee(c process.Call) string {
	if c.AgentID == 0 {
		return c.Name
	}
	return strconv.FormatInt(c.AgentID, 10)
}

// whom names in words who is asked.
func whom(c process.Call) string {
	if c.AgentID == 0 {
		return "a handler from outside"
	}
	return fmt.Sprintf("agent %d", c.AgentID)
}

func (f *frame) patience(c process.Call) (attempts int, timeout time.Duration) {
	attempts, timeout = c.Attempts, time.Duration(c.Timeout)*time.Millisecond
	if attempts == 0 {
		attempts = int(f.r.e.Settings.Int(retriesOf(c.AgentID)))
	}
	if timeout == 0 {
		timeout = time.Duration(f.r.e.Settings.Int(timeoutOf(c.AgentID))) * time.Millisecond
	}
	return max(attempts, 1), max(timeout, 10*time.Millisecond)
}

// retriesOf names the setting that says how often an agent, or a handler from outside
// (0), is asked.
func retriesOf(agent int64) string {
	if agent == 0 {
		return "eventing.retry"
	}
	return "agent.retries"
}

// timeoutOf names the setting that says how long they have to answer.
func timeoutOf(agent int64) string {
	if agent == 0 {
		return "eventing.timeout.millis"
	}
	return "agent.timeout.millis"
}

// use takes the reply that came while the process waited.
func (f *frame) use(ctx context.Context, q *store.Request) (json.RawMessage, error) {
	reply := &wire.Event{}
	if err := json.Unmarshal(q.Reply, reply); err != nil {
		return nil, fmt.Errorf("cannot read the stored reply to %s: %w", q.Name, err)
	}
	if q.AgentID != 0 {
		if err := f.drop(ctx, q); err != nil {
			return nil, err
		}
	}
	return open(reply)
}

// keep records what a handler from outside said. An agent knows what it has done
// already and says so; a handler is asked once in an attempt, however often that
// waits for something else and begins again.
func (f *frame) keep(ctx context.Context, q *store.Request, reply *wire.Event) error {
	tx, err := f.r.unit(ctx)
	if err != nil {
		return err
	}
	q.Status = store.RequestReplied
	if q.Reply, err = wire.Encode(reply); err != nil {
		return err
	}
	if f.r.requests == nil {
		f.r.requests = map[string]*store.Request{}
	}
	f.r.requests[q.StepKey] = q
	return tx.SaveRequest(ctx, *q)
}

func (f *frame) drop(ctx context.Context, q *store.Request) error {
	tx, err := f.r.unit(ctx)
	if err != nil {
		return err
	}
	delete(f.r.requests, q.StepKey)
	return tx.DropRequest(ctx, q.ID)
}

// open returns the data of a reply, or the failure that it reports.
func open(reply *wire.Event) (json.RawMessage, error) {
	if wire.Value(reply.Transitioning) == wire.Failure {
		return nil, &process.Failure{Message: wire.Value(reply.TransitioningMessage), Detail: wire.Value(reply.TransitioningInternalMessage)}
	}
	return reply.Data, nil
}

func (f *frame) event(c process.Call, q *store.Request, timeout time.Duration) (*wire.Event, error) {
	data, err := wire.Encode(c.Data)
	if err != nil {
		return nil, fmt.Errorf("cannot write the data of %s: %w", c.Name, err)
	}
	ms := timeout.Milliseconds()
	top := f.r.top
	logic, resources := f.trail()
	e := &wire.Event{
		ID: q.ID, Name: c.Name, ReplyTo: wire.Text(q.ReplyTo),
		ResourceType: wire.Text(c.Resource.Type().Name), ResourceID: wire.Text(c.Resource.Key()),
		Data: data, TimeMillis: millis(), TimeoutMillis: &ms,
		Context: map[string]string{
			"processId": fmt.Sprint(f.r.p.ID), "processUuid": top.history.UUID, "processName": f.def.Name,
			"topProcessName": top.def.Name, "logicName": f.handler.Name, "logicPath": logic,
			"resouceId": f.row.Key(), "resouceType": f.row.Type().Name,
			"topResourceId": top.row.Key(), "topResourceType": top.row.Type().Name,
			"prettyResource": resources, "prettyProcess": f.pretty,
		},
	}
	if c.AgentID != 0 {
		fenced := c.Fence
		if fenced == nil {
			fenced = c.Resource
		}
		e.Fence = &wire.Fence{Resource: fenced.UUID(), Epoch: cmp.Or(c.Epoch, fenced.Int("claimEpoch")), ProcessID: f.r.p.ID, RunEpoch: f.r.p.RunEpoch}
	}
	return e, nil
}

// trail names the processes and handlers from the top, and the resources that they are about.
func (f *frame) trail() (logic, resources string) {
	own := f.row.Type().Name + ":" + f.row.Key()
	if f.parent == nil {
		return f.def.Name, own
	}
	logic, resources = f.parent.trail()
	return logic + "->(" + f.parent.handler.Name + ")->" + f.def.Name, resources + "->" + own
}

func (f *frame) progress(c process.Call) func(*wire.Event) {
	if !c.Patient {
		return nil
	}
	return func(e *wire.Event) { f.show(wire.Value(e.TransitioningMessage), e.TransitioningProgress) }
}

// Progress notes what the top process has come to.
func (f *frame) Progress(_ context.Context, at process.Checkpoint) {
	at.Keep(f.r.top.data)
	f.show("", nil)
}

// show tells the user how far the top process is. It is saved with the next unit of the run.
func (f *frame) show(message string, percent *int) {
	row := f.r.top.row
	process.Reached(f.r.top.data).Show(row, message, percent)
	f.r.show(row)
	c := progressed(row)
	if !slices.Contains(f.r.changes, c) { // told once for each unit
		f.r.changes = append(f.r.changes, c)
	}
}

func progressed(row *schema.Row) Change {
	return Change{Type: row.Type().Name, ID: row.ID(), Account: row.Int("accountId"), State: row.State(), Progress: true}
}

var _ process.Run = (*frame)(nil)
