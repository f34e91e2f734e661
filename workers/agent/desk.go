package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

var errStale = errors.New(wire.StaleCommand)

// desk takes commands and sees to it that each is done once at a time:
//
//	repeated id, done      the same answer again
//	repeated id, in work   progress
//	lower fence            "stale command"
//	resource busy          progress; the newest waits and is done next
//	engine does not answer progress; it may be back in a moment
//	engine stands still    an error, once nothing was heard for long
//	too many waiting       silence; the server asks again
//	nobody to hear it      silence, likewise
//
// What arrives by one connection may be answered over the next.
type desk struct {
	drivers  map[string]driver.Driver
	fences   *fences
	send     func(*wire.Event) error
	log      *slog.Logger
	slots    chan struct{} // as many commands run at a time
	patience time.Duration // with an engine that does not answer
	stall    time.Duration // of an engine that has taken a command, until that is given up
	work     sync.WaitGroup

	mu      sync.Mutex
	lanes   map[string]*lane // by resource; only those with work
	answers answers
	unsent  []string // ids of answers that found no connection
}

// lane is the work on one resource.
type lane struct{ now, next *job }

type job struct {
	event   *wire.Event
	task    *driver.Task
	replyTo *string     // of the latest request with this id
	fence   *wire.Fence // likewise
}

func newDesk(c Config, drivers map[string]driver.Driver, fences *fences, send func(*wire.Event) error, log *slog.Logger) *desk {
	return &desk{
		drivers: drivers, fences: fences, send: send, log: log,
		slots: make(chan struct{}, c.Workers), patience: c.Patience, stall: c.Stall, lanes: map[string]*lane{}, answers: answers{byID: map[string]*wire.Event{}},
	}
}

// take accepts a command and returns at once. The work itself lasts as long as ctx.
func (d *desk) take(ctx context.Context, e *wire.Event) {
	if answer := d.answered(e); answer != nil {
		_ = d.send(answer) // without a connection the server asks once more
		return
	}
	task, err := driver.Decode(e)
	if err == nil && d.driver(task) == nil {
		err = fmt.Errorf("hosts of kind %q are not served here", task.Kind)
	}
	if err == nil {
		d.renew(e, task.Resource)
		err = d.admit(e.Fence)
	}
	if err != nil {
		_ = d.send(e.Fail(err.Error(), ""))
		return
	}
	if busy := d.enqueue(ctx, &job{event: e, task: task, replyTo: e.ReplyTo, fence: e.Fence}); busy {
		_ = d.send(e.Advance("Waiting for work on the same resource", -1))
	}
}

// driver is the one of a task; nil is none.
func (d *desk) driver(task *driver.Task) driver.Driver {
	if task.Kind != "" {
		return d.drivers[task.Kind]
	}
	for _, kind := range slices.Sorted(maps.Keys(d.drivers)) {
		if _, can := d.drivers[kind].(driver.Delegator); can {
			return d.drivers[kind]
		}
	}
	return nil
}

// renew makes a command in work as new as the latest request for it: the epoch of what
// several hosts use, as an image, rises by the work of the others while one waits.
func (d *desk) renew(e *wire.Event, resource string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[resource]; l != nil && l.now.event.ID == e.ID && e.Fence != nil && l.now.fence != nil && e.Fence.Epoch > l.now.fence.Epoch {
		l.now.fence = e.Fence
	}
}

// current tells whether a command may still be done: a newer one may have come while it waited.
func (d *desk) current(j *job) error {
	d.mu.Lock()
	fence := j.fence
	d.mu.Unlock()
	return d.admit(fence)
}

func (d *desk) admit(fence *wire.Fence) error {
	admitted, err := d.fences.Admit(fence)
	if err == nil && !admitted {
		err = errStale
	}
	return err
}

// enqueue starts the job or lets it wait; true when it has to.
func (d *desk) enqueue(ctx context.Context, j *job) (busy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[j.task.Resource]
	switch {
	case l == nil && len(d.lanes) >= 2*cap(d.slots):
		d.log.Warn("command dropped, too many are waiting", "command", j.event.Name, "event", j.event.ID, "id", asking(j.event), "uuid", j.task.Resource)
		return false
	case l == nil:
		d.lanes[j.task.Resource] = &lane{now: j}
		d.work.Go(func() { d.run(ctx, j) })
		return false
	case l.now.event.ID == j.event.ID:
		l.now.replyTo = j.replyTo
	default:
		l.next = j
	}
	return true
}

// asking is the id of the process that sent a command, 0 where it does not say.
func asking(e *wire.Event) int64 {
	if e.Fence == nil {
		return 0
	}
	return e.Fence.ProcessID
}

// run does a job and what came to wait for the resource meanwhile.
func (d *desk) run(ctx context.Context, j *job) {
	for j != nil {
		select {
		case d.slots <- struct{}{}:
			d.finish(ctx, j, d.do(ctx, j))
			<-d.slots
		case <-ctx.Done():
		}
		j = d.following(ctx, j)
	}
}

