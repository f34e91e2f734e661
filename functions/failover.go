package functions

import (
	"context"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// failover has instances that are to be restarted leave hosts that are gone, once those
// have been for ha.host.restart.after.seconds; 0 is never. What is to be stopped or
// removed when it is lost stays: nobody knows whether it is. What is still being started
// for the first time leaves as well, whatever is to become of it later: it has nothing
// there to lose, and whoever asked for it waits.
//
// When more than ha.host.lost.limit.percent of all hosts are gone at once, and more than
// one, it is rather the network that is: then nothing moves until an operator raises the
// limit, or so many are back that it holds, for as long again.
var failover = Function{Name: "host.failover", Unrecorded: true, Run: func(ctx context.Context, s *Scheduler) error {
	gone, of, now, err := s.Store.GoneHosts(ctx)
	if err != nil {
		return err
	}
	after := s.Settings.Seconds("ha.host.restart.after.seconds")
	held := s.hold(ctx, len(gone), of, after)
	if held || after <= 0 {
		return nil
	}
	for _, h := range gone {
		if now-h.Since < after.Milliseconds() {
			continue
		}
		if err := s.evacuate(ctx, h); err != nil {
			return err
		}
	}
	return nil
}}

// outage is what failover remembers of hosts that are gone.
type outage struct {
	gone int       // hosts, when last counted
	held bool      // that they were too many then
	last time.Time // when they last were
}

// hold tells whether nothing is to be moved now, because too many hosts are gone or
// were a moment ago.
func (s *Scheduler) hold(ctx context.Context, gone, of int, after time.Duration) bool {
	percent := int(s.Settings.Int("ha.host.lost.limit.percent"))
	limit := max(1, of*percent/100)
	many := gone > limit
	s.mu.Lock()
	was := s.hosts.held
	s.hosts.gone, s.hosts.held = gone, many
	if many {
		s.hosts.last = time.Now()
	} else if percent >= 100 {
		s.hosts.last = time.Time{} // the operator has decided
	}
	last := s.hosts.last
	s.mu.Unlock()
	switch {
	case many && !was:
		s.Log.ErrorContext(ctx, "too many hosts are gone to move what runs there: raise ha.host.lost.limit.percent if they do not come back",
			"gone", gone, "of", of, "limit", limit)
	case was && !many:
		s.Log.InfoContext(ctx, "few hosts are gone", "gone", gone, "of", of)
	}
	return many || time.Since(last) < after
}

// evacuate has what runs on a host that is gone start elsewhere, where it may.
func (s *Scheduler) evacuate(ctx context.Context, h store.GoneHost) error {
	rows, err := s.Store.On(ctx, h.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !leaves(row) {
			continue
		}
		why, err := s.bound(ctx, row)
		if err != nil {
			return err
		}
		if why != "" {
			if s.news("bound " + row.UUID()) {
				s.Log.WarnContext(ctx, "instance stays on a host that is gone", "type", "instance", "resource", row.ID(), "agent", h.Agent, "err", why)
			}
			continue
		}
		move, options := "instance.restart", map[string]any{resource.HARestart: true, resource.LostHost: h.ID}
		if row.State() == "starting" {
			move, options = "instance.stop", map[string]any{"start": true, resource.LostHost: h.ID}
		}
		moved, err := s.move(ctx, move, row.ID(), row.State(), row.Int("stateSince"), options)
		if err != nil {
			return err
		}
		if moved {
			s.Log.WarnContext(ctx, "instance leaves a host that is gone", "type", "instance", "resource", row.ID(), "agent", h.Agent)
		}
	}
	return nil
}

// leaves tells whether an instance is one that may leave a host that is gone.
func leaves(row *schema.Row) bool {
	restarts := row.Str("instanceTriggeredStop") == "restart"
	switch row.State() {
	case "running":
		return restarts
	case "starting":
		return restarts || row.Get("firstRunning") == nil
	}
	return false
}

// bound says why an instance cannot start on another host than its own, "" if it can.
// What a container writes outside its volumes is lost with its host in any case.
func (s *Scheduler) bound(ctx context.Context, instance *schema.Row) (string, error) {
	if instance.Field("requestedHostId") != nil {
		return "it asks for this host", nil
	}
	if mounts, _ := instance.Field("dataVolumes").([]any); len(mounts) > 0 {
		return "its data volumes are on this host", nil
	}
	volumes, err := s.Store.Find(ctx, resource.All.Type("volume"), process.Match{"instanceId": instance.ID(), "removed": nil})
	if err != nil {
		return "", err
	}
	for _, v := range volumes {
		if instance.Kind() == "container" && v.Int("deviceNumber") == 0 && v.Int("imageId") != 0 {
			continue
		}
		shared, err := s.Store.OnSharedPools(ctx, v.ID())
		if err != nil {
			return "", err
		}
		if !shared {
			return "its volume " + v.Key() + " is on this host alone", nil
		}
	}
	return "", nil
}
