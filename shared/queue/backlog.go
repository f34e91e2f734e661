package queue

import (
	"context"
	"sync"

	"github.com/cattleio/cattle/shared/process"
)

// mostOwn is how many bells of a kind may wait for the workers of the process that rang
// them: what these answer in a second or two. The queue costs Redis a dozen commands for
// each, but what waits there is everybody's.
const mostOwn = 1000

// backlog is the bells that this process rings for its own workers. It is lost with the
// process; the reconciler finds what was in it.
type backlog struct {
	urgent, normal chan process.Bell

	mu      sync.Mutex
	waiting map[int64]bool // what is in the channels: a second bell for it is none
}

func newBacklog() backlog {
	return backlog{urgent: make(chan process.Bell, mostOwn), normal: make(chan process.Bell, mostOwn), waiting: map[int64]bool{}}
}

// put lets a bell wait here, unless very many do.
func (l *backlog) put(b process.Bell) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[b.ID] {
		return true
	}
	into := l.normal
	if b.Priority > 0 {
		into = l.urgent
	}
	select {
	case into <- b:
		l.waiting[b.ID] = true
		return true
	default:
		return false
	}
}

// take returns the next bell; ok is false once ctx has ended. Whoever is
// rung for from now on is looked at once more.
func (l *backlog) take(ctx context.Context) (b process.Bell, ok bool) {
	select {
	case b = <-l.urgent:
	default:
		select {
		case <-ctx.Done():
			return b, false
		case b = <-l.urgent:
		case b = <-l.normal:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, b.ID)
	return b, true
}