// idle tells whether there is no work.
func (d *desk) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lanes) == 0
}

func (d *desk) following(ctx context.Context, done *job) *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[done.task.Resource]
	if l.next == nil || ctx.Err() != nil {
		delete(d.lanes, done.task.Resource)
		return nil
	}
	l.now, l.next = l.next, nil
	return l.now
}

func (d *desk) do(ctx context.Context, j *job) (answer *wire.Event) {
	e, start := j.event, time.Now()
	defer func() {
		if trouble := recover(); trouble != nil {
			d.log.ErrorContext(ctx, "driver panicked", "command", e.Name, "event", e.ID, "id", asking(e), "uuid", j.task.Resource, "err", trouble, "stack", string(debug.Stack()))
			answer = e.Fail("the agent made a mistake", fmt.Sprint(trouble))
		}
	}()
	if err := d.current(j); err != nil {
		return e.Fail(err.Error(), "")
	}
	data, err := d.attempt(ctx, j)
	d.log.InfoContext(ctx, "command done", "command", e.Name, "event", e.ID, "id", asking(e), "uuid", j.task.Resource, "took", time.Since(start), "err", err)
	if errors.Is(err, driver.ErrNobody) {
		return nil
	}
	if err != nil {
		return e.Fail(err.Error(), "")
	}
	if answer, err = e.Reply(data); err != nil {
		return e.Fail("cannot write the answer", err.Error())
	}
	return answer
}

// attempt does a job, and once more for as long as its engine does not answer: one that is
// started anew is back in a moment. Nobody waits for a slot meanwhile, and a newer command
// for the resource is not kept waiting. An engine that takes a command and then stands still
// would keep the server waiting for ever: its command is given up.
func (d *desk) attempt(ctx context.Context, j *job) (any, error) {
	work, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	stalled := fmt.Errorf("the engine of the host has said nothing for %s", d.stall)
	watch := time.AfterFunc(d.stall, func() { giveUp(stalled) })
	defer watch.Stop()
	progress := func(message string, percent int) {
		watch.Reset(d.stall)
		_ = d.send(d.address(j, j.event.Advance(message, percent)))
	}
	for begin, pause := time.Now(), firstLook; ; pause = min(2*pause, longestLook) {
		data, err := j.task.Run(work, d.driver(j.task), progress)
		if err != nil && context.Cause(work) == stalled {
			return nil, stalled
		}
		if !errors.Is(err, driver.ErrAbsent) || time.Since(begin)+pause > d.patience || d.overtaken(j) {
			return data, err
		}
		progress("Waiting for the engine of the host", -1)
		<-d.slots
		again := sleep(ctx, pause)
		d.slots <- struct{}{}
		if !again {
			return nil, err
		}
		if err := d.current(j); err != nil {
			return nil, err
		}
	}
}

// The pauses between two looks for an engine that does not answer.
const firstLook, longestLook = 200 * time.Millisecond, 2 * time.Second

// overtaken tells whether a newer command waits for the resource.
func (d *desk) overtaken(j *job) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[j.task.Resource]
	return l != nil && l.next != nil
}

// finish keeps the answer and sends it. Work that was cut short by the end of the
// program is not answered: it will be asked for again.
func (d *desk) finish(ctx context.Context, j *job, answer *wire.Event) {
	if ctx.Err() != nil || answer == nil {
		return
	}
	answer = d.address(j, answer)
	d.mu.Lock()
	d.answers.add(j.event.ID, answer)
	d.mu.Unlock()
	if d.send(answer) != nil {
		d.mu.Lock()
		d.unsent = append(d.unsent, j.event.ID)
		d.mu.Unlock()
	}
}

// address directs an answer to where the latest request wants it.
func (d *desk) address(j *job, answer *wire.Event) *wire.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	addressed := *answer
	addressed.Name = wire.Value(j.replyTo)
	return &addressed
}

func (d *desk) answered(e *wire.Event) *wire.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.answers.byID[e.ID]
	if kept == nil {
		return nil
	}
	again := *kept
	again.Name = wire.Value(e.ReplyTo)
	return &again
}

// resend gives a new connection the answers that had none.
func (d *desk) resend() {
	d.mu.Lock()
	var late []*wire.Event
	for _, id := range d.unsent {
		if answer := d.answers.byID[id]; answer != nil {
			late = append(late, answer)
		}
	}
	d.unsent = nil
	d.mu.Unlock()
	for _, answer := range late {
		_ = d.send(answer) // lost again, the server asks for it
	}
}

// held lists the requests in work.
func (d *desk) held() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := []string{}
	for _, l := range d.lanes {
		ids = append(ids, l.now.event.ID)
	}
	return ids
}

// wait returns when no command is in work any more.
func (d *desk) wait() { d.work.Wait() }
