package main

import (
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/testkit"
)

// Every part runs as a process of its own, twice where that is possible, and each
// is killed in turn while containers start.
func TestThePartsOnTheirOwnThroughKills(t *testing.T) {
	t.Parallel()
	shared := []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}
	part := func(profile string) (*program, func() *program) {
		env := append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, shared...)
		again := func() *program { return start(t, env, "server", "--profile", profile) }
		return again(), again
	}
	api, againAPI := part("api")
	other, _ := part("api")
	worker, againWorker := part("worker")
	part("worker")
	gate, againGate := part("gateway")
	clock, againClock := part("scheduler")
	api.simulators(3)
	accepted := 0
	post := func(p *program, n int) {
		for range n {
			if status, o := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"}); status != 201 {
				t.Fatalf("refused: %v", o)
			}
			accepted++
		}
	}
	for _, kill := range []struct {
		name string
		p    *program
		up   func() *program
	}{{"worker", worker, againWorker}, {"gateway", gate, againGate}, {"scheduler", clock, againClock}, {"api", api, againAPI}} {
		post(other, 15)
		kill.p.kill()
		post(other, 15) // accepted although a part is missing
		kill.up()
	}
	until(t, "all to run", 120*time.Second, func() bool {
		return len(other.list("/v1/containers?limit=1000&state=running")) == accepted
	})
	if all := other.list("/v1/containers?limit=1000"); len(all) != accepted {
		t.Errorf("%d containers were accepted and %d exist", accepted, len(all))
	}
	places := map[any]int{}
	for _, m := range other.list("/v1/instancehostmaps?limit=1000&removed_null") {
		places[m["instanceId"]]++
	}
	if len(places) != accepted {
		t.Errorf("%d of %d containers have a place", len(places), accepted)
	}
}

func TestAPartWithoutTheOthersSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	settings, err := settingsFor(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{"api", "worker", "unicorn"} {
		if _, err := newServer(settings, profile, nil); err == nil {
			t.Errorf("profile %s starts with nothing to meet the others in", profile)
		}
	}
}

func settingsFor(t *testing.T) (*config.Settings, error) {
	t.Helper()
	return config.Load(nil, nil, t.TempDir(), defaults())
}
