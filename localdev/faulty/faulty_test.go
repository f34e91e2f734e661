package faulty_test

import (
	"database/sql"
	"os"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver called pgx
	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/localdev/faulty"
)

// folder is one that others may enter: root has Postgres run as somebody else.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cattle-faulty-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func proxy(t *testing.T, to *faulty.Server, relay faulty.Relay) *faulty.Proxy {
	t.Helper()
	p, err := faulty.NewProxy(to.Address(), relay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestACommitIsDoneAndItsAnswerLost(t *testing.T) {
	t.Parallel()
	server, err := faulty.Postgres(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	var commits faulty.Commits
	way := proxy(t, server, commits.Relay)
	db, err := sql.Open("pgx", "postgres://postgres@"+way.Address()+"/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("create table t (n int)"); err != nil {
		t.Fatal(err)
	}
	insert := func() error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		if _, err := tx.Exec("insert into t values (1)"); err != nil {
			return err
		}
		return tx.Commit()
	}
	commits.Lose.Store(1000)
	if err := insert(); err == nil {
		t.Error("the answer was not lost")
	}
	commits.Lose.Store(0)
	server.Kill()
	if err := insert(); err == nil {
		t.Error("a killed server answers")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := insert(); err != nil {
		t.Error(err)
	}
	n := 0
	if err := db.QueryRow("select count(*) from t").Scan(&n); err != nil || n != 2 {
		t.Errorf("there are %d rows: %v", n, err)
	}
}

func TestMessagesGetLostAndRepeated(t *testing.T) {
	t.Parallel()
	server, err := faulty.Redis(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	var messages faulty.Messages
	client := redis.NewClient(&redis.Options{Addr: proxy(t, server, messages.Relay).Address()})
	defer client.Close()
	ctx := t.Context()
	heard := client.Subscribe(ctx, "a")
	defer heard.Close()
	if _, err := heard.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	publish := func(text string, lose, repeat int64) {
		messages.Lose.Store(lose)
		messages.Repeat.Store(repeat)
		before := messages.Lost.Load() + messages.Repeated.Load()
		if n, err := client.Publish(ctx, "a", text).Result(); err != nil || n != 1 {
			t.Fatalf("%d heard %s: %v", n, text, err)
		}
		for lose+repeat > 0 && messages.Lost.Load()+messages.Repeated.Load() == before {
			time.Sleep(time.Millisecond)
		}
	}
	publish("lost", 1000, 0)
	publish("twice", 0, 1000)
	for range 2 {
		if m, err := heard.ReceiveMessage(ctx); err != nil || m.Payload != "twice" {
			t.Errorf("heard %v: %v", m, err)
		}
	}
}

func TestARedisComesBackWithWhatItHadAWhileAgo(t *testing.T) {
	t.Parallel()
	server, err := faulty.Redis(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	client := redis.NewClient(&redis.Options{Addr: server.Address(), MaxRetries: 10})
	defer client.Close()
	ctx := t.Context()
	set := func(value string) {
		if err := client.Set(ctx, "a", value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("old")
	if err := server.Save(); err != nil {
		t.Fatal(err)
	}
	set("new")
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(ctx, "a").Result(); got != "old" {
		t.Errorf("it has %q: %v", got, err)
	}
}

func TestAConnectionStandsStillAndIsCut(t *testing.T) {
	t.Parallel()
	server, err := faulty.Redis(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	way := proxy(t, server, nil)
	client := redis.NewClient(&redis.Options{Addr: way.Address(), MaxRetries: -1, ReadTimeout: 100 * time.Millisecond})
	defer client.Close()
	ctx := t.Context()
	ping := func() error { return client.Ping(ctx).Err() }
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	way.Stall(true)
	if ping() == nil {
		t.Error("a connection that stands still answers")
	}
	way.Stall(false)
	if err := ping(); err != nil {
		t.Error(err)
	}
	way.Refuse(true)
	if ping() == nil {
		t.Error("a connection that was refused answers")
	}
	way.Refuse(false)
	if err := ping(); err != nil {
		t.Error(err)
	}
}
