package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// setting reads a setting as a server has it.
func (p *program) setting(name string) object {
	p.t.Helper()
	status, o := p.ask("GET", "/v1/activesettings/"+url.PathEscape(name), nil)
	if status != 200 {
		p.t.Fatalf("setting %s: %d %v", name, status, o)
	}
	return o
}

// A value that is changed through one server is in force on the other, with news of it
// and without: the third server hears nothing of the first two, for its Redis is another.
func TestASettingIsSeenByEveryServer(t *testing.T) {
	t.Parallel()
	db := "CATTLE_DB_URL=" + testkit.PostgresSchema(t)
	near, far := "CATTLE_REDIS_URL="+testkit.RedisDB(t), "CATTLE_REDIS_URL="+testkit.RedisDB(t)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "etc", "cattle"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "etc", "cattle", "cattle.properties"), []byte("worker.slots = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "etc", "cattle", "cattle-override.properties"), []byte("instance.compute.tries = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := func(home, cache string, env ...string) *program {
		return start(t, append([]string{"CATTLE_HOME=" + home, "CATTLE_HTTP_PORT=" + freePort(t), db, cache}, env...), "server", "--profile", "api", "--set", "instance.compute.default=3")
	}
	first, second, deaf := server(t.TempDir(), near), server(home, near, "CATTLE_PROCESS_REPLAY_BATCH_SIZE=11"), server(t.TempDir(), far)
	all := []*program{first, second, deaf}
	const name = "api.show.removed.for.seconds"
	is := func(p *program, name string, want object) func() bool {
		return func() bool {
			o := p.setting(name)
			for k, v := range want {
				if o[k] != v {
					return false
				}
			}
			return true
		}
	}
	everywhere := func(name string, want object) {
		t.Helper()
		for _, p := range all {
			until(t, name+" to change", 10*time.Second, is(p, name, want))
		}
	}
	everywhere(name, object{"activeValue": "300", "inDb": false, "source": config.Defaults})
	for _, value := range []string{"301", "302"} {
		if status, o := first.ask("PUT", "/v1/activesettings/"+name, object{"value": value}); status != 200 {
			t.Fatalf("it is not changed: %v", o)
		}
		everywhere(name, object{"value": value, "activeValue": value, "inDb": true, "source": config.Database})
	}
	// What stands above the database wins where it stands, and says so; what stands below does not.
	for setting, value := range map[string]string{"process.replay.batch.size": "12", "worker.slots": "9", "instance.compute.tries": "6", "instance.compute.default": "4"} {
		if status, o := deaf.ask("POST", "/v1/settings", object{"name": setting, "value": value}); status != 201 {
			t.Fatalf("it is not made: %v", o)
		}
	}
	for _, c := range []struct {
		p                             *program
		name, value, active, source   string
		insteadOnceItIsGone, goneFrom string
	}{
		{first, "process.replay.batch.size", "12", "12", config.Database, "500", config.Defaults},
		{second, "process.replay.batch.size", "12", "11", config.Environment, "11", config.Environment},
		{second, "worker.slots", "9", "7", config.File, "7", config.File},
		{first, "worker.slots", "9", "9", config.Database, "50", config.Defaults},
		{second, "instance.compute.tries", "6", "6", config.Database, "5", config.Override},
		{deaf, "instance.compute.default", "4", "3", config.Flags, "3", config.Flags},
	} {
		until(t, c.name+" to change", 10*time.Second, is(c.p, c.name, object{"value": c.value, "activeValue": c.active, "inDb": true, "source": c.source}))
		if status, o := first.ask("DELETE", "/v1/activesettings/"+c.name, nil); status != 200 {
			t.Fatalf("it is not deleted: %d %v", status, o)
		}
		until(t, c.name+" to go back", 10*time.Second, is(c.p, c.name, object{"value": c.insteadOnceItIsGone, "activeValue": c.insteadOnceItIsGone, "inDb": false, "source": c.goneFrom}))
		if status, o := first.ask("POST", "/v1/settings", object{"name": c.name, "value": c.value}); status != 201 {
			t.Fatalf("it is not made again: %v", o)
		}
	}
	if status, o := second.ask("DELETE", "/v1/activesettings/"+name, nil); status != 200 {
		t.Fatalf("it is not deleted: %v", o)
	}
	everywhere(name, object{"value": "300", "activeValue": "300", "inDb": false, "source": config.Defaults})
}

// News alone is enough, and so is looking alone.
func TestSettingsFollowNewsAndLooks(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		db := testkit.Store(t, address)
		options, err := redis.ParseURL(testkit.RedisDB(t))
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(options)
		defer client.Close()
		bus := event.New(client, slog.New(slog.DiscardHandler))
		go func() { _ = bus.Run(ctx) }()
		follower := func(every time.Duration) *config.Settings {
			settings, err := settingsFor(t)
			if err != nil {
				t.Fatal(err)
			}
			s := &server{settings: settings, store: db, bus: bus}
			go func() { _ = s.follow(ctx, every) }()
			return settings
		}
		told, looking := follower(time.Hour), follower(20*time.Millisecond)
		until(t, "somebody to listen", 20*time.Second, func() bool {
			heard, err := bus.Heard(ctx, settingsChannel)
			return err == nil && heard[settingsChannel] == 1
		})
		row := store.NewRow(resource.All.Type("setting"), 0, map[string]any{"name": "a.b", "value": "1"})
		if err := db.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
			t.Fatal(err)
		}
		until(t, "the one that looks to see it", 20*time.Second, func() bool { return looking.Get("a.b") == "1" })
		if told.Get("a.b") != "" {
			t.Error("the one that waits for news has looked")
		}
		until(t, "the one that is told to see it", 20*time.Second, func() bool {
			_, _ = bus.Publish(ctx, settingsChannel, "{}")
			return told.Get("a.b") == "1"
		})
	})
}
