package main

import (
	"database/sql"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/cattleio/cattle/localdev/faulty"
	"github.com/cattleio/cattle/shared/testkit"
)

// sameAs is a server with the caller of another asking.
func sameAs(p, caller *program) *program {
	u, err := url.Parse(caller.url)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return p.as(u.User.Username(), secret)
}

// Lists and reads come from a copy of the database, which may be late, stand still or
// die: who has written reads what he wrote, and nobody gets an error.
func TestReadsComeFromTheReplicaAndNobodyNotices(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "cattle-replica-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	primary, err := faulty.Postgres(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Stop)
	replica, err := faulty.Replica(dir, primary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Stop)
	at := func(s *faulty.Server) string {
		return "postgres://postgres@" + s.Address() + "/postgres?sslmode=disable"
	}
	shared := []string{"CATTLE_DB_URL=" + at(primary), "CATTLE_DB_READ_URL=" + at(replica), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}
	in := &installation{t, append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, shared...)}
	p := in.start()
	other := in.part("api")
	copied, err := sql.Open("pgx", at(replica))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	copied.SetMaxIdleConns(-1) // the server dies meanwhile
	still := func(statement string) {
		t.Helper()
		if _, err := copied.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	user, account := p.account("user")
	name := func(p *program) any { _, o := p.ask("GET", "/v1/accounts/"+account.id(), nil); return o["name"] }
	reader, _ := p.account("admin") // it never writes
	// A change that the server knows nothing of shows who answers: the primary has it at once.
	fromCopy := func(now string) {
		t.Helper()
		was := name(p)
		until(t, "the replica to be asked", 30*time.Second, func() bool {
			still("select pg_wal_replay_pause()")
			in.surgery("update account set name = '" + now + "' where name = '" + was.(string) + "' and kind = 'user'")
			asked := name(reader) == was
			still("select pg_wal_replay_resume()")
			if !asked {
				in.surgery("update account set name = '" + was.(string) + "' where name = '" + now + "' and kind = 'user'")
			}
			return asked
		})
		until(t, "the replica to follow", 30*time.Second, func() bool { return name(reader) == now })
	}
	fromCopy("first")
	still("select pg_wal_replay_pause()")
	_, made := user.ask("POST", "/v1/apikeys", object{"name": "mine"})
	for _, server := range []*program{user, sameAs(other, user)} {
		until(t, "the news of the write", 2*time.Second, func() bool {
			status, o := server.ask("GET", "/v1/apikeys/"+made.id(), nil)
			return status == 200 && o["name"] == "mine" && len(server.list("/v1/apikeys?name=mine")) == 1
		})
	}
	until(t, "everybody to be served by the primary", 20*time.Second, func() bool { return len(reader.list("/v1/credentials?name=mine")) == 1 })
	still("select pg_wal_replay_resume()")
	fromCopy("second")
	replica.Kill()
	for range 5 {
		if status, o := reader.ask("GET", "/v1/accounts/"+account.id(), nil); status != 200 || o["name"] != "second" {
			t.Errorf("without the replica it answers %d: %v", status, o)
		}
	}
	if err := replica.Start(); err != nil {
		t.Fatal(err)
	}
	fromCopy("third")
}
