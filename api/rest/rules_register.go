package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// createGenericObject refuses a second registration of one host in an account.
func createGenericObject(r *request, c *creation) error {
	key, _ := c.Values["key"].(string)
	if c.Type.Name != "register" || key == "" {
		return nil
	}
	match := map[string]any{"kind": "register", "key": key, "accountId": c.Values["accountId"], "removed": nil}
	found, err := r.api.Store.Find(r.ctx, resource.All.Type("genericObject"), match)
	if err == nil && len(found) > 0 {
		err = fault.Invalid("NotUnique", "key", "a host with that key has registered")
	}
	if err == nil && r.caller.JoinNonce != "" {
		err = r.useToken(key)
	}
	return err
}

// useToken gives a token that is for one host to the host with a key, and refuses it
// to another.
func (r *request) useToken(key string) error {
	typ, name := resource.All.Type("data"), "join-token "+r.caller.JoinNonce
	digest := sha256.Sum256([]byte(key))
	host := hex.EncodeToString(digest[:])
	err := r.api.Store.Write(r.ctx, "join token", func(tx *store.Tx) error {
		now, err := tx.Now(r.ctx)
		if err != nil {
			return err
		}
		return tx.Insert(r.ctx, store.NewRow(typ, now, map[string]any{"name": name, "value": host, "visible": false}))
	})
	if !errors.Is(err, store.ErrNotUnique) {
		return err
	}
	used, err := r.api.Store.Find(r.ctx, typ, map[string]any{"name": name})
	if err == nil && (len(used) == 0 || used[0].Str("value") != host) {
		err = fault.Forbidden("another host has joined with this token")
	}
	return err
}

// sendJoin answers with the line that makes a machine a host: with a token for one
// host, for an hour, and by what it knows this server.
func sendJoin(r *request, t *auth.Type, row *schema.Row) (bool, error) {
	public, secret := row.Str("publicValue"), row.Str("secretValue")
	if t.Base().Name != "credential" || row.Kind() != "registrationToken" || public == "" || secret == "" {
		return false, nil
	}
	base, pin := r.base, ""
	if r.api.Pin != "" {
		_, host, _ := strings.Cut(base, "://")
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		base, pin = "https://"+net.JoinHostPort(strings.Trim(host, "[]"), r.api.text("https.port", "443")), " --pin "+r.api.Pin
	}
	for _, text := range []string{base, public} {
		if !safeText.MatchString(text) {
			return false, nil
		}
	}
	token := auth.JoinToken(public, secret, time.Now().Add(joinLife))
	return true, r.sendText("text/plain; charset=utf-8", "cattle agent --url "+base+" --token "+token+pin+"\n")
}

// joinLife is how long a line may be used to join.
const joinLife = time.Hour

// hidesRegistration keeps a host's keys from whoever does not know its own.
func hidesRegistration(r *request, row *schema.Row, field string) bool {
	switch field {
	case "key", "accessKey", "secretKey":
		key := row.Str("key")
		return key == "" || r.query.get("key") != key && r.form.get("key") != key
	}
	return false
}

// token returns the registration token of a credential, "" if it has no keys yet.
func token(row *schema.Row) string {
	public, secret := row.Str("publicValue"), row.Str("secretValue")
	if public == "" || secret == "" {
		return ""
	}
	return auth.Token(public, secret, time.Now())
}

func linkToken(r *request, row *schema.Row, o *object) {
	if t := token(row); t != "" {
		o.text("registrationUrl", r.base+"/v1/scripts/"+t)
	}
}

func addToken(r *request, row *schema.Row, o *object) {
	if t := token(row); t != "" {
		o.text("token", t)
		o.text("registrationUrl", r.base+"/v1/scripts/"+t)
	}
}

// isScript tells whether the request is for the script that goes with a token. The
// token is all that is asked for.
func (r *request) isScript() bool {
	if r.method != "GET" || len(r.segments) != 3 || !strings.EqualFold(r.segments[1], "scripts") {
		return false
	}
	_, ok := auth.TokenKey(r.segments[2])
	return ok
}

const registerScript = `#!/bin/sh
# Registers this host: runs the agent, which then asks for keys of its own.
export CATTLE_URL="$URL"
export CATTLE_REGISTRATION_ACCESS_KEY="registrationToken"
export CATTLE_REGISTRATION_SECRET_KEY="$TOKEN"
export CATTLE_AGENT_IMAGE="$IMAGE"
export CATTLE_AGENT_IP="${CATTLE_AGENT_IP:-$IP}"

if [ "$CATTLE_RUN_REGISTRATION" != "false" ]; then
    docker run -d --privileged \
        -e CATTLE_REGISTRATION_ACCESS_KEY="$CATTLE_REGISTRATION_ACCESS_KEY" \
        -e CATTLE_REGISTRATION_SECRET_KEY="$CATTLE_REGISTRATION_SECRET_KEY" \
        -e CATTLE_AGENT_IP="$CATTLE_AGENT_IP" \
        -e CATTLE_URL="$CATTLE_URL" \
        -v /var:/host/var -v /proc:/host/proc -v /run:/host/run \
        "$CATTLE_AGENT_IMAGE"
fi
`

// safeText is what may stand between quotes in the script.
var safeText = regexp.MustCompile(`^[A-Za-z0-9._:/@\[\]-]*$`)

// script answers GET /v1/scripts/TOKEN.
func (r *request) script() error {
	token := r.segments[2]
	_, err := r.api.Auth.TokenAccount(r.ctx, token, time.Now())
	if errors.Is(err, auth.ErrRefused) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	url := r.api.text("agent.instance.register.url", "")
	if url == "" {
		url = r.base + "/v1"
	}
	if strings.Contains(url, "localhost") {
		return fault.NotFound()
	}
	ip := r.clientIP
	if net.ParseIP(ip) == nil {
		ip = r.c.Context().RemoteIP().String()
	}
	image := r.api.text("agent.image", "cattle/agent:latest")
	for _, text := range []string{url, token, image, ip} {
		if !safeText.MatchString(text) {
			return fault.NotFound()
		}
	}
	fill := strings.NewReplacer(`"$URL"`, `"`+url+`"`, `"$TOKEN"`, `"`+token+`"`, `"$IMAGE"`, `"`+image+`"`, `:-$IP}`, `:-`+ip+`}`)
	return r.sendText("text/plain; charset=utf-8", fill.Replace(registerScript))
}

// namedScript answers GET /v1/scripts/NAME for callers with credentials.
func (r *request) namedScript() error {
	if r.api.Script == nil || r.method != "GET" || len(r.segments) != 3 {
		return fault.NotFound()
	}
	text, err := r.api.Script(r.segments[2])
	if errors.Is(err, fs.ErrNotExist) {
		return fault.NotFound()
	}
	if err != nil {
		return err
	}
	return r.sendText("text/plain; charset=utf-8", text)
}
