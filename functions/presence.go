package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// Agents are asked one after the other what runs with them, at most some hundred a
// second unless that would take too long.
const (
	pageOfAgents = 200
	betweenPings = 10 * time.Millisecond
	wholeRound   = 15 * time.Second
)

// audit asks each agent that should run instances what runs there, and restarts what
// it misses twice in a row: restart decides by the instance whether it then stays
// stopped, runs again or is removed. A round that is under way is not begun again.
func (s *Scheduler) audit(ctx context.Context) error {
	if s.Bus == nil || !s.auditing.TryLock() {
		return nil
	}
	defer s.auditing.Unlock()
	a := s.newAuditor()
	defer a.silence()
	var all sync.WaitGroup
	defer all.Wait()
	for behind := int64(0); ctx.Err() == nil; {
		known, last, now, err := s.Store.Running(ctx, behind, pageOfAgents)
		if err != nil || last == 0 {
			return err
		}
		of := byAgent(known)
		if s.imports() { // also from those with whom nothing runs yet
			active, err := s.Store.Active(ctx, behind, last)
			if err != nil {
				return err
			}
			for _, agent := range active {
				if _, known := of[agent]; !known {
					of[agent] = nil
				}
			}
		}
		for _, agent := range slices.Sorted(maps.Keys(of)) {
			a.listen(ctx)
			all.Go(func() { a.look(ctx, agent, of[agent], now) })
			select {
			case <-ctx.Done():
			case <-time.After(min(betweenPings, wholeRound/time.Duration(len(of)+1))):
			}
		}
		behind = last
	}
	return nil
}

// imports tells whether what others have begun on hosts is to become instances.
func (s *Scheduler) imports() bool { return s.Settings.Get("agent.import.instances") == "true" }

func byAgent(known []store.Present) map[int64][]store.Present {
	of := map[int64][]store.Present{}
	for _, r := range known {
		of[r.Agent] = append(of[r.Agent], r)
	}
	return of
}

// auditor asks agents, and hears what they say.
type auditor struct {
	s      *Scheduler
	name   string // of the channel of the answers
	once   sync.Once
	cancel func()

	mu    sync.Mutex
	asked map[string]*question // by id of the ping
}

// question is one ping that an answer is awaited to.
type question struct {
	agent  int64
	answer chan wire.Answer
}

func (s *Scheduler) newAuditor() *auditor {
	return &auditor{s: s, name: s.Server + "." + uuid.NewString(), asked: map[string]*question{}}
}

// listen hears answers from now on.
func (a *auditor) listen(ctx context.Context) {
	a.once.Do(func() { a.cancel = a.s.Bus.SubscribeOwn(ctx, wire.ServerChannel(a.name), a.hear) })
}

func (a *auditor) silence() {
	if a.cancel != nil {
		a.cancel()
	}
}

func (a *auditor) hear(payload string) {
	said, err := wire.OpenAnswer(payload)
	if err != nil || len(said.Reply.PreviousIDs) == 0 {
		return
	}
	a.mu.Lock()
	q := a.asked[said.Reply.PreviousIDs[0]]
	a.mu.Unlock()
	if q == nil || q.agent != said.AgentID && !said.Any {
		return
	}
	select {
	case q.answer <- said:
	default:
	}
}

// look asks one agent, and once more if it misses something. Both lists must come over
// the same connection, and both must have been asked for when the instance ran already.
func (a *auditor) look(ctx context.Context, agent int64, known []store.Present, now int64) {
	epoch, missing := a.missing(ctx, agent, known, now)
	if len(missing) == 0 {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(a.s.patience):
	}
	again, still := a.missing(ctx, agent, missing, now)
	if again != epoch {
		return
	}
	for _, r := range still {
		if err := a.s.lost(ctx, r); err != nil && ctx.Err() == nil {
			a.s.Log.WarnContext(ctx, "an instance that is gone cannot be restarted", "type", "instance", "resource", r.ID, "err", err)
		}
	}
}

// missing asks an agent what runs with it and tells what of the known does not, over
// which connection. An agent that gives no complete list misses nothing.
func (a *auditor) missing(ctx context.Context, agent int64, known []store.Present, now int64) (epoch int64, out []store.Present) {
	said := a.ping(ctx, agent)
	if said == nil || said.Reply.Transitioning != nil && *said.Reply.Transitioning == wire.Failure {
		return 0, nil
	}
	var data wire.PingData
	if json.Unmarshal(said.Reply.Data, &data) != nil || !data.Options.Instances {
		return 0, nil
	}
	runs := map[string]wire.Resource{}
	for _, r := range data.Resources {
		if r.Type == "instance" {
			runs[r.UUID] = r
		}
	}
	for _, r := range known {
		if _, there := runs[r.UUID]; !there && r.Since <= now {
			out = append(out, r)
		}
		delete(runs, r.UUID)
	}
	a.s.strangers(ctx, agent, runs)
	return said.Epoch, out
}

