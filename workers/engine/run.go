package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// run is one attempt at a process. It collects what its logic writes and makes it
// durable in units: at the claim, before each command, at the end. Rows read once
// stay the same objects for the whole attempt; that nobody else wrote them in the
// meantime is checked by their revision when they are saved.
type run struct {
	e         *Engine
	p         *store.Process
	top       *frame
	tx        *store.Tx // the open unit, nil between two
	fenced    bool      // a statement of the unit compares the epoch
	rows      map[key]*schema.Row
	found     map[string]*found
	dirty     []*schema.Row        // in the order of their first change
	shown     *schema.Row          // only tells how far the process is: saved when the attempt gives up its slot
	born      map[*schema.Row]bool // made in the open unit: nobody else sees them
	fresh     map[*schema.Row]bool // of those, the ones not inserted yet
	claimed   time.Time            // when the claim told the time of the database
	requests  map[string]*store.Request
	suspended *store.Request // the request to record when the slot is given up
	bells     []store.Bell
	changes   []Change
	unlock    func()
	at        atomic.Pointer[spot] // where its logic is
	phase     string               // how far the lists of its logic are
	blocked   string               // the resource that another held
	logged    bool                 // the open unit keeps the log
	unclaimed bool                 // the claim is still part of the open unit
	checks    *checks              // what its logic is held to, mostly nothing
}

type key struct {
	typ string
	id  int64
}

// claim takes the process and its resource in one transaction, and moves the
// resource to the transitioning state unless that has been done.
func (r *run) claim(ctx context.Context, id int64) error {
	r.reset()
	tx, err := r.e.Store.Begin(ctx, "claim")
	if err != nil {
		return err
	}
	r.tx = tx
	if r.p, err = tx.Claim(ctx, id, r.e.Server, r.e.lease()); err != nil {
		return err
	}
	r.claimed, r.fenced = time.Now(), true
	def := resource.All.Process(r.p.Name)
	if def == nil { // a newer server launched it and will run it
		return r.pauseIn(ctx, store.Pause{Reason: process.UnknownException, DelayMillis: 30_000, GiveBack: true, Error: "this server does not know " + r.p.Name})
	}
	row, err := r.resource(ctx, def)
	if errors.Is(err, store.ErrNotFound) {
		return r.finishIn(ctx, process.Canceled)
	}
	if err != nil {
		return err
	}
	r.top = newFrame(r, nil, def, row, r.p.Data)
	if ended, err := r.settle(ctx); ended || err != nil {
		return err
	}
	if err := r.hold(ctx, row); err != nil {
		return r.busy(ctx, err)
	}
	if r.top.enter() { // it waited behind another that moved the resource on meanwhile
		if r.bells, err = tx.Overtake(ctx, row, r.top.def.StateField(), r.p.ID); err != nil {
			return err
		}
	}
	if r.p.LastError != "" || r.p.Terminated || r.p.Attempts > 1 || r.p.WakeSeq > 0 { // what it waited for is an error in words
		if r.requests, err = tx.Requests(ctx, r.p.ID); err != nil {
			return err
		}
	}
	if r.unclaimed && r.p.RunEpoch == 1 && r.p.WakeSeq == 0 {
		return nil
	}
	return r.commit(ctx)
}

// resource returns the row that the process is about. One that this server has just
// made need not be read: the claim is written under its revision.
func (r *run) resource(ctx context.Context, def *process.Definition) (*schema.Row, error) {
	typ := resource.All.Type(r.p.ResourceType)
	if row := r.tx.Expected(typ, r.p.ResourceID); row != nil && r.p.Attempts == 1 && !r.p.Canceled {
		if _, end := process.Settle(def, row.Str(def.StateField()), resource.All.Process); end == "" {
			r.rows[key{row.Type().Name, row.ID()}] = row
			return row, nil
		}
	}
	return r.Row(ctx, typ, r.p.ResourceID)
}

