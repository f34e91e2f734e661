package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/api/gateway"
	"github.com/cattleio/cattle/shared/resource"
)

// measure shows the numbers that the rooms keep themselves.
func (s *server) measure() {
	s.metrics.Count("cattle_events_published_total", "Messages sent over the bus.", s.bus.Published)
	s.metrics.Count("cattle_events_unsent_total", "Messages that the bus did not take.", s.bus.Unheard)
	s.metrics.Count("cattle_bells_dropped_total", "Bells left to the reconciler because too many waited.", s.queue.Dropped)
	s.metrics.Count("cattle_lock_refusals_total", "Locks that somebody else had.", s.locks.Refusals)
	if s.store == nil {
		return
	}
	s.metrics.Count("cattle_sql_commits_total", "Transactions committed.", s.store.Commits)
	s.store.Left = func(typ, state string, after time.Duration) {
		if t := resource.All.Type(typ); t != nil && resource.All.Moving(t, state) {
			s.metrics.Left(typ, state, after)
		}
	}
}

// measureGateway shows who is connected.
func (s *server) measureGateway(g *gateway.Gateway) {
	size := func(n func() int) func() int64 { return func() int64 { return int64(n()) } }
	s.metrics.Show("cattle_agents_connected", "Agents connected to this gateway.", size(g.Sessions))
	s.metrics.Show("cattle_agents_played", "Agents that this gateway plays itself.", size(g.Played))
	s.metrics.Show("cattle_streams_open", "Event streams open here.", size(g.Streams))
	s.metrics.Count("cattle_events_dropped_total", "News that listeners here were not told because too many waited.", g.Dropped)
}

// scraped answers scrapers on the port of a part that has no API and so cannot tell
// who asks: only where nobody but this machine reaches it, or where everybody may do
// everything anyway. Else it is nil, and metrics.address is the way.
func (s *server) scraped() http.Handler {
	v, decided := s.settings.Lookup("api.security.enabled")
	if decided && v.Value == "true" || !decided && !s.local() {
		return nil
	}
	return s.metrics
}

// expose shows the metrics at an address of their own, if there is one. Whoever
// reaches it may read them.
func (s *server) expose(ctx context.Context, g *errgroup.Group) error {
	address := s.settings.Get("metrics.address")
	if address == "" {
		return nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	g.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	g.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}
