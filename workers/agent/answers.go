package agent

import "github.com/cattleio/cattle/shared/wire"

// keptAnswers is how many final answers are kept for requests that are repeated.
const keptAnswers = 1000

// answers are the latest ones by the id of their request.
type answers struct {
	byID map[string]*wire.Event
	ids  []string // a ring once it is full
	next int
}

func (a *answers) add(id string, answer *wire.Event) {
	if id == "" {
		return
	}
	if len(a.ids) < keptAnswers {
		a.ids = append(a.ids, id)
	} else {
		delete(a.byID, a.ids[a.next])
		a.ids[a.next] = id
		a.next = (a.next + 1) % keptAnswers
	}
	a.byID[id] = answer
}