// begin takes a process that was claimed when it was born: nobody else can have it or
// its resource, and nothing has to be read.
func (r *run) begin(ctx context.Context, b *store.Born) error {
	r.reset()
	r.p, r.claimed, r.unlock = b.Process, time.Now(), func() {}
	r.rows[key{b.Row.Type().Name, b.Row.ID()}] = b.Row
	r.top = newFrame(r, nil, resource.All.Process(r.p.Name), b.Row, r.p.Data)
	if _, err := r.settle(ctx); err != nil { // ended: with its commit
		return err
	}
	return nil
}

func (r *run) reset() {
	r.rows, r.found = map[key]*schema.Row{}, map[string]*found{}
	r.born, r.fresh = map[*schema.Row]bool{}, map[*schema.Row]bool{}
	r.dirty, r.shown = nil, nil
}

// show remembers a row that tells how far the process is. Who is quick has moved on
// before anybody reads it.
func (r *run) show(row *schema.Row) {
	if !slices.Contains(r.dirty, row) {
		r.shown = row
	}
}

// settle ends the process at once where the resource is done with it or has no
// place for it, and goes on as the delegate where only that one fits.
func (r *run) settle(ctx context.Context) (ended bool, err error) {
	f := r.top
	def, end := process.Settle(f.def, f.row.Str(f.def.StateField()), resource.All.Process)
	if r.p.Canceled {
		def, end = f.def, process.Canceled
	}
	if def != nil && def != f.def {
		f.delegate(def)
	}
	if end == "" {
		return false, nil
	}
	if next := f.def.Next(f.data); end == process.AlreadyDone && next != "" {
		if err := f.chain(ctx, next); err != nil {
			return false, err
		}
		return true, errEnded
	}
	f.log.close(end, nil)
	return true, r.finishIn(ctx, end)
}

// hold claims a row for this process: whoever holds it must have ended, or have
// let go. The claim's number orders the commands that follow from it.
func (r *run) hold(ctx context.Context, row *schema.Row) error {
	r.blocked = row.Type().Name + " " + row.Key()
	if holder := row.Int("claimProcessId"); holder != 0 && holder != r.p.ID {
		held, err := r.tx.Held(ctx, holder)
		if err != nil {
			return err
		}
		if held {
			return &process.BusyError{Resource: row.Type().Name + " " + row.Key(), Holder: holder}
		}
	}
	if r.unlock == nil && row.Int("claimEpoch") == 0 { // nobody can contend for what nobody has had
		r.unlock = func() {}
	}
	if r.unlock == nil {
		// It is gone by the time that another may take this process over: a lease is
		// renewed when a third of it has passed.
		release, ok := r.e.Locks.Try(ctx, row.Type().Name+"."+row.Key()+".CHANGE", time.Duration(r.e.lease())*time.Millisecond*2/3)
		if !ok {
			return &process.BusyError{Resource: row.Type().Name + " " + row.Key()}
		}
		r.unlock = release
	}
	row.Set("claimProcessId", r.p.ID)
	row.Set("claimEpoch", row.Int("claimEpoch")+1)
	r.touch(row)
	return nil
}

func (r *run) busy(ctx context.Context, err error) error {
	var busy *process.BusyError
	if !errors.As(err, &busy) {
		return err
	}
	r.dirty = nil
	return r.pauseIn(ctx, store.Pause{Reason: process.ResourceBusy, DelayMillis: r.busyDelay().Milliseconds(), GiveBack: true, Busy: true, Error: err.Error()})
}

// unit returns the open transaction; it opens one if there is none. Its commit is
// fenced by the epoch of this run.
func (r *run) unit(ctx context.Context) (*store.Tx, error) {
	if r.tx != nil {
		return r.tx, nil
	}
	label := ""
	if r.top != nil {
		label = r.top.def.Name
	}
	tx, err := r.e.Store.Begin(ctx, label)
	if err != nil {
		return nil, err
	}
	r.tx, r.fenced = tx, false
	return tx, nil
}

// touch remembers a row that has to be saved.
func (r *run) touch(row *schema.Row) {
	if r.shown == row {
		r.shown = nil
	}
	for _, d := range r.dirty {
		if d == row {
			return
		}
	}
	r.dirty = append(r.dirty, row)
}

