package engine

import (
	"sync"
	"time"
)

// How long a run holds its slot for a reply.
const (
	inlineWait = 250 * time.Millisecond // most agents answer well within it
	shortWait  = 5 * time.Millisecond   // for those who did not, and while many wait
	firstDoubt = 2 * time.Second        // how long one who did not answer is given the short wait
	mostDoubt  = time.Minute            // it doubles up to here
	mostTimid  = 100_000                // how many are remembered
)

// patience decides how long runs hold their slots for replies. An agent that let a
// run wait in vain is given little time at first, and a real chance again later, by
// one run; and for those that have not proved themselves no more than a share of the
// slots wait long at any time. So a thousand slow agents cost others nothing: who
// gives up its slot is woken by the reply.
type patience struct {
	mu     sync.Mutex
	long   int             // runs that wait long for others than the quick
	most   int             // how many may
	quick  map[string]bool // answered in time when last asked
	slow   map[string]*doubt
	probed map[string]bool // a run gives these a chance now
}

// doubt is what is remembered of somebody who did not answer in time.
type doubt struct {
	until time.Time
	next  time.Duration
}

func newPatience(slots int) *patience {
	return &patience{most: max(slots/2, 1), quick: map[string]bool{}, slow: map[string]*doubt{}, probed: map[string]bool{}}
}

// begin tells how long to wait for somebody; end is called with what came of it.
func (p *patience) begin(whom string, timeout time.Duration) (wait time.Duration, end func(answered bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quick[whom] {
		return min(inlineWait, timeout), func(answered bool) { p.learn(whom, answered) }
	}
	d := p.slow[whom]
	short := p.long >= p.most || d != nil && (p.probed[whom] || time.Now().Before(d.until))
	if short || timeout <= shortWait {
		return min(shortWait, timeout), func(answered bool) {
			if answered {
				p.learn(whom, true)
			}
		}
	}
	p.long++
	if d != nil {
		p.probed[whom] = true
	}
	return min(inlineWait, timeout), func(answered bool) { p.finish(whom, answered) }
}

func (p *patience) finish(whom string, answered bool) {
	p.mu.Lock()
	p.long--
	delete(p.probed, whom)
	p.mu.Unlock()
	p.learn(whom, answered)
}

// learn remembers whether somebody answered in time.
func (p *patience) learn(whom string, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.slow)+len(p.quick) >= mostTimid {
		clear(p.slow)
		clear(p.quick)
	}
	if answered {
		p.quick[whom] = true
		delete(p.slow, whom)
		return
	}
	delete(p.quick, whom)
	d := p.slow[whom]
	if d == nil {
		d = &doubt{next: firstDoubt}
		p.slow[whom] = d
	}
	if now := time.Now(); now.After(d.until) { // of those that waited together, one counts
		d.until = now.Add(d.next)
		d.next = min(2*d.next, mostDoubt)
	}
}
