package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/testkit"
)

// counter counts what goes to Redis: commands as Redis sees them, and the trips
// that they take.
type counter struct{ commands, trips atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !waiting(cmd) {
			c.commands.Add(1)
			c.trips.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

// waiting tells whether a command is the queue's own look for work, or its
// housekeeping, which an idle server does as well.
func waiting(cmd redis.Cmder) bool {
	text := cmd.String()
	return strings.Contains(text, "asynq:") && !strings.Contains(text, "process:")
}

// The cost of a container start, from the request to running, with the image on
// the host: the figures of the README.
func TestTheCostOfAStart(t *testing.T) {
	s, p := inProcess(t, "CATTLE_DB_URL="+testkit.PostgresSchema(t), "CATTLE_REDIS_URL="+testkit.RedisDB(t))
	p.simulators(1)
	one := func() {
		_, c := p.ask("POST", "/v1/containers", object{"imageUuid": "sim:x"})
		p.becomes("/v1/containers/"+c.id(), "running")
	}
	one() // stages the image
	one()
	count := &counter{}
	s.redis.AddHook(count)
	const n = 20
	before, trips := s.store.Commits(), s.store.Trips()
	for range n {
		one()
	}
	until(t, "the last to be written", 5*time.Second, func() bool {
		return len(p.list("/v1/processinstances?endTime_null=true")) == 0
	})
	commits := float64(s.store.Commits()-before) / n
	toPostgres := float64(s.store.Trips()-trips) / n
	t.Logf("a start costs %.1f commits in %.1f trips to Postgres, %.1f Redis commands in %.1f trips", commits, toPostgres,
		float64(count.commands.Load())/n, float64(count.trips.Load())/n)
	if commits > 6 {
		t.Errorf("a start costs %.1f commits, more than six", commits)
	}
	if toPostgres > 16 {
		t.Errorf("a start costs %.1f trips to Postgres, more than 16", toPostgres)
	}
	if trips := float64(count.trips.Load()) / n; trips > 20 {
		t.Errorf("a start costs %.1f trips to Redis, more than 20", trips)
	}
}

// inProcess runs a server inside the test, so that the test can look into it.
func inProcess(t *testing.T, env ...string) (*server, *program) {
	t.Helper()
	port := freePort(t)
	settings, err := config.Load(append(env, "CATTLE_HTTP_PORT="+port), nil, t.TempDir(), defaults())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(settings, "", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	until(t, "the server to listen", 30*time.Second, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s, &program{t: t, url: "http://127.0.0.1:" + port}
}
