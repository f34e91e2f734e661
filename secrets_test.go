package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/seal"
	"github.com/cattleio/cattle/shared/testkit"
)

// A canary is planted wherever a client can put a secret. Nobody finds it who has the
// database, Redis, the log or the metrics.
func TestSecretsAreNowhereInPlain(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_ENCRYPTION_KEYS="+seal.NewKey("first"), "CATTLE_LOG_LEVEL=debug")
		p := in.start()
		const canary = "canary-51b0c7"
		hidden := plant(t, p, canary)
		p.becomes("/v1/credentials/"+hidden.key.id(), "active")
		if _, o := p.ask("GET", "/v1/credentials/"+hidden.key.id(), nil); o["secretValue"] != canary+"-changed" {
			t.Errorf("the administrator reads %v", o["secretValue"])
		}
		if status, o := p.as("public", canary+"-changed").ask("GET", "/v1/accounts", nil); status != 200 {
			t.Errorf("the key opens with %d: %v", status, o)
		}
		_, metrics := p.send("/metrics", "", "")
		in.finds(t, map[string]string{"the log": p.log.String(), "the metrics": metrics}, append(hidden.secrets, canary)...)
		if !strings.Contains(in.content(t), seal.Prefix+"first.") {
			t.Error("nothing in the database is encrypted")
		}
	})
}

// planted is what a story has hidden.
type planted struct {
	key     object
	secrets []string // that the server made
}

func plant(t *testing.T, p *program, canary string) planted {
	t.Helper()
	made := func(method, path string, o object) object {
		t.Helper()
		status, a := p.ask(method, path, o)
		if status/100 != 2 {
			t.Fatalf("%s %s answers %d: %v", method, path, status, a)
		}
		return a
	}
	h := planted{key: made("POST", "/v1/credentials", object{"kind": "apiKey", "publicValue": "public", "secretValue": canary + "-key"})}
	p.becomes("/v1/credentials/"+h.key.id(), "active")
	made("PUT", "/v1/credentials/"+h.key.id(), object{"secretValue": canary + "-changed", "name": "renamed"})
	agent := made("POST", "/v1/agents", object{"uri": "event://silent", "managedConfig": false, "data": object{"password": canary + "-agent"}})
	_, token := p.account("user")
	until(t, "the keys of the account", 20*time.Second, func() bool {
		h.secrets = nil
		for _, c := range p.list("/v1/credentials?accountId=" + token.id()) {
			if s, _ := c["secretValue"].(string); s != "" {
				h.secrets = append(h.secrets, s)
			}
		}
		return len(h.secrets) > 0
	})
	made("POST", "/v1/sshkeys", object{})
	made("POST", "/v1/register", object{"key": "some-host"})
	until(t, "the host's key", 30*time.Second, func() bool {
		for _, r := range p.list("/v1/register?key=some-host") {
			if s, _ := r["secretKey"].(string); s != "" {
				h.secrets = append(h.secrets, s)
				return true
			}
		}
		return false
	})
	p.ask("POST", "/v1/agents/"+agent.id()+"/?action=deactivate", object{"password": canary + "-action", "secretValue": canary + "-input"})
	p.ask("POST", "/v1/credentials/"+h.key.id()+"/?action=deactivate", object{"secretValue": canary + "-input"})
	p.becomes("/v1/credentials/"+h.key.id(), "inactive")
	made("POST", "/v1/credentials/"+h.key.id()+"/?action=activate", nil)
	h.secrets = append(h.secrets, "BEGIN RSA PRIVATE KEY")
	return h
}

// finds looks for secrets in all that the installation keeps and says.
func (in *installation) finds(t *testing.T, said map[string]string, secrets ...string) {
	t.Helper()
	said["the database"], said["Redis"] = in.content(t), in.remembered(t)
	for where, text := range said {
		for _, s := range secrets {
			if i := strings.Index(text, s); i >= 0 {
				t.Errorf("%s holds %s: %q", where, s, text[max(i-200, 0):i+len(s)])
			}
			if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))) {
				t.Errorf("%s holds %s in another alphabet", where, s)
			}
		}
	}
}

