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
	urgent, normal chan int64

	mu      sync.Mutex
	waiting map[int64]bool // what is in the channels: a second bell for it is none
}

func newBacklog() backlog {
	return backlog{urgent: make(chan int64, mostOwn), normal: make(chan int64, mostOwn), waiting: map[int64]bool{}}
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
	case into <- b.ID:
		l.waiting[b.ID] = true
		return true
	default:
		return false
	}
}

// take returns the process of the next bell; ok is false once ctx has ended. Whoever is
// rung for from now on is looked at once more.
func (l *backlog) take(ctx context.Context) (id int64, ok bool) {
	select {
	case id = <-l.urgent:
	default:
		select {
		case <-ctx.Done():
			return 0, false
		case id = <-l.urgent:
		case id = <-l.normal:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, id)
	return id, true
}
