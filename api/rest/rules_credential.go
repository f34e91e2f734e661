package rest

import (
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/seal"
)

// Where api.keys.shown.once is set, the secret of an API key stands in the answer to the
// request that made it, and nowhere else: a hash is kept. Keys of agents and registration
// tokens go on to be readable, because hosts are told them.

// shownOnce tells whether API keys are shown once.
func (r *request) shownOnce() bool { return r.api.Settings.Bool("api.keys.shown.once") }

// createCredential makes the values of an API key at once, where they are shown once.
func createCredential(r *request, c *creation) error {
	kind, _ := c.Values["kind"].(string)
	if c.Type.Name != "apiKey" && kind != "apiKey" || !r.shownOnce() {
		return nil
	}
	public, _ := c.Values["publicValue"].(string)
	secret, _ := c.Values["secretValue"].(string)
	chosen := true
	if public == "" {
		made, secretMade, err := seal.NewPair(r.api.Settings.Get("process.credential.create.bad.characters"))
		if err != nil {
			return err
		}
		c.Values["publicValue"] = made
		if secret == "" {
			secret, chosen = secretMade, false
		}
	}
	if secret == "" {
		return nil
	}
	r.secret = secret
	c.Values["secretValue"] = seal.Hash(secret, chosen)
	return nil
}

// once shows a key together with its secret, if this request has made that.
func (r *request) once(row *schema.Row) *schema.Row {
	if r.secret == "" {
		return row
	}
	shown := row.Clone()
	shown.Set("secretValue", r.secret)
	return shown
}

// keepHash hashes a secret that an API key is given later. A key that was read without
// its secret, and is sent back so, keeps it.
func (r *request) keepHash(row *schema.Row, values map[string]any) {
	sent, there := values["secretValue"]
	secret, _ := sent.(string)
	switch {
	case !there || row.Kind() != "apiKey":
	case secret == "" && seal.Hashed(row.Str("secretValue")):
		delete(values, "secretValue")
	case secret != "" && r.shownOnce():
		values["secretValue"] = seal.Hash(secret, true)
	}
}

// blanksHash shows no hash: it is not what clients take it for.
func blanksHash(row *schema.Row, field string) (string, bool) {
	return "null", field == "secretValue" && seal.Hashed(row.Str("secretValue"))
}
