package workers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/engine"
)

// News tells whoever listens what has become of resources. It may drop some: whoever
// needs to be sure reads the rows.
type News struct {
	bus     *event.Bus
	queue   chan []engine.Change
	dropped atomic.Int64
}

// NewNews returns news that travel over a bus, once they run.
func NewNews(bus *event.Bus) *News {
	return &News{bus: bus, queue: make(chan []engine.Change, 4000)}
}

// Tell hands changes on, and does not block.
func (n *News) Tell(changes []engine.Change) {
	select {
	case n.queue <- changes:
	default:
		n.dropped.Add(int64(len(changes)))
		n.bus.Owe()
	}
}

// Moved tells of a state that was set outside of a run.
func (n *News) Moved(typ string, id, account int64, from, to string) {
	n.Tell([]engine.Change{{Type: typ, ID: id, Account: account, Previous: from, State: to}})
}

// Dropped counts the news that nobody was told because too many waited to be.
func (n *News) Dropped() int64 { return n.dropped.Load() }

// stateChange is the data of the event state.change.
type stateChange struct {
	Previous string `json:"previousState"`
	State    string `json:"state"`
	Account  int64  `json:"accountId,omitempty"`
}

// gathering is how long news wait for more to go with them.
const gathering = 5 * time.Millisecond

// Run tells the news of a moment together, until ctx ends.
func (n *News) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case changes := <-n.queue:
			n.announce(ctx, n.gather(changes))
		}
	}
}

func (n *News) gather(changes []engine.Change) []engine.Change {
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	for len(changes) < 200 {
		select {
		case more := <-n.queue:
			changes = append(changes, more...)
		case <-timer.C:
			return changes
		}
	}
	return changes
}

// announce tells the changes; whoever needs to be sure reads the rows.
func (n *News) announce(ctx context.Context, changes []engine.Change) {
	named := map[string][]engine.Change{}
	var always []event.Message
	for _, c := range changes {
		name := wire.StateChange
		if c.Progress {
			name = wire.ProgressChange
		}
		named[name] = append(named[name], c)
		if revokes(c) {
			text, _ := wire.Encode(wire.Revoked{Type: c.Type, ID: c.ID})
			always = append(always, event.Message{Channel: wire.RevokeChannel, Payload: string(text)})
		}
		if engine.IsExternal(c.Type) {
			always = append(always, event.Message{Channel: wire.ExternalChannel, Payload: "{}"})
		}
	}
	if len(always) > 0 {
		_ = n.bus.PublishAll(ctx, always)
	}
	for name, list := range named {
		_ = n.bus.PublishHeard(ctx, wire.EventChannel(name), len(list), func(i int) string { return news(name, list[i]) })
	}
}

// news is the event that tells of a change.
func news(name string, c engine.Change) string {
	data, _ := wire.Encode(stateChange{c.Previous, c.State, c.Account})
	text, _ := wire.Encode(&wire.Event{ID: uuid.NewString(), Name: name, ResourceType: wire.Text(c.Type), ResourceID: id(c.ID),
		Data: data, TimeMillis: time.Now().UnixMilli()})
	return string(text)
}

// revokes tells whether a change takes from somebody the right to be connected.
func revokes(c engine.Change) bool {
	if c.Type != "credential" && c.Type != "account" && c.Type != "agent" {
		return false
	}
	return c.State == "inactive" || c.State == "removed" || c.State == "purged"
}
