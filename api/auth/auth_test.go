package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/api/auth"
)

func TestTokensLastForTheirPeriod(t *testing.T) {
	t.Parallel()
	now := time.Date(2014, 5, 7, 12, 34, 56, 0, time.UTC)
	token := auth.Token("PUBLIC", "secret", now)
	if !strings.HasPrefix(token, "PUBLIC:1399464000000:") || strings.ContainsAny(token, "/=+") {
		t.Fatalf("the token is %s", token)
	}
	if auth.Token("PUBLIC", "secret", now.Add(20*time.Minute)) != token || auth.Token("PUBLIC", "secret", now.Add(40*time.Minute)) == token {
		t.Error("the token does not last for its hour")
	}
	if key, ok := auth.TokenKey(token); !ok || key != "PUBLIC" {
		t.Errorf("the token names %s", key)
	}
	for name, c := range map[string]struct {
		token, secret string
		at            time.Time
		want          bool
	}{
		"fresh":         {token, "secret", now, true},
		"a year later":  {token, "secret", now.Add(365*24*time.Hour - 35*time.Minute), true},
		"too late":      {token, "secret", now.Add(365 * 24 * time.Hour), false},
		"wrong secret":  {token, "other", now, false},
		"no secret":     {auth.Token("PUBLIC", "", now), "", now, false},
		"changed":       {strings.Replace(token, "1399464000000", "1399467600000", 1), "secret", now, false},
		"no token":      {"PUBLIC", "secret", now, false},
		"bad hour":      {"PUBLIC:x:y", "secret", now, false},
		"no signature":  {"PUBLIC:1399464000000:", "secret", now, false},
		"four segments": {token + ":x", "secret", now, false},
	} {
		if got := auth.CheckToken(c.token, c.secret, c.at, 365*24*time.Hour); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	a := auth.New(nil, nil)
	agent := a.View("admin").Find("AGENTS")
	if agent == nil || !agent.Lists() || !agent.Creates() || !agent.Allows("DELETE") || agent.Field("zoneId") != nil || agent.Field("revision") != nil {
		t.Errorf("an administrator sees %+v", agent)
	}
	if _, ok := agent.Filter("zoneId"); !ok {
		t.Error("the filter of a hidden column is gone")
	}
	user := a.View("user").Type("container")
	if _, ok := user.Filter("accountId"); ok || user.Field("accountId") != nil {
		t.Error("a user sees accounts")
	}
	if a.View("system") != nil || a.View("") != nil {
		t.Error("a kind without projection has one")
	}
	for _, name := range a.View("readAdmin").Names() {
		typ := a.View("readAdmin").Type(name)
		if name != "subscribe" && (typ.Creates() || typ.Allows("PUT") || typ.Allows("DELETE")) {
			t.Errorf("an observer may change a %s", name)
		}
	}
}
