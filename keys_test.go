package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/seal"
	"github.com/cattleio/cattle/shared/testkit"
)

// The secret of a key is in the answer that made it and nowhere else, and opens the door
// all the same, at the API and at a gateway of its own.
func TestAKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	part := in.part
	kept := func(key object) (text string) {
		db := in.database()
		defer db.Close()
		if err := db.QueryRow("select secret_value from credential where uuid = $1", key["uuid"]).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	p := part("api,worker,scheduler", "CATTLE_API_KEYS_SHOWN_ONCE=true")
	_, account := p.ask("POST", "/v1/accounts", object{"kind": "user"})
	p.becomes("/v1/accounts/"+account.id(), "active")
	if keys := p.list("/v1/credentials?kind=apiKey&accountId=" + account.id()); len(keys) != 0 {
		t.Errorf("an account gets a key that nobody knows: %v", keys)
	}
	fresh := func(path string, o object) (key object, public, secret string) {
		status, key := p.ask("POST", path, o)
		public, _ = key["publicValue"].(string)
		secret, _ = key["secretValue"].(string)
		if status != 201 || public == "" || secret == "" {
			t.Fatalf("%s answers %d %v", path, status, key)
		}
		p.becomes("/v1/credentials/"+key.id(), "active")
		return key, public, secret
	}
	made, public, secret := fresh("/v1/apikeys", object{"accountId": account.id()})
	chosen, name, _ := fresh("/v1/credentials", object{"kind": "apiKey", "publicValue": "me", "secretValue": "the weak one", "accountId": account.id()})
	if len(public) != 20 || len(secret) != 40 {
		t.Errorf("the key is %s %s", public, secret)
	}
	_, root, rootSecret := fresh("/v1/apikeys", object{"accountId": "1a1"})
	p.kill()
	in.env = append(in.env, "CATTLE_API_SECURITY_ENABLED=true", "CATTLE_API_KEYS_SHOWN_ONCE=true")
	gate, door := part("gateway"), part("api")
	part("worker,scheduler")
	p = door.as(root, rootSecret)
	enters := func(what, public, secret string, may bool) {
		t.Helper()
		for _, at := range []*program{door, gate} {
			path, want := "/v1/subscribe", 401
			if may {
				want = 200
			}
			if status, _ := at.as(public, url.PathEscape(secret)).ask("GET", path, nil); status != want {
				t.Errorf("with %s %s answers %d, not %d", what, path, status, want)
			}
		}
	}
	enters("the key", public, secret, true)
	enters("a chosen key", name, "the weak one", true)
	enters("another secret", public, secret[:39]+"~", false)
	for _, key := range []object{made, chosen} {
		_, again := p.ask("GET", "/v1/credentials/"+key.id(), nil)
		if shown, there := again["secretValue"]; !there || shown != nil || again["publicValue"] != key["publicValue"] {
			t.Errorf("it is shown again: %v", again)
		}
		enters("what is kept", key["publicValue"].(string), kept(key), false)
		if status, o := p.ask("PUT", "/v1/credentials/"+key.id(), again); status != 200 || o["secretValue"] != nil {
			t.Errorf("a key that is sent back is answered with %d %v", status, o)
		}
	}
	enters("a key that was sent back", public, secret, true)
	p.ask("PUT", "/v1/credentials/"+made.id(), object{"secretValue": "a new one"})
	until(t, "the new secret to open", 20*time.Second, func() bool {
		status, _ := door.as(public, "a%20new%20one").ask("GET", "/v1/subscribe", nil)
		return status == 200
	})
	if text := kept(made); !seal.Hashed(text) {
		t.Errorf("it is kept as %s", text)
	}
	_, token := p.ask("POST", "/v1/registrationtokens", object{})
	p.becomes("/v1/registrationtokens/"+token.id(), "active")
	if _, token = p.ask("GET", "/v1/registrationtokens/"+token.id(), nil); token["token"] == nil {
		t.Errorf("hosts cannot join: %v", token)
	}
}

// An API server that stands in public knows no administrators.
func TestAServerForThePublicServesSomeAccountsAlone(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t)}}
	inside := in.part("api,worker,scheduler,gateway")
	user, _ := inside.account("user")
	admin, _ := inside.account("admin")
	inside.ask("POST", "/v1/settings", object{"name": "api.account.kinds", "value": "nobody"}) // has no say
	outside := in.part("api", "CATTLE_API_SECURITY_ENABLED=true", "CATTLE_API_ACCOUNT_KINDS=user, agent")
	for who, want := range map[*program]int{user: 200, admin: 401} {
		at := *outside
		at.url = who.url[:strings.LastIndex(who.url, "@")+1] + outside.url[len("http://"):]
		for _, path := range []string{"/v1/containers", "/v1/subscribe"} {
			if status, _ := at.ask("GET", path, nil); status != want {
				t.Errorf("%s in public is answered with %d, not %d", path, status, want)
			}
		}
		if want == 200 {
			at.listen("", names("demo"))
		} else if status, _ := at.send("/v1/subscribe", "application/json", names("demo")); status != want {
			t.Errorf("the event stream in public answers %d", status)
		}
		if status, _ := who.ask("GET", "/v1/containers", nil); status != 200 {
			t.Errorf("inside it is answered with %d", status)
		}
	}
}
