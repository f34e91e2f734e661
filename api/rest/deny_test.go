package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/testkit"
)

// verbs are all that may be sent; the last ones nobody has.
var verbs = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}

// Security is on. Every kind of caller sends every verb to every route of every type:
// its collection, a row of its own, one of somebody else, one of somebody else that is
// public, a link, an action. What is not allowed by the declaration of the type is
// refused, and what is not seen is not there.
func TestEveryRouteForEveryCallerAndVerb(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		s := newServer(t, address, func(c *configOf) {
			c.Settings.SetDatabase(map[string]string{"api.security.enabled": "true", // and no bound on attempts hides the answer
				"api.auth.failures.per.minute": "1000000", "api.auth.failures.per.address.per.minute": "1000000", "api.auth.failures.per.key.per.minute": "1000000"})
		})
		stranger := s.row("account", map[string]any{"kind": "user", "state": "active"})
		_, unknown := s.account("test")
		inactive := s.row("account", map[string]any{"kind": "admin", "state": "inactive"})
		s.row("credential", map[string]any{"kind": "apiKey", "state": "active", "accountId": inactive, "publicValue": "OFF", "secretValue": "secret"})
		for _, keys := range []string{"", "None:None", "OFF:secret", unknown, "registrationToken:x:1:y"} {
			t.Run("refused "+keys, func(t *testing.T) {
				t.Parallel()
				refused(t, s.as(keys))
			})
		}
		for _, c := range callers(s) {
			t.Run(c.kind, func(t *testing.T) {
				t.Parallel()
				own := *c.server
				own.t = t
				mine := *c
				mine.server = &own
				for _, k := range resource.All.Kinds() {
					mine.everyRoute(k.Type, stranger)
				}
			})
		}
	})
}

// refused expects that nothing at all is answered but who it is that may not.
func refused(t *testing.T, s *server) {
	t.Helper()
	own := *s
	own.t = t
	paths := []string{"/", "/v1", "/v1/unicorns", "/v1/scripts"}
	for _, k := range resource.All.Kinds() {
		paths = append(paths, "/v1/"+k.Type.Plural, "/v1/"+k.Type.Name+"/1", "/v1/"+k.Type.Name+"/1x1/account", "/v1/"+k.Type.Name+"/1x1/?action=remove")
	}
	for _, path := range paths {
		for _, verb := range verbs[:4] {
			own.send(verb, path, "{}").fails(401, "Unauthorized", "-")
		}
	}
}

// rights are what the declaration gives a kind of caller on a type.
type rights struct{ seen, list, create, get, update, remove, act bool }

// rightsOf reads them from the letters of the declaration alone.
func rightsOf(kind string, t *schema.Type) rights {
	letters, seen := t.Access[kind]
	has := func(l string) bool { return strings.Contains(letters, l) }
	made := slices.Contains([]string{"processInstance", "processExecution", "databasechangelog", "databasechangeloglock"}, t.Name) // by the engine alone
	return rights{seen: seen, list: has("r") && slices.Contains(t.CollectionMethods, "GET"), create: has("c") && !made, get: has("r"), update: has("u"), remove: has("d"),
		act: kind == schema.Admin || kind == schema.SuperAdmin || kind == schema.User}
}

// ours tells whether a type is served by rows of a table and by nothing else.
func ours(t *schema.Type) bool {
	return t.Table != "" && t.Field("id").Type == "int" && t.Name != "setting" && t.Name != "processInstance"
}

func (c *caller) everyRoute(t *schema.Type, stranger int64) {
	c.t.Helper()
	may := rightsOf(c.kind, t)
	plural := "/v1/" + t.Plural
	for _, verb := range verbs {
		a := c.send(verb, plural, "{}")
		switch {
		case !slices.Contains(verbs[:4], verb):
			a.is(405)
		case !may.seen:
			a.fails(404, "Not Found", "-")
		case verb == "GET" && may.list, verb == "POST" && may.create:
			c.open(a)
		default:
			a.fails(405, "Method not allowed", "-")
		}
	}
	if !ours(t) {
		c.elsewhere(t, may)
		return
	}
	c.row(t, may, c.ownRow(t), true, true)
	if c.limited && t.Base().HasColumn("accountId") {
		foreign := c.rows(owned(t, stranger, nil))[0]
		c.row(t, may, foreign, false, false)
		if t.Base().HasColumn("isPublic") {
			c.row(t, may, c.rows(owned(t, stranger, map[string]any{"isPublic": true}))[0], true, false)
		}
	}
}

