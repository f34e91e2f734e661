package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

const (
	mostAccesses = 100
	signOfLife   = 10 * time.Second      // after which a silent access says that it is there
	takenAfter   = wire.AccessWindow / 4 // bytes, after which the other side is told
	codeTime     = 5 * time.Second       // for what a command has exited with
	mostParts    = 2048                  // of what a user sends that may wait here
)

// accesses are the ways for bytes that users have to the instances of this host. They
// live as long as the connection that they were opened over.
type accesses struct {
	drivers map[string]driver.Driver
	send    func(*wire.Event) error
	log     *slog.Logger
	work    sync.WaitGroup

	mu   sync.Mutex
	open map[string]*access
}

func newAccesses(drivers map[string]driver.Driver, send func(*wire.Event) error, log *slog.Logger) *accesses {
	return &accesses{drivers: drivers, send: send, log: log, open: map[string]*access{}}
}

// access is one of them.
type access struct {
	all    *accesses
	asked  *wire.Event
	cancel context.CancelFunc
	inputs chan wire.AccessPart

	mu    sync.Mutex
	seq   int64
	ahead int64         // bytes that were sent and not taken yet
	sent  int64         // bytes in all
	room  chan struct{} // has something once there may be room
	quiet time.Time     // since when nothing was sent
}

// take opens an access or passes a part on, and returns at once.
func (l *accesses) take(ctx context.Context, e *wire.Event) {
	if driver.Name(e) == wire.AccessInput {
		var part wire.AccessPart
		if json.Unmarshal(e.Data, &part) == nil {
			l.pass(part)
		}
		return
	}
	var wanted wire.Access
	err := json.Unmarshal(e.Data, &wanted)
	way, can := l.drivers[wanted.Kind].(driver.Accessor)
	switch {
	case err != nil:
		_ = l.send(e.Fail("what is wanted cannot be read", err.Error()))
		return
	case !can:
		_ = l.send(e.Fail("hosts of kind "+wanted.Kind+" have no "+wanted.What, ""))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &access{all: l, asked: e, cancel: cancel, inputs: make(chan wire.AccessPart, mostParts), room: make(chan struct{}, 1), quiet: time.Now()}
	l.mu.Lock()
	full := len(l.open) >= mostAccesses
	if _, twice := l.open[e.ID]; !full && !twice {
		l.open[e.ID] = a
	} else {
		full = true
	}
	l.mu.Unlock()
	if full {
		cancel()
		_ = l.send(e.Fail("too many look at this host", ""))
		return
	}
	l.work.Go(func() {
		defer l.forget(e.ID)
		defer cancel()
		a.serve(ctx, way, wanted)
	})
}

func (l *accesses) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
}

func (l *accesses) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.open {
		a.cancel()
	}
}

func (l *accesses) wait() { l.work.Wait() }

// pass gives a part to its access. One that sends more than it may is ended.
func (l *accesses) pass(part wire.AccessPart) {
	l.mu.Lock()
	a := l.open[part.ID]
	l.mu.Unlock()
	switch {
	case a == nil:
	case part.Close:
		a.cancel()
	default:
		if part.Taken > 0 {
			a.taken(part.Taken)
		}
		if len(part.Bytes) == 0 && !part.Ended && part.Width == 0 {
			return
		}
		select {
		case a.inputs <- part:
		default:
			a.cancel()
		}
	}
}

// serve opens the way and goes on until either side has ended.
func (a *access) serve(ctx context.Context, d driver.Accessor, wanted wire.Access) {
	way, err := d.Access(ctx, wanted)
	if err != nil {
		_ = a.all.send(a.asked.Fail(err.Error(), ""))
		return
	}
	defer context.AfterFunc(ctx, func() { _ = way.Close() })()
	defer way.Close()
	a.say(wire.AccessPart{})
	a.all.work.Go(func() { a.write(ctx, way) })
	a.all.work.Go(func() { a.live(ctx) })
	a.read(ctx, way)
	if ctx.Err() != nil {
		return
	}
	asked, cancel := context.WithTimeout(ctx, codeTime)
	defer cancel()
	if last, err := a.asked.Reply(wire.AccessPart{Code: way.Code(asked)}); err == nil {
		_ = a.all.send(last)
	}
}

// read sends what comes, as far as the other side takes it.
func (a *access) read(ctx context.Context, way driver.Way) {
	buffer := make([]byte, wire.AccessChunk)
	for {
		n, err := way.Read(buffer)
		if n > 0 && !a.sendBytes(ctx, buffer[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (a *access) sendBytes(ctx context.Context, b []byte) bool {
	for {
		a.mu.Lock()
		fits := a.ahead+int64(len(b)) <= wire.AccessWindow
		if fits {
			a.ahead += int64(len(b))
			a.sent += int64(len(b))
			a.seq++
		}
		seq := a.seq
		a.mu.Unlock()
		if fits {
			return a.say(wire.AccessPart{Seq: seq, Bytes: b})
		}
		select {
		case <-a.room:
		case <-ctx.Done():
			return false
		}
	}
}

// taken hears how many bytes the user has.
func (a *access) taken(total int64) {
	a.mu.Lock()
	a.ahead = max(a.sent-total, 0)
	a.mu.Unlock()
	select {
	case a.room <- struct{}{}:
	default:
	}
}

// say sends a part. An access whose connection is gone is over.
func (a *access) say(part wire.AccessPart) bool {
	e, err := a.asked.Reply(part)
	if err == nil {
		e.Transitioning = wire.Text(wire.Progress)
		err = a.all.send(e)
	}
	if err != nil {
		a.cancel()
	}
	a.mu.Lock()
	a.quiet = time.Now()
	a.mu.Unlock()
	return err == nil
}

// write passes on what the user sends, in its order.
func (a *access) write(ctx context.Context, way driver.Way) {
	var next, got, told int64
	for {
		var part wire.AccessPart
		select {
		case part = <-a.inputs:
		case <-ctx.Done():
			return
		}
		if part.Width > 0 && part.Height > 0 {
			_ = way.Resize(part.Width, part.Height) // one that has none keeps its size
		}
		if len(part.Bytes) > 0 {
			if next++; part.Seq != next {
				a.all.log.WarnContext(ctx, "a part of what a user sent was lost", "event", a.asked.ID)
				a.cancel()
				return
			}
			if _, err := way.Write(part.Bytes); err != nil {
				continue // it reads no more; what it has to say still comes
			}
			if got += int64(len(part.Bytes)); got-told >= takenAfter || len(a.inputs) == 0 {
				told = got
				a.say(wire.AccessPart{Taken: got})
			}
		}
		if part.Ended {
			_ = way.End() // the same
		}
	}
}

// live says now and then that a silent access is there.
func (a *access) live(ctx context.Context) {
	tick := time.NewTicker(signOfLife / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		quiet := time.Since(a.quiet) >= signOfLife/2
		a.mu.Unlock()
		if quiet {
			a.say(wire.AccessPart{})
		}
	}
}
