package functions

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// An instance is taken for lost after two lists in a row that miss it, if both are
// complete, came over one connection from the agent that was asked, and were asked for
// when it ran already.
func TestWhatIsTakenForLost(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		name     string
		complete bool
		lists    []string // what runs, in the answers, one after the other
		epochs   []int64
		from     int64 // who answers, beside the agent's own id
		later    bool  // it runs only since the ping
		lost     bool
	}{
		{name: "missed twice", complete: true, lists: []string{"", ""}, epochs: []int64{1, 1}, lost: true},
		{name: "there", complete: true, lists: []string{"it", "it"}, epochs: []int64{1, 1}},
		{name: "missed once", complete: true, lists: []string{"", "it"}, epochs: []int64{1, 1}},
		{name: "not complete", lists: []string{"", ""}, epochs: []int64{1, 1}},
		{name: "two connections", complete: true, lists: []string{"", ""}, epochs: []int64{1, 2}},
		{name: "another answers", complete: true, lists: []string{"", ""}, epochs: []int64{1, 1}, from: 1},
		{name: "asked too early", complete: true, lists: []string{"", ""}, epochs: []int64{1, 1}, later: true},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			testkit.Databases(t, func(t *testing.T, address string) {
				ctx := context.Background()
				s := testkit.Store(t, address)
				c := clock(t, s, miniredis.RunT(t).Addr(), map[string]string{"agent.ping.timeout.seconds": "0.5"})
				c.patience = time.Millisecond
				var agent, instance *schema.Row
				write(t, s, func(tx *store.Tx) error {
					now, err := tx.Now(ctx)
					if err != nil {
						return err
					}
					if story.later {
						now += 3_600_000
					}
					insert := func(typ string, values map[string]any) *schema.Row {
						row := store.NewRow(resource.All.Type(typ), now, values)
						if err == nil {
							err = tx.Insert(ctx, row)
						}
						if err == nil {
							err = tx.Settle(ctx)
						}
						return row
					}
					agent = insert("agent", map[string]any{"uri": "event://x", "state": "active"})
					host := insert("host", map[string]any{"agentId": agent.ID(), "state": "active"})
					instance = insert("instance", map[string]any{"uuid": "it", "kind": "container", "state": "running", "stateSince": now})
					insert("instanceHostMap", map[string]any{"hostId": host.ID(), "instanceId": instance.ID(), "state": "active"})
					return err
				})
				var n atomic.Int64
				defer c.bus.Subscribe(ctx, wire.AgentChannel(agent.Key()), func(payload string) {
					p, err := wire.OpenParcel(payload)
					if err != nil || p.Text == "" {
						return
					}
					asked, err := p.Event()
					if err != nil {
						t.Error(err)
						return
					}
					i := min(int(n.Add(1))-1, len(story.lists)-1)
					data := wire.PingData{Options: wire.PingOptions{Instances: story.complete}, Resources: []wire.Resource{}}
					if story.lists[i] != "" {
						data.Resources = append(data.Resources, wire.Resource{Type: "instance", UUID: story.lists[i], State: "running"})
					}
					reply, err := asked.Reply(data)
					if err != nil {
						t.Error(err)
					}
					text, err := wire.Answer{AgentID: agent.ID() + story.from, Epoch: story.epochs[i], Reply: reply}.Encode("")
					if err != nil {
						t.Error(err)
					}
					go func() { _, _ = c.bus.Publish(ctx, wire.ServerChannel(p.Server), text) }()
				})()
				if err := c.audit(ctx); err != nil {
					t.Fatal(err)
				}
				if n.Load() == 0 {
					t.Error("nobody was asked")
				}
				begun := slices.IndexFunc(rows(t, s, "processInstance"), func(p *schema.Row) bool {
					return p.Str("processName") == "instance.restart" && strings.Contains(string(must(json.Marshal(p.Data()))), `"haRestart":true`)
				})
				if (begun >= 0) != story.lost {
					t.Errorf("lost is %v", begun >= 0)
				}
			})
		})
	}
}

func must(b []byte, _ error) []byte { return b }

func write(t *testing.T, s *store.Store, f func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), "story", f); err != nil {
		t.Fatal(err)
	}
}