// move sets a state. A row that was there before this unit shows every step to the
// database, so that its history has no gaps; a new one is written as it ends up.
func (r *run) move(ctx context.Context, row *schema.Row, field, to string) error {
	from := row.Str(field)
	if from == to {
		return nil
	}
	if !r.born[row] && stepPending(row, field) {
		if err := r.save(ctx, row); err != nil {
			return err
		}
	}
	row.Set(field, to)
	r.touch(row)
	if field == "state" {
		r.changes = append(r.changes, Change{Type: row.Type().Name, ID: row.ID(), Account: row.Int("accountId"), Previous: from, State: to})
	}
	return nil
}

func stepPending(row *schema.Row, field string) bool {
	for _, c := range row.Changed() {
		if c == field {
			return true
		}
	}
	return false
}

func (r *run) save(ctx context.Context, row *schema.Row) error {
	tx, err := r.unit(ctx)
	if err != nil {
		return err
	}
	write := tx.Update
	if r.fresh[row] {
		delete(r.fresh, row)
		write = tx.InsertAs
	}
	if err := write(ctx, row); err != nil {
		return fmt.Errorf("cannot save %s %d: %w", row.Type().Name, row.ID(), err)
	}
	return nil
}

// flush writes all changed rows into the open unit.
func (r *run) flush(ctx context.Context) error {
	dirty := r.dirty
	r.dirty = nil
	for _, row := range dirty {
		if err := r.save(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// commit makes durable what was written since the last time.
func (r *run) commit(ctx context.Context) error {
	if err := r.flush(ctx); err != nil {
		return err
	}
	if r.tx == nil {
		return nil
	}
	if !r.fenced {
		if err := r.tx.Fence(ctx, r.p); err != nil {
			return err
		}
	}
	err := r.tx.Commit(ctx)
	r.tx = nil
	clear(r.born)
	if err != nil {
		return err
	}
	r.unclaimed = false
	r.announce()
	return nil
}

// announce tells what has become durable.
func (r *run) announce() {
	if len(r.bells) > 0 {
		r.e.Ring(r.bells)
		r.bells = nil
	}
	if len(r.changes) > 0 {
		for _, c := range r.changes {
			if IsExternal(c.Type) {
				r.e.ForgetExternal()
			}
		}
		r.e.Tell(r.changes)
		r.changes = nil
	}
}

// abandon forgets what is not durable.
func (r *run) abandon() {
	if r.tx != nil {
		r.tx.Rollback()
		r.tx = nil
	}
	r.bells, r.changes, r.logged = nil, nil, false
	top := r.top
	r.reset()
	if top != nil {
		r.rows[key{top.row.Type().Name, top.row.ID()}] = top.row
	}
}

func (r *run) close() {
	r.abandon()
	if r.unlock != nil {
		r.unlock()
	}
	if r.suspended != nil {
		r.e.Caller.Forget(r.suspended.ID)
	}
}

// refetch reads a row anew and puts it in the place of the old object.
func (r *run) refetch(ctx context.Context, row *schema.Row) (*schema.Row, error) {
	tx, err := r.unit(ctx)
	if err != nil {
		return nil, err
	}
	fresh, err := tx.Get(ctx, row.Type(), row.ID())
	if err != nil {
		return nil, err
	}
	*row = *fresh
	return row, nil
}

// end closes the process with the last state of its resource, its log and the
// wake of the next in line, together.
func (r *run) finish(ctx context.Context, reason process.Reason) error {
	if _, err := r.unit(ctx); err != nil {
		return err
	}
	if err := r.finishIn(ctx, reason); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

func (r *run) finishIn(ctx context.Context, reason process.Reason) error {
	if r.shown != nil {
		r.touch(r.shown)
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.tx.Finish(ctx, r.p, reason); err != nil {
		return err
	}
	r.fenced = true
	if err := r.keepLog(ctx); err != nil {
		return err
	}
	if r.p.RunEpoch > 1 || r.suspended != nil { // this attempt, or one before it, may have asked
		if err := r.tx.DropRequests(ctx, r.p.ID); err != nil {
			return err
		}
	}
	if reason != process.Chain { // what is chained to has just woken them
		if err := r.tx.WakeNext(ctx, r.p.ResourceType, fmt.Sprint(r.p.ResourceID), r.p.ID, &r.bells); err != nil {
			return err
		}
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	r.countEnd(reason)
	return errEnded
}

// pause ends the attempt; the process goes on later.
func (r *run) pause(ctx context.Context, w store.Pause, logged bool) error {
	if _, err := r.unit(ctx); err != nil {
		return err
	}
	if logged {
		if err := r.keepLog(ctx); err != nil {
			return err
		}
	}
	for _, q := range r.requests {
		if q.AgentID == 0 && q.Status == store.RequestReplied {
			if err := r.tx.DropReplies(ctx, r.p.ID); err != nil {
				return err
			}
			break
		}
	}
	if err := r.pauseIn(ctx, w); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

func (r *run) pauseIn(ctx context.Context, w store.Pause) error {
	if r.shown != nil {
		r.touch(r.shown)
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.keepDeath(ctx); err != nil {
		return err
	}
	w.Phase, w.Step = r.phase, r.at.Load().String()
	if w.Busy {
		w.Resource = r.blocked
	}
	bell, due, err := r.tx.Pause(ctx, r.p, w)
	if err != nil {
		return err
	}
	r.fenced = true
	if due {
		r.bells = append(r.bells, bell)
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	r.countPause(w)
	if !due {
		r.e.later(bell, time.Duration(w.DelayMillis)*time.Millisecond)
	}
	return errEnded
}

// suspend gives up the slot, and records the request that the process waits for, if
// it is one. The claims stay in force. A reply that arrived in between is stored at once.
func (r *run) suspend(ctx context.Context, w *process.WaitingError) error {
	q := r.suspended
	tx, err := r.unit(ctx)
	if err != nil {
		return err
	}
	if q != nil {
		if err := tx.SaveRequest(ctx, *q); err != nil {
			return err
		}
	}
	err = r.pauseIn(ctx, store.Pause{DelayMillis: w.After.Milliseconds(), Holding: true, WaitAgent: w.Agent, GiveBack: true, Error: w.Error()})
	if err != nil && !errors.Is(err, errEnded) {
		return err
	}
	if q == nil {
		return nil
	}
	if reply := r.e.Caller.Forget(q.ID); reply != nil {
		return r.e.Accept(ctx, wire.Answer{AgentID: q.AgentID, Any: true, Reply: reply})
	}
	return nil
}

// Accept stores a reply that no run waits for any more and wakes its process, or shows what
// it says of progress.
func (e *Engine) Accept(ctx context.Context, a wire.Answer) error {
	reply := a.Reply
	if len(reply.PreviousIDs) == 0 {
		return nil
	}
	if !reply.IsFinal() {
		row, err := e.Store.StoreProgress(ctx, reply.PreviousIDs[0], a.AgentID, a.Any, e.Settings.Int(timeoutOf(a.AgentID)),
			wire.Value(reply.TransitioningMessage), reply.TransitioningProgress)
		if row != nil {
			e.Tell([]Change{progressed(row)})
		}
		return err
	}
	raw, err := wire.Encode(reply)
	if err != nil {
		return err
	}
	bells, err := e.Store.StoreReply(ctx, reply.PreviousIDs[0], a.AgentID, a.Any, raw)
	if len(bells) > 0 {
		e.Ring(bells)
	}
	return err
}

// renew keeps the lease while the attempt runs. A run that cannot is stopped.
func (r *run) renew(ctx context.Context, stop func()) {
	third := time.Duration(r.e.lease()) * time.Millisecond / 3
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(third):
		}
		err := r.e.Store.Write(ctx, "renew", func(tx *store.Tx) error {
			return tx.Renew(ctx, r.p, r.e.lease(), r.at.Load().String())
		})
		switch {
		case err == nil:
			misses = 0
		case errors.Is(err, store.ErrFenced):
			stop()
			return
		default:
			if misses++; misses == 2 {
				stop()
				return
			}
		}
	}
}

func newID() string { return uuid.NewString() }

// later rings when a short pause is over. The reconciler does so as well, but looks
// only every few seconds.
func (e *Engine) later(bell store.Bell, pause time.Duration) {
	if pause < 5*time.Second {
		time.AfterFunc(pause+time.Millisecond, func() { e.Ring([]store.Bell{bell}) })
	}
}