// ping asks an agent once, and answers nil if it says nothing.
func (a *auditor) ping(ctx context.Context, agent int64) *wire.Answer {
	return a.ask(ctx, agent, wire.Ping, a.s.Settings.Seconds("agent.ping.timeout.seconds"),
		wire.PingData{Options: wire.PingOptions{Instances: true}, Resources: []wire.Resource{}})
}

// ask sends an agent a command once, and answers nil if it says nothing.
func (a *auditor) ask(ctx context.Context, agent int64, name string, wait time.Duration, content any) *wire.Answer {
	id, q := uuid.NewString(), &question{agent: agent, answer: make(chan wire.Answer, 1)}
	a.mu.Lock()
	a.asked[id] = q
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.asked, id)
		a.mu.Unlock()
	}()
	millis := wait.Milliseconds()
	data, err := wire.Encode(content)
	if err != nil {
		return nil
	}
	parcel, err := wire.Parcel{AgentID: agent, Server: a.name}.Carrying(&wire.Event{ID: id, Name: name, ReplyTo: wire.Text("reply." + a.name + "." + id),
		ResourceType: wire.Text("agent"), ResourceID: wire.Text(fmt.Sprint(agent)), Data: data, TimeMillis: time.Now().UnixMilli(), TimeoutMillis: &millis})
	if err != nil {
		return nil
	}
	text, err := parcel.Encode()
	if err != nil {
		return nil
	}
	if n, err := a.s.Bus.Publish(ctx, wire.AgentChannel(fmt.Sprint(agent)), text); err != nil || n == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(wait):
		return nil
	case said := <-q.answer:
		return &said
	}
}

// strangers logs once what an agent runs and nobody knows. What others have begun there
// is left alone, or imported.
func (s *Scheduler) strangers(ctx context.Context, agent int64, runs map[string]wire.Resource) {
	imports := s.imports()
	reports := s.Settings.Get("ha.instance.state.report.unknown") == "true"
	for name, r := range runs {
		foreign := r.Kind == wire.Foreign
		if foreign && !imports || !foreign && (!reports || s.told(name)) {
			continue
		}
		rows, err := s.Store.Find(ctx, resource.All.Type("instance"), process.Match{"uuid": name})
		if err != nil || len(rows) > 0 {
			continue // it comes or goes
		}
		if foreign {
			if err := s.adopt(ctx, agent, r); err != nil && ctx.Err() == nil && s.news(name) {
				s.Log.WarnContext(ctx, "what others have begun is not imported", "agent", agent, "uuid", name, "err", err)
			}
			continue
		}
		s.news(name)
		s.Log.WarnContext(ctx, "agent runs an instance that is not known", "agent", agent, "uuid", name)
	}
}

func (s *Scheduler) told(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strange[what]
}

// news tells whether something has not been told yet, and remembers that it is.
func (s *Scheduler) news(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strange) > 10_000 {
		clear(s.strange)
	}
	told := s.strange[what]
	s.strange[what] = true
	return !told
}

// lost restarts an instance that is gone from its host, if it still runs for us.
func (s *Scheduler) lost(ctx context.Context, r store.Present) error {
	restarted, err := s.move(ctx, "instance.restart", r.ID, "running", r.Since, map[string]any{resource.HARestart: true})
	if restarted {
		s.Log.WarnContext(ctx, "instance is gone from its host", "type", "instance", "resource", r.ID, "agent", r.Agent)
	}
	return err
}

// move launches a process of an instance with some options, if it has been in a state since
// the given moment. It tells whether it did: somebody else may move the instance.
func (s *Scheduler) move(ctx context.Context, name string, id int64, state string, since int64, options map[string]any) (bool, error) {
	def := resource.All.Process(name)
	var launched *store.Launched
	err := s.Store.Write(ctx, name, func(tx *store.Tx) error {
		launched = nil
		row, err := tx.Get(ctx, resource.All.Type("instance"), id)
		if err != nil || row.State() != state || row.Int("stateSince") != since {
			return err
		}
		launched, err = tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: s.Server,
			Data: map[string]any{resource.InstanceOptions: options}, Priority: s.priority(def)})
		return err
	})
	if errors.Is(err, store.ErrCannotStart) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return false, nil // somebody moved it
	}
	if launched == nil || err != nil {
		return false, err
	}
	s.Ring(launched.Bells)
	return true, nil
}
