package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// A state that was forced may take from somebody the right to be connected.
func TestWhatIsForcedIsLookedAtByTheGateways(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(testkit.RedisDB(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	s := &server{bus: event.New(client, slog.New(slog.DiscardHandler))}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { _ = s.bus.Run(ctx); close(over) }()
	t.Cleanup(func() { stop(); <-over; _ = client.Close() })
	heard := make(chan wire.Revoked, 10)
	defer s.bus.Subscribe(ctx, wire.RevokeChannel, func(p string) {
		var r wire.Revoked
		_ = json.Unmarshal([]byte(p), &r)
		heard <- r
	})()
	s.changed(rest.Change{Type: "instance", ID: "1", Action: "force"}, nil)
	s.changed(rest.Change{Type: "credential", ID: "2", Action: "deactivate"}, nil)
	s.changed(rest.Change{Type: "agent", ID: "3", Action: "force"}, nil)
	select {
	case r := <-heard:
		if r.Type != "agent" || r.ID != 3 {
			t.Errorf("the gateways look at %v", r)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no gateway hears of it")
	}
}
