package functions

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// callRoll asks each active agent of the classic kind whether it is well, and keeps which
// did not answer. Such an agent may hold its stream open and do nothing more; of any other
// the gateway that holds it knows.
func (s *Scheduler) callRoll(ctx context.Context, active []int64) error {
	if s.Bus == nil || !s.calling.TryLock() {
		return nil
	}
	defer s.calling.Unlock()
	a := s.newAuditor()
	defer a.silence()
	classic, err := a.classic(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	quiet := map[int64]bool{}
	for _, agent := range active {
		if !classic[agent] {
			continue
		}
		a.listen(ctx)
		all.Go(func() {
			said := a.ask(ctx, agent, wire.Ping, s.Settings.Seconds("agent.ping.timeout.seconds"), wire.PingData{Resources: []wire.Resource{}})
			if said == nil {
				mu.Lock()
				defer mu.Unlock()
				quiet[agent] = true
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(min(betweenPings, wholeRound/time.Duration(len(classic)))):
		}
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = quiet
	return nil
}

// rollTime is how long gateways may take to tell whom they hold.
const rollTime = time.Second

// classic asks the gateways which agents of the classic kind they hold.
func (a *auditor) classic(ctx context.Context) (map[int64]bool, error) {
	heard := make(chan []int64, 100)
	channel := wire.ServerChannel(a.name + ".roll")
	defer a.s.Bus.SubscribeOwn(ctx, channel, func(payload string) {
		var held wire.Held
		if json.Unmarshal([]byte(payload), &held) != nil {
			return
		}
		select {
		case heard <- held.Agents:
		default:
		}
	})()
	text, err := json.Marshal(wire.Roll{ReplyTo: channel})
	if err != nil {
		return nil, err
	}
	gateways, err := a.s.Bus.Publish(ctx, wire.RollChannel, string(text))
	out := map[int64]bool{}
	for late := time.After(rollTime); gateways > 0 && err == nil; gateways-- {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late:
			return out, nil
		case agents := <-heard:
			for _, id := range agents {
				out[id] = true
			}
		}
	}
	return out, err
}

// well is who is there without those who did not answer when they were asked last.
func (s *Scheduler) well(there map[int64]bool) map[int64]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := maps.Clone(there)
	for id := range s.quiet {
		delete(out, id)
	}
	return out
}
