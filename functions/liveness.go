package functions

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// liveness notices agents that no gateway holds any more, or that answer nothing, and takes
// them through agent.reconnect: their hosts get nothing new until they answer again. An agent
// has agent.ping.reconnect.after.failed.count runs to come back. When many are gone
// at once it is rather a gateway or the network that is: then they have four times
// that, to the last of them.
//
// Those that are there it asks what runs with them, and less often what they have, beside
// everything else.
var liveness = Function{Name: "agent.ping", Unrecorded: true, Run: func(ctx context.Context, s *Scheduler) error {
	tick := s.tick()
	if s.turn(tick, "agent.ping.resources.every") && tick > 0 || s.Settings.Int("agent.ping.resources.every") == 1 {
		s.beside.Go(func() {
			if err := s.survey(ctx, s.turn(tick, "agent.ping.stats.every")); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "agents were not asked what they have", "err", err)
			}
		})
	}
	if s.turn(tick, "agent.ping.instances.every") {
		s.beside.Go(func() {
			if err := s.audit(ctx); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "agents were not asked what runs with them", "err", err)
			}
		})
	}
	agents, err := s.Store.Agents(ctx)
	if err != nil || len(agents) == 0 {
		return err
	}
	ids := make([]int64, len(agents))
	for i, a := range agents {
		ids[i] = a.ID
	}
	there, err := s.Connected(ctx, ids)
	if err != nil {
		return err
	}
	if err := s.remember(ctx, agents, there); err != nil {
		return err
	}
	ids = ids[:0]
	for _, a := range agents {
		if a.Active {
			ids = append(ids, a.ID)
		}
	}
	active := slices.Clone(ids)
	s.beside.Go(func() {
		if err := s.callRoll(ctx, active); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "agents were not asked whether they are well", "err", err)
		}
	})
	for _, id := range s.missing(ids, s.well(there)) {
		if err := s.reconnect(ctx, id); err != nil {
			return err
		}
	}
	return nil
}}

// tick counts the runs of liveness.
func (s *Scheduler) tick() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks++
	return s.ticks - 1
}

// turn tells whether a run of liveness is one of every so many, the first among them.
func (s *Scheduler) turn(tick int64, setting string) bool {
	every := s.Settings.Int(setting)
	return every > 0 && tick%every == 0
}

// remember keeps since when agents are gone, for whoever asks why something waits.
// When many go at once it is kept of those alone who stay away: a gateway that dies
// writes nothing about agents that are soon back.
func (s *Scheduler) remember(ctx context.Context, agents []store.Tethered, there map[int64]bool) error {
	var gone, fresh, back []int64
	for _, a := range agents {
		switch held := there[a.ID]; {
		case !held && !a.Gone && a.Active && s.missed(a.ID) < s.looks():
			fresh = append(fresh, a.ID)
		case !held && !a.Gone:
			gone = append(gone, a.ID)
		case held && a.Gone:
			back = append(back, a.ID)
		}
	}
	if s.calm(many(len(fresh), len(agents))) {
		gone = append(gone, fresh...)
	}
	return s.Store.Disconnected(ctx, gone, back)
}

// mostLost is how many agents are lost in a moment before the next look is waited for.
const mostLost = 1000

// notice keeps since when agents are gone of which a gateway says that their connections
// are lost, rather than at the next look, unless they are back in a moment or many are gone
// at once. It only tells those who ask and who place instances: looks decide.
func (s *Scheduler) notice(ctx context.Context) {
	if s.Bus == nil {
		return
	}
	lost := make(chan int64, mostLost)
	defer s.Bus.Subscribe(ctx, wire.DownChannel, func(payload string) {
		var down wire.AgentDown
		if json.Unmarshal([]byte(payload), &down) != nil {
			return
		}
		select {
		case lost <- down.AgentID:
		default:
		}
	})()
	for {
		var ids []int64
		select {
		case <-ctx.Done():
			return
		case id := <-lost:
			ids = append(ids, id)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.moment):
		}
		for range len(lost) {
			ids = append(ids, <-lost)
		}
		if err := s.keepLost(ctx, ids); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "lost connections were not noted", "err", err)
		}
	}
}

// keepLost keeps since when those of some agents are gone that should be there and are not.
func (s *Scheduler) keepLost(ctx context.Context, ids []int64) error {
	agents, err := s.Store.Agents(ctx)
	if err != nil {
		return err
	}
	there, err := s.Connected(ctx, ids)
	if err != nil {
		return err
	}
	var gone []int64
	for _, a := range agents {
		if held, asked := there[a.ID]; asked && !held && a.Active && !a.Gone {
			gone = append(gone, a.ID)
		}
	}
	if s.stormy() || many(len(gone), len(agents)) {
		return nil
	}
	return s.Store.Disconnected(ctx, gone, nil)
}

// stormy tells whether many were gone at once lately.
func (s *Scheduler) stormy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storm > 0
}

// calm tells whether it is a while since many were gone at once; the last of them are
// given the time of the first.
func (s *Scheduler) calm(many bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.storm = max(s.storm-1, 0); many {
		s.storm = s.looks()
	}
	return s.storm == 0
}

// missed is how many looks in a row have not found an agent.
func (s *Scheduler) missed(id int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.absent[id].looks
}

// looks is how many looks an agent may miss.
func (s *Scheduler) looks() int {
	return max(int(s.Settings.Int("agent.ping.reconnect.after.failed.count")), 1)
}

// many tells whether so many are gone at once that it is rather a gateway or the
// network that is.
func many(gone, of int) bool { return gone > 5 && gone*10 > of }

// absence is how long an agent has been away.
type absence struct {
	looks int  // in a row that have not found it
	among bool // in one of them many were gone at once
}

// missing counts who is absent and returns those who have been for too long. Who went with
// many has more time, also once most of them are back.
func (s *Scheduler) missing(ids []int64, there map[int64]bool) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	absent := map[int64]absence{}
	for _, id := range ids {
		if !there[id] {
			a := s.absent[id]
			a.looks++
			absent[id] = a
		}
	}
	var out []int64
	among := many(len(absent), len(ids))
	for _, id := range slices.Sorted(maps.Keys(absent)) {
		a, patience := absent[id], s.looks()
		if a.among = a.among || among; a.among {
			patience *= 4
		}
		absent[id] = a
		if a.looks >= patience {
			out = append(out, id)
			delete(absent, id)
		}
	}
	s.absent = absent
	return out
}

func (s *Scheduler) reconnect(ctx context.Context, id int64) error {
	def := resource.All.Process("agent.reconnect")
	var launched *store.Launched
	err := s.Store.Write(ctx, "reconnect", func(tx *store.Tx) error {
		row, err := tx.Get(ctx, resource.All.Type("agent"), id)
		if err != nil || row.State() != "active" {
			return err
		}
		launched, err = tx.Launch(ctx, store.Launch{Process: def, Row: row, Server: s.Server,
			Priority: s.priority(def)})
		return err
	})
	if errors.Is(err, store.ErrCannotStart) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return nil // somebody moved it; next time
	}
	if launched != nil {
		s.Ring(launched.Bells)
		s.Log.WarnContext(ctx, "agent is gone", "agent", id)
	}
	return err
}
