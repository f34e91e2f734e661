package gateway

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
)

// line is what the connection of an agent and an event stream have in common: the
// way out, its heartbeat, and what happens at its end. One timer a connection, no
// goroutine.
type line struct {
	out   outlet
	every time.Duration // of its heartbeat
	pings int           // that are still written; a stream without any is closed
	quiet bool          // the client needs no written ones
	who   *wire.Caller
	check func()        // whether the client may still be connected
	due   time.Time     // the next check; mu guards it
	again time.Duration // until the next; recheck if 0
	mark  func() string // the cursor that pings show; nil for none

	mu   sync.Mutex
	gone bool

	order sync.Mutex // of what is sent
	early bool       // the first ping is still to come: all else waits for it
	held  [][]byte   // what waits

	ends  []func()
	timer *time.Timer
}

// recheck is how often a connection is asked about of which no news came. Those
// about keys, accounts and agents that are withdrawn end it at once.
const recheck = 2 * time.Minute

// soon is when the connections are asked about of which news may have been lost. With a
// heartbeat that is half a minute, in which not all of many ask at once.
const soon = 15 * time.Second

// hurry brings the next check forward.
func (l *line) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := time.Now().Add(rand.N(soon)); at.Before(l.due) {
		l.due = at
	}
}

// mostHeld is how many frames may wait for the first ping.
const mostHeld = 1000

// send queues an object, behind the first ping.
func (l *line) send(v any) {
	raw, err := wire.Encode(v)
	if err != nil {
		return
	}
	l.order.Lock()
	defer l.order.Unlock()
	switch {
	case !l.early:
		l.out.write(raw)
	case len(l.held) < mostHeld:
		l.held = append(l.held, raw)
	default:
		l.out.close(1013, "too much at once")
	}
}

// first queues the first ping, then what has waited for it.
func (l *line) first(ping []byte) {
	l.order.Lock()
	defer l.order.Unlock()
	l.out.write(ping)
	for _, raw := range l.held {
		l.out.write(raw)
	}
	l.early, l.held = false, nil
}

// begin says that the subscription is in force, and starts the heartbeat.
func (l *line) begin() {
	l.ping()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		l.due = time.Now().Add(l.pause())
		l.timer = time.AfterFunc(l.every, l.beat)
	}
}

func (l *line) beat() {
	l.out.beat()
	l.ping()
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().After(l.due) {
		l.due = time.Now().Add(l.pause())
		go l.check()
	}
	if !l.gone {
		l.timer.Reset(l.every)
	}
}

// ping writes a ping that wants no answer.
func (l *line) ping() {
	if l.quiet {
		return
	}
	if l.pings--; l.pings < 0 {
		l.out.close(1000, "enough")
		return
	}
	e := &wire.Event{ID: uuid.NewString(), Name: wire.Ping, Data: json.RawMessage(`{"options":{},"resources":[]}`), TimeMillis: time.Now().UnixMilli()}
	if l.mark != nil {
		e.Cursor = l.mark()
	}
	if !l.early {
		l.send(e)
	} else if raw, err := wire.Encode(e); err == nil {
		l.first(raw)
	}
}

func (l *line) pause() time.Duration {
	if l.again > 0 {
		return l.again
	}
	return recheck
}

// atEnd calls f when the connection has ended; at once if it has already.
func (l *line) atEnd(f func()) {
	l.mu.Lock()
	gone := l.gone
	if !gone {
		l.ends = append(l.ends, f)
	}
	l.mu.Unlock()
	if gone {
		f()
	}
}

// ended is called once, by whoever reads the connection.
func (l *line) ended() {
	l.mu.Lock()
	l.gone = true
	ends, timer := l.ends, l.timer
	l.ends = nil
	l.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	for _, f := range ends {
		f()
	}
}
