package gateway

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/shared/wire"
)

// past is what a gateway remembers of changes, so that a reader who comes back to it
// with a cursor misses nothing. A cursor names an age and a round of news in it: all up
// to that round has been told. An age ends when the gateway may have missed something:
// readers are told so then, and list again.
type past struct {
	age    string
	round  int64 // the last that has begun
	told   int64 // the last that every reader has been told
	oldest int64 // cursors before this one are too old
	kept   []bygone
	linger *time.Timer // runs while nobody reads who has a cursor
}

// bygone is a change that was told in a round.
type bygone struct {
	round   int64
	what    changed
	account int64
}

const (
	mostKept  = 50_000
	lingering = 5 * time.Minute // news are heard on after the last reader with a cursor left
)

// CursorExpired tells a reader that it may have missed something and has to list again.
const CursorExpired = "cursor.expired"

func (p *past) begin() {
	p.age = strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	p.oldest, p.kept = p.round, nil
}

func (p *past) cursor(round int64) string { return p.age + "." + strconv.FormatInt(round, 10) }

// read tells which round a cursor names, if all since then is remembered.
func (p *past) read(cursor string) (round int64, ok bool) {
	age, n, _ := strings.Cut(cursor, ".")
	round, err := strconv.ParseInt(n, 10, 64)
	return round, err == nil && age == p.age && round >= p.oldest && round <= p.round
}

// keep remembers a round.
func (p *past) keep(news map[changed]int64) {
	p.round++
	for k, account := range news {
		p.kept = append(p.kept, bygone{p.round, k, account})
	}
	for len(p.kept) > mostKept {
		p.oldest = p.kept[0].round
		p.kept = p.kept[1:]
	}
}

// since lists what was told after a round, each resource once.
func (p *past) since(round int64) map[changed]int64 {
	out := map[changed]int64{}
	for _, b := range p.kept {
		if b.round > round {
			out[b.what] = b.account
		}
	}
	return out
}

// resume places a reader that has a cursor, and lists what it has missed. c.mu is held.
func (c *changes) resume(r reader) (missed map[changed]int64, upTo int64) {
	if round, ok := c.past.read(r.cursor); ok {
		r.at.Store(c.past.cursor(round))
		r.behind.Store(true)
		return c.past.since(round), c.past.round
	}
	r.expired = r.cursor != ""
	r.at.Store(c.past.cursor(c.past.told))
	return nil, 0
}

// catchUp tells a reader what it has missed, then lets its cursor go on.
func (c *changes) catchUp(r reader, missed map[changed]int64, upTo int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	age, _, _ := strings.Cut(r.at.Load().(string), ".")
	views := c.viewsOf(map[int64]reader{0: r})
	var g errgroup.Group
	g.SetLimit(askers)
	for k, owner := range missed {
		g.Go(func() error { return c.tell(ctx, k, owner, views) })
	}
	failed := g.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if age != c.past.age {
		return // it was told to list again
	}
	if failed != nil {
		r.out.close(1013, "not all could be told: come again with the cursor")
		return
	}
	r.at.Store(c.past.cursor(max(upTo, c.past.told)))
	r.behind.Store(false)
}

// done ends a round: the cursors of all who were told go on.
func (c *changes) done(round int64, age string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age != c.past.age {
		return
	}
	c.past.told = round
	for _, r := range c.readers {
		if r.resumes && !r.behind.Load() {
			r.at.Store(c.past.cursor(round))
		}
	}
}

// interrupted begins a new age: something may have been missed. c.mu is not held.
func (c *changes) interrupted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past.begin()
	c.past.told = c.past.round
	for _, r := range c.readers {
		if r.resumes {
			r.at.Store(c.past.cursor(c.past.round))
			r.behind.Store(false)
			r.expire()
		}
	}
}

// expire tells a reader to list again.
func (s *stream) expire() {
	e := &wire.Event{ID: uuid.NewString(), Name: CursorExpired, TimeMillis: time.Now().UnixMilli()}
	e.Cursor, _ = s.at.Load().(string)
	s.send(e)
}
