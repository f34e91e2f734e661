package rest

import (
	"github.com/google/uuid"

	"github.com/cattleio/cattle/api/auth"
)

// repeatHeader names a create, so that a client which got no answer may send it
// again: the resource is made once, and every answer shows it.
const repeatHeader = "Idempotency-Key"

// repeatKey returns the uuid that a named create gives its row, "" for one without
// a name. It is the same for the same caller, type and name.
func (r *request) repeatKey(t *auth.Type) string {
	name := r.header(repeatHeader)
	if name == "" || !t.HasColumn("uuid") {
		return ""
	}
	text := string(appendString(appendString(r.appendID(nil, "account", r.caller.AccountID), t.Name), name))
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(text)).String()
}

// ownKey is a name that a create has for as long as it is under way, where the client
// gave none: with it the server finds out what became of a commit that was not
// answered, and makes the resource once.
func (r *request) ownKey(t *auth.Type, values map[string]any) string {
	if _, sent := values["uuid"]; sent || !t.HasColumn("uuid") {
		return ""
	}
	if r.name == "" {
		r.name = uuid.NewString()
	}
	return r.name
}

// repeat answers a create that was done before; done is false if it was not.
func (r *request) repeat(t *auth.Type, key string) (done bool, err error) {
	if key == "" {
		return false, nil
	}
	rows, err := r.api.Store.Find(r.ctx, t.Type, map[string]any{"uuid": key})
	if err != nil || len(rows) == 0 || !r.caller.Scope.Visible(rows[0]) {
		return false, err
	}
	return true, r.sendRow(201, rows[0])
}
