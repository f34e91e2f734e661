package rest

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// linkPem offers the secret half of a key pair as a file.
func linkPem(r *request, row *schema.Row, o *object) {
	if row.Str("secretValue") == "" || row.Kind() != "sshKey" {
		return
	}
	o.key("pem")
	o.b = append(r.appendPath(o.b, r.shapeOf(row), row.ID()), `/pem"`...)
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]*$`)

// sendPem answers with the secret half of a key pair.
func sendPem(r *request, t *auth.Type, row *schema.Row) (bool, error) {
	secret := row.Str("secretValue")
	if t.Base().Name != "credential" || row.Kind() != "sshKey" || secret == "" || t.Field("secretValue") == nil {
		return false, nil
	}
	name := row.Str("name")
	if !fileName.MatchString(name) {
		name = "id_rsa_" + t.Obfuscate(strconv.FormatInt(row.ID(), 10))
	}
	r.c.Set("Content-Disposition", "attachment; filename="+name+".pem")
	return true, r.sendText("application/octet-stream", secret)
}

// authorizedType answers /v1/authorized_keys with the server's public SSH keys.
func authorizedType(r *request, t *auth.Type) error {
	if len(r.segments) > 2 {
		return fault.NotFound()
	}
	if r.method != "GET" {
		return fault.NotAllowed()
	}
	if r.api.EnsureKey != nil {
		if err := r.api.EnsureKey(r.ctx); err != nil {
			return err
		}
	}
	text := ""
	for n := 1; ; n++ {
		rows, err := r.api.Store.Find(r.ctx, resource.All.Type("data"), map[string]any{"name": fmt.Sprintf("ssh-client-key%d-public", n)})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		text += rows[0].Str("value") + "\n"
	}
	return r.sendText("text/plain; charset=utf-8", text)
}