// content is all that the database holds.
func (in *installation) content(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, pair := range in.env {
		if url, ok := strings.CutPrefix(pair, "CATTLE_DB_URL="); ok {
			return dump(t, strings.Replace(strings.Replace(url, "&pool_max_conns=12", "", 1), "pool_max_conns=12&", "", 1))
		}
	}
	home := strings.TrimPrefix(in.env[0], "CATTLE_HOME=")
	for _, name := range []string{"cattle.db", "cattle.db-wal"} {
		text, err := os.ReadFile(filepath.Join(home, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		b.Write(text)
	}
	if b.Len() == 0 {
		t.Fatal("there is no database")
	}
	return b.String()
}

func dump(t *testing.T, address string) string {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	column := func(query string) (out []string) {
		t.Helper()
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return out
	}
	tables := column("select table_name from information_schema.tables where table_schema = current_schema()")
	if len(tables) < 20 {
		t.Fatalf("there are only %d tables", len(tables))
	}
	var b strings.Builder
	for _, name := range tables {
		b.WriteString(strings.Join(column(fmt.Sprintf(`select t::text from %q t`, name)), "\n"))
	}
	return b.String()
}

// remembered is all that Redis holds, if it is a program of its own.
func (in *installation) remembered(t *testing.T) string {
	t.Helper()
	client := in.redis()
	if client == nil {
		return ""
	}
	defer client.Close()
	ctx := context.Background()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("Redis holds nothing: %v", err)
	}
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintln(&b, k, value(ctx, client, k))
	}
	return b.String()
}

func value(ctx context.Context, client *redis.Client, key string) any {
	switch client.Type(ctx, key).Val() {
	case "string":
		return client.Get(ctx, key).Val()
	case "hash":
		return client.HGetAll(ctx, key).Val()
	case "list":
		return client.LRange(ctx, key, 0, -1).Val()
	case "set":
		return client.SMembers(ctx, key).Val()
	case "zset":
		return client.ZRange(ctx, key, 0, -1).Val()
	case "stream":
		return client.XRange(ctx, key, "-", "+").Val()
	}
	return nil
}

// A database that has known no key gets one, then another. Whoever lacks the key in
// force is told so and does not start.
func TestKeysAreChangedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t),
		"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	const canary = "canary-77e2aa"
	with := func(keys ...string) *program {
		in := *in
		if len(keys) > 0 {
			in.env = append(append([]string{}, in.env...), "CATTLE_ENCRYPTION_KEYS="+strings.Join(keys, ","))
		}
		return in.start()
	}
	p := with()
	if !strings.Contains(p.log.String(), "secrets are not encrypted") {
		t.Error("nobody is told that secrets are plain")
	}
	hidden := plant(t, p, canary)
	p.becomes("/v1/credentials/"+hidden.key.id(), "active")
	if !strings.Contains(in.content(t), canary) {
		t.Fatal("the canary is not in the database")
	}
	p.kill()
	old, young := seal.NewKey("old"), seal.NewKey("young")
	for _, keys := range [][]string{{old}, {young, old}} {
		id, _, _ := strings.Cut(keys[0], ":")
		p = with(keys...)
		until(t, "all to be under the key "+id, 20*time.Second, func() bool {
			text := in.content(t)
			return strings.Contains(text, seal.Prefix+id+".") && !strings.Contains(text, canary) && (id == "old" || !strings.Contains(text, seal.Prefix+"old."))
		})
		in.finds(t, map[string]string{}, append(hidden.secrets, canary)...)
		if status, o := p.as("public", canary+"-changed").ask("GET", "/v1/hosts", nil); status != 200 || o["type"] != "collection" {
			t.Errorf("under %s the key opens with %d: %v", id, status, o)
		}
		p.kill()
	}
	for what, env := range map[string][]string{"the secrets are encrypted with the key young": nil, "the key young is missing": {"CATTLE_ENCRYPTION_KEYS=" + old},
		"the key young is another one": {"CATTLE_ENCRYPTION_KEYS=" + seal.NewKey("young")}} {
		refused(t, append(append([]string{}, in.env...), env...), strings.TrimPrefix(what, "the secrets are "))
	}
	p = with(young)
	if _, o := p.ask("GET", "/v1/credentials/"+hidden.key.id(), nil); o["secretValue"] != canary+"-changed" {
		t.Errorf("with the young key alone it reads %v", o["secretValue"])
	}
}

// refused starts a server that does not serve, and says why.
func refused(t *testing.T, env []string, why string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "server")
	cmd.Env = append(append(os.Environ(), "CATTLE_TEST_PROGRAM=1"), env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), why) {
		t.Errorf("want %q, it ends with %v and says %s", why, err, out)
	}
}

func TestTheFirstKeyIsMadeForTheServerAlone(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
	name := filepath.Join(strings.TrimPrefix(in.env[0], "CATTLE_HOME="), "encryption.keys")
	p := in.start()
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key lies there as %v, %v", info, err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSpace(string(text)[strings.LastIndex(strings.TrimSpace(string(text)), "\n")+1:]), ":")
	for _, path := range []string{"/v1/settings/encryption.keys", "/v1/settings", "/v1/activesettings/db.url"} {
		if _, o := p.ask("GET", path, nil); strings.Contains(fmt.Sprint(o), key) {
			t.Errorf("%s shows the key", path)
		}
	}
	p.kill()
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, in.env, "everybody on this machine may read")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	refused(t, in.env, "is missing")
}
