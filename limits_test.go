package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/testkit"
)

// knock asks once and says what came of it.
func (p *program) knock(method, path, access, secret string) (status int, after, body string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if access != "" {
		req.SetBasicAuth(access, secret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 && strings.Contains(path, "subscribe") {
		return resp.StatusCode, "", ""
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), string(text)
}

// refusedForNow checks the answer to somebody who is to come again later.
func refusedForNow(t *testing.T, what string, status int, after, body string) {
	t.Helper()
	seconds, err := strconv.Atoi(after)
	if status != 429 || err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("%s answers %d, to come again in %q s", what, status, after)
	}
	for _, part := range []string{`"type":"error"`, `"status":429`, `"code":"Too Many Requests"`} {
		if !strings.Contains(body, part) {
			t.Errorf("%s answers %s without %s", what, body, part)
		}
	}
}

// secured is an installation that asks for keys, and a key.
func secured(t *testing.T, env ...string) (in *installation, access, secret string) {
	in = &installation{t, append([]string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}, env...)}
	p := in.start()
	_, o := p.ask("POST", "/v1/credentials", object{"kind": "apiKey", "publicValue": "operator", "secretValue": "the right one"})
	p.becomes("/v1/credentials/"+o.id(), "active")
	p.ask("PUT", "/v1/credentials/"+o.id(), object{"accountId": "1a1"})
	_, own := p.ask("GET", "/v1/credentials/"+o.id(), nil)
	if own["accountId"] != "1a1" {
		t.Fatalf("the key is of account %v", own["accountId"])
	}
	p.kill()
	in.env = append(in.env, "CATTLE_API_SECURITY_ENABLED=true")
	return in, "operator", "the right one"
}

func TestWhoFailsTooOftenWaitsAndNobodyElse(t *testing.T) {
	t.Parallel()
	in, access, secret := secured(t)
	in.env = append(in.env, "CATTLE_API_AUTH_FAILURES_PER_MINUTE=3")
	p := in.start()
	for _, path := range []string{"/v1/hosts", "/v1/subscribe?eventNames=x"} {
		method := "GET"
		if strings.Contains(path, "subscribe") {
			method = "POST"
		}
		if status, _, body := p.knock(method, path, access, secret); status/100 != 2 {
			t.Fatalf("%s answers %d: %s", path, status, body)
		}
		for i := range 3 { // the parts count together
			if status, _, _ := p.knock(method, path, access, "wrong "+strconv.Itoa(i)); status != 401 && (method == "GET" || i == 0) {
				t.Errorf("attempt %d at %s answers %d", i, path, status)
			}
		}
		status, after, body := p.knock(method, path, access, "wrong again")
		refusedForNow(t, path, status, after, body)
		if status, _, body := p.knock(method, path, access, secret); status/100 != 2 {
			t.Errorf("whoever has the key gets %d: %s", status, body)
		}
	}
}

func TestServersCountFailuresTogether(t *testing.T) {
	t.Parallel()
	in, access, secret := secured(t, "CATTLE_DB_URL="+testkit.PostgresSchema(t), "CATTLE_REDIS_URL="+testkit.RedisDB(t))
	in.env = append(in.env, "CATTLE_API_AUTH_FAILURES_PER_MINUTE=4")
	one, two := in.start("--profile", "api"), in.part("api")
	for range 3 {
		one.knock("GET", "/v1/hosts", access, "wrong")
	}
	if status, _, _ := two.knock("GET", "/v1/hosts", access, "wrong"); status != 401 {
		t.Errorf("the fourth attempt answers %d", status)
	}
	status, after, body := two.knock("GET", "/v1/hosts", access, "wrong")
	refusedForNow(t, "the second server", status, after, body)
	if status, _, body := one.knock("GET", "/v1/hosts", access, secret); status != 200 {
		t.Errorf("whoever has the key gets %d: %s", status, body)
	}
}

func TestWhoAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"KEY", "ADDRESS"} {
		t.Run(strings.ToLower(what), func(t *testing.T) {
			t.Parallel()
			p := (&installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}).start()
			p.ask("POST", "/v1/settings", object{"name": "api.rate.burst.seconds", "value": "100"})
			p.ask("POST", "/v1/settings", object{"name": "api.rate.per." + strings.ToLower(what), "value": "0.05"})
			var status int
			var after, body string
			for range 6 {
				if status, after, body = p.knock("GET", "/v1/hosts", "", ""); status != 200 {
					break
				}
			}
			refusedForNow(t, what, status, after, body)
			if status, _, body := p.knock("GET", "/ping", "", ""); status != 200 || body != "pong" {
				t.Errorf("whoever looks after the server gets %d: %s", status, body)
			}
		})
	}
}

// Behind a proxy of ours its clients are told apart; whoever writes the header without
// being one is known by its own address.
func TestNobodyEvadesALimitByAHeader(t *testing.T) {
	t.Parallel()
	for _, story := range []struct {
		ours string
		both bool // are let in
	}{{"127.0.0.0/8", true}, {"192.0.2.0/24", false}} {
		t.Run(story.ours, func(t *testing.T) {
			t.Parallel()
			p := embedded(t, "CATTLE_API_TRUSTED_PROXIES="+story.ours, "CATTLE_API_RATE_BURST_SECONDS=100", "CATTLE_API_RATE_PER_ADDRESS=0.01")
			var got []bool
			for _, client := range []string{"198.51.100.1", "198.51.100.2"} {
				req, err := http.NewRequest("GET", p.url+"/v1/hosts", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Add("X-Forwarded-For", "203.0.113.9") // the client's own line, the same for both
				req.Header.Add("X-Forwarded-For", client)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				got = append(got, resp.StatusCode == 200)
			}
			if !got[0] || got[1] != story.both {
				t.Errorf("they are let in: %v", got)
			}
		})
	}
}

// A server that others can reach says at each start that it asks nobody for a key.
func TestSecurityThatIsOffIsWarnedOfAtEachStart(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_HTTP_HOST=0.0.0.0", "CATTLE_API_SECURITY_ENABLED=false"}}
	for range 2 {
		p := in.start()
		if status, _, _ := p.knock("GET", "/v1/hosts", "", ""); status != 200 {
			t.Errorf("a stranger gets %d", status)
		}
		until(t, "the warning", 5*time.Second, func() bool { return strings.Contains(p.log.String(), "is its administrator") })
		p.kill()
	}
}
