package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/engine"
)

// caller sends commands to agents through whichever gateway holds them, and hands
// replies to the runs that wait.
type caller struct {
	bus    *event.Bus
	server string
	log    *slog.Logger
	stray  func(ctx context.Context, a wire.Answer) error
	strays chan struct{}                                      // one for each that is being stored
	reach  func(ctx context.Context, agent *schema.Row) error // brings an agent to its host, nil if nobody does
	// runs names what an agent runs, for those that a server begins to play.
	runs func(ctx context.Context, agent int64) ([]string, error)

	mu    sync.Mutex
	calls map[string]*call // by id of the event
}

// call is one command whose reply this server is interested in.
type call struct {
	agent   int64 // 0 for a handler from outside
	replies chan *wire.Event
	late    *wire.Event // the final reply, if nobody read it
}

// mostStrays is how many replies that no run waits for are stored at once.
const mostStrays = 100

func newCaller(bus *event.Bus, server string, log *slog.Logger) *caller {
	return &caller{bus: bus, server: server, log: log, calls: map[string]*call{}, strays: make(chan struct{}, mostStrays)}
}

// listen hears replies until ctx ends.
func (c *caller) listen(ctx context.Context) {
	own := c.bus.SubscribeOwn(ctx, wire.ServerChannel(c.server), func(p string) { c.hear(ctx, p) })
	others := c.bus.Subscribe(ctx, wire.StrayChannel, func(p string) { c.hear(ctx, p) })
	go func() {
		<-ctx.Done()
		own()
		others()
	}()
}

// hear takes a reply from the bus. One that no run waits for is stored aside.
func (c *caller) hear(ctx context.Context, payload string) {
	a, err := wire.OpenAnswer(payload)
	if err != nil || len(a.Reply.PreviousIDs) == 0 {
		return
	}
	c.mu.Lock()
	waiting := c.calls[a.Reply.PreviousIDs[0]]
	if waiting != nil && (waiting.agent == a.AgentID && a.AgentID != 0 || a.Any) {
		if a.Reply.IsFinal() {
			waiting.late = a.Reply
		}
		select {
		case waiting.replies <- a.Reply:
		default:
		}
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if waiting != nil {
		c.suspect(ctx, a)
		return
	}
	select {
	case c.strays <- struct{}{}:
	default: // it is asked again
		c.log.WarnContext(ctx, "reply could not be stored", "agent", a.AgentID, "event", a.Reply.PreviousIDs[0], "err", "too many come at once")
		return
	}
	go func() {
		defer func() { <-c.strays }()
		err := c.stray(ctx, a)
		if errors.Is(err, store.ErrNotAsked) {
			c.suspect(ctx, a)
		} else if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "reply could not be stored", "agent", a.AgentID, "event", a.Reply.PreviousIDs[0], "err", err)
		}
	}()
}

// suspect tells the gateways of an agent that answered what another was asked.
func (c *caller) suspect(ctx context.Context, a wire.Answer) {
	c.log.WarnContext(ctx, "agent answered for another", "agent", a.AgentID, "event", a.Reply.PreviousIDs[0])
	if text, err := json.Marshal(wire.Suspect{AgentID: a.AgentID}); err == nil && a.AgentID != 0 {
		_, _ = c.bus.Publish(ctx, wire.SuspectChannel, string(text))
	}
}

func (c *caller) ReplyName(id string) string { return "reply." + c.server + "." + id }

func (c *caller) Forget(id string) *wire.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.calls[id]
	delete(c.calls, id)
	if q == nil {
		return nil
	}
	return q.late
}

func (c *caller) Send(ctx context.Context, agent *schema.Row, e *wire.Event, wait time.Duration, progress func(*wire.Event)) (*wire.Event, error) {
	q := &call{replies: make(chan *wire.Event, 16)}
	publish := c.ask
	if agent != nil {
		q.agent = agent.ID()
		publish = func(ctx context.Context, e *wire.Event) error { return c.publish(ctx, agent, e) }
	}
	c.mu.Lock()
	c.calls[e.ID] = q
	c.mu.Unlock()
	if err := publish(ctx, e); err != nil {
		return nil, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, engine.ErrSilent
		case reply := <-q.replies:
			if reply.IsFinal() {
				return reply, nil
			}
			if progress != nil {
				progress(reply)
				timer.Reset(wait)
			}
		}
	}
}

// ask gives a request to whoever listens for its name. Current curl cuts the name
// that a script subscribes to at the semicolon, so that it is told under the bare
// name as well.
func (c *caller) ask(ctx context.Context, e *wire.Event) error {
	text, err := wire.Encode(e)
	if err != nil {
		return err
	}
	bare, _, _ := strings.Cut(e.Name, ";")
	heard := int64(0)
	for _, name := range []string{e.Name, bare} {
		n, err := c.bus.Publish(ctx, wire.EventChannel(name), string(text))
		if err != nil {
			return engine.ErrOffline
		}
		heard += n
	}
	if heard == 0 {
		return engine.ErrOffline
	}
	return nil
}

// publish gives the command to the gateway that holds the agent. Agents that the
// server plays itself are offered to all gateways while none does.
func (c *caller) publish(ctx context.Context, agent *schema.Row, e *wire.Event) error {
	if e.Name != wire.AgentClose && !reachable(agent.State()) {
		return engine.ErrOffline
	}
	parcel, err := wire.Parcel{AgentID: agent.ID(), UUID: agent.UUID(), URI: agent.Str("uri"), GroupID: agent.Int("agentGroupId"), Server: c.server}.Carrying(e)
	if err != nil {
		return err
	}
	text, err := parcel.Encode()
	if err != nil {
		return err
	}
	n, err := c.bus.Publish(ctx, wire.AgentChannel(agent.Key()), text)
	if n > 0 {
		return nil
	}
	if err == nil && strings.HasPrefix(parcel.URI, "sim://") && e.Name != wire.AgentClose {
		if parcel.Data, err = wire.Encode(agent.Data()); err != nil {
			return fmt.Errorf("cannot write the data of agent %d: %w", agent.ID(), err)
		}
		if parcel.Running, err = c.runs(ctx, agent.ID()); err != nil {
			return fmt.Errorf("cannot read what agent %d runs: %w", agent.ID(), err)
		}
		if text, err = parcel.Encode(); err != nil {
			return err
		}
		n, err = c.bus.Publish(ctx, wire.ConnectChannel, text)
	}
	if n > 0 && err == nil {
		return nil
	}
	return c.absent(ctx, agent, e)
}

// absent says that nobody holds an agent. One that is reached over SSH is brought to
// its host meanwhile.
func (c *caller) absent(ctx context.Context, agent *schema.Row, e *wire.Event) error {
	if c.reach == nil || e.Name == wire.AgentClose || !strings.HasPrefix(agent.Str("uri"), "ssh://") {
		return engine.ErrOffline
	}
	if err := c.reach(ctx, agent); err != nil {
		return fmt.Errorf("%w: %w", engine.ErrOffline, err)
	}
	return engine.ErrOffline
}

// reachable tells whether an agent in a state gets commands.
func reachable(state string) bool {
	return state == "activating" || state == "active" || state == "reconnecting"
}

func id(n int64) *string { s := fmt.Sprint(n); return &s }
