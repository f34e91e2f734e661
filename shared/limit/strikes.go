package limit

import (
	"sync"
	"time"
)

// Strikes count what nobody does by mistake again and again, and say who is out for it.
type Strikes struct {
	mu sync.Mutex
	of map[int64]strikes
}

type strikes struct {
	n     int
	first time.Time
	out   time.Time // until when
}

// NewStrikes returns Strikes without any.
func NewStrikes() *Strikes { return &Strikes{of: map[int64]strikes{}} }

// Strike counts one against somebody, and tells whether this is the last that is allowed in a
// window, that puts them out for so long.
func (s *Strikes) Strike(id int64, allowed int, window, out time.Duration, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, known := s.of[id]
	if !known && len(s.of) >= most {
		s.sweep(window, now)
	}
	if now.Sub(own.first) > window {
		own = strikes{first: now, out: own.out}
	}
	own.n++
	put := own.n >= allowed && now.After(own.out)
	if put {
		own = strikes{first: now, out: now.Add(out)}
	}
	s.of[id] = own
	return put
}

// Out is for how long somebody is still out.
func (s *Strikes) Out(id int64, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.of[id].out.Sub(now), 0)
}

// sweep makes room: of those who are not out, all whose window is over, and others if
// there are too many.
func (s *Strikes) sweep(window time.Duration, now time.Time) {
	for id, own := range s.of {
		if now.After(own.out) && (now.Sub(own.first) > window || len(s.of) >= most) {
			delete(s.of, id)
		}
	}
}