// open expects an answer that is about what was sent and not about who sent it.
func (c *caller) open(a *answer) {
	c.t.Helper()
	if a.code == 401 || a.code == 403 || a.code == 404 || a.code >= 500 && a.code != 503 {
		c.t.Errorf("%s: %s answers %d: %s", c.kind, a.what, a.code, a.text)
	}
}

// elsewhere are types that are no rows of a table: they have no rows to address, or a
// list of their own.
func (c *caller) elsewhere(t *schema.Type, may rights) {
	c.t.Helper()
	for _, verb := range verbs[:4] {
		a := c.send(verb, "/v1/"+t.Plural+"/none-of-that", "{}")
		if !may.seen {
			a.fails(404, "Not Found", "-")
		}
		allowed := map[string]bool{"GET": may.get, "PUT": may.update, "DELETE": may.remove}[verb]
		if !allowed && a.code < 400 {
			c.t.Errorf("%s: %s answers %d", c.kind, a.what, a.code)
		}
	}
}

func (c *caller) ownRow(t *schema.Type) int64 {
	if t.Name == "account" && c.limited {
		return c.account
	}
	return c.rows(owned(t, c.account, nil))[0]
}

// row sends every verb to one row, its links and its actions. Who does not see the
// type does not see that there is a row; who may not write a row does not learn that
// there is one unless it is public.
func (c *caller) row(t *schema.Type, may rights, id int64, visible, writable bool) {
	c.t.Helper()
	path := fmt.Sprintf("/v1/%s/%s", t.Plural, c.id(t, id))
	if !may.seen {
		for _, p := range []string{path, path + "/account", path + "/?action=remove"} {
			for _, verb := range verbs[:4] {
				c.send(verb, p, "{}").fails(404, "Not Found", "-")
			}
		}
		return
	}
	view := c.view.Type(t.Name)
	c.links(view, path, visible, writable)
	c.actions(view, path, may, writable)
	for _, verb := range []string{"POST", "PATCH"} {
		c.send(verb, path, "{}").fails(405, "Method not allowed", "-")
	}
	for _, x := range []struct {
		verb         string
		allowed, hit bool
	}{{"GET", may.get, visible}, {"PUT", may.update, writable}, {"DELETE", may.remove, writable}} {
		switch a := c.send(x.verb, path, "{}"); {
		case !x.allowed:
			a.fails(405, "Method not allowed", "-")
		case !x.hit:
			a.fails(404, "Not Found", "-")
		default:
			c.open(a)
		}
	}
}

func (c *caller) links(t *auth.Type, path string, visible, writable bool) {
	c.t.Helper()
	for _, l := range resource.All.Links(t.Type) {
		at := path + "/" + l.Name
		seen := slices.Contains(t.Links, l)
		for _, verb := range []string{"GET", "PUT", "DELETE"} {
			a := c.send(verb, at, "{}")
			switch {
			case !seen:
				a.fails(404, "Not Found", "-")
			case verb != "GET":
				a.fails(405, "Method not allowed", "-")
			case !visible:
				a.fails(404, "Not Found", "-")
			case !l.Reference:
				a.is(200)
			}
		}
		target := c.view.Type(l.Target)
		a := c.send("POST", at, "{}")
		switch {
		case !seen:
			a.fails(404, "Not Found", "-")
		case l.Reference || l.Via != "" || !target.Creates():
			a.fails(405, "Method not allowed", "-")
		case !writable:
			a.fails(404, "Not Found", "-")
		default:
			c.open(a)
		}
	}
}

func (c *caller) actions(t *auth.Type, path string, may rights, writable bool) {
	c.t.Helper()
	for _, name := range resource.All.Actions(t.Type) {
		if name == "remove" || name == "deactivate" || name == "stop" || name == "purge" { // lest the row is gone for the others
			continue
		}
		switch a := c.post(path+"/?action="+name, "{}"); {
		case !may.act:
			a.fails(422, "InvalidAction", "action")
		case !writable:
			a.fails(404, "Not Found", "-")
		default:
			c.open(a)
		}
	}
}
