package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// The stories here are made from the declarations: whatever type is added is in them.

// caller is somebody of one kind who asks, and what that kind is shown.
type caller struct {
	*server
	kind    string
	account int64
	view    *auth.View
	plain   bool
	limited bool
}

// callers makes one of each kind with a projection.
func callers(s *server) []*caller {
	views := auth.New(s.store, s.settings)
	var out []*caller
	for _, kind := range []string{schema.Admin, schema.SuperAdmin, schema.ReadAdmin, schema.User, schema.Agent, schema.AgentRegister, schema.Register} {
		id, keys := s.account(kind)
		c := &caller{server: s.as(keys), kind: kind, account: id, view: views.View(kind), plain: kind == schema.Agent}
		c.limited = !slices.Contains([]string{schema.Admin, schema.SuperAdmin, schema.ReadAdmin}, kind)
		out = append(out, c)
	}
	return out
}

// tables lists the types of rows that the caller sees.
func (c *caller) tables() []*auth.Type {
	var out []*auth.Type
	for _, name := range c.view.Names() {
		t := c.view.Type(name)
		switch {
		case t.Table == "" || t.Type.Field("id").Type != "int": // never has rows of ours
		case name == "setting" || name == "processInstance" || name == "processExecution" || name == "task": // have stories of their own
		default:
			out = append(out, t)
		}
	}
	return out
}

// everybody runs a story for each kind of caller against one server per database.
func everybody(t *testing.T, story func(c *caller)) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		each(t, newServer(t, address, func(*configOf) {}), story)
	})
}

// each runs a story for each kind of caller against one server.
func each(t *testing.T, s *server, story func(c *caller)) {
	for _, c := range callers(s) {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			own := *c.server
			own.t = t
			mine := *c
			mine.server = &own
			story(&mine)
		})
	}
}

// id writes a stored id as the caller reads it.
func (c *caller) id(t *schema.Type, id int64) string {
	if c.plain {
		return fmt.Sprint(id)
	}
	return t.Obfuscate(fmt.Sprint(id))
}

func (c *caller) path(t *auth.Type, id int64) string {
	return "/v1/" + strings.ToLower(t.Plural) + "/" + c.id(t.Type, id)
}

// rows inserts rows in one transaction and returns their ids.
func (s *server) rows(rows ...*schema.Row) []int64 {
	s.t.Helper()
	ctx := s.t.Context()
	err := s.store.Write(ctx, "test", func(tx *store.Tx) error {
		for _, row := range rows {
			if err := tx.Insert(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID()
	}
	return ids
}

// owned makes a row of a type that belongs to an account, with values.
func owned(t *schema.Type, account int64, values map[string]any) *schema.Row {
	all := map[string]any{}
	if t.HasColumn("state") {
		all["state"] = "active"
		if states := t.Field("state").Options; states != nil && !slices.Contains(states, "active") {
			all["state"] = "running"
		}
	}
	if t.HasColumn("accountId") {
		all["accountId"] = account
	}
	for _, f := range t.Columns() { // databases want what is never null
		if f.NotNull && f.Type == "date" || f.NotNull && f.RefType() != "" {
			all[f.Name] = int64(1)
		}
	}
	if t.HasColumn("name") {
		all["name"] = uuid.NewString() // of some types no two share one
	}
	maps.Copy(all, values)
	return store.NewRow(t, 1400000000000, all)
}

// seen is a row of a type that the caller can read. Of accounts a limited caller
// sees only its own.
func (c *caller) seen(t *schema.Type) int64 {
	if t.Name == "account" {
		return c.account
	}
	return c.rows(owned(t, c.account, nil))[0]
}

// sample is a value for a field as a client sends it, nil if there is none.
func (c *caller) sample(f *auth.Field) any {
	typ := f.Type
	inner := typ[strings.LastIndexByte(typ, '[')+1:]
	inner = strings.TrimRight(inner, "]")
	var v any
	switch {
	case f.Name == "uuid" || f.Name == "name" || f.Unique:
		return uuid.NewString()
	case f.Name == "ports":
		v = "8080:80/tcp"
	case f.Name == "networkAddress":
		v = "10.1.0.0"
	case len(f.Options) > 0:
		v = f.Options[0]
	case strings.Contains(typ, "reference["):
		t := resource.All.Type(inner)
		id := c.seen(t)
		v = t.Obfuscate(fmt.Sprint(id))
		if c.plain {
			v = float64(id)
		}
	case inner == "string" || inner == "password" || inner == "blob":
		v = uuid.NewString()
	case inner == "int" && f.Min != nil:
		v = float64(*f.Min)
	case inner == "int":
		v = 7.0
	case inner == "boolean":
		v = true
	case inner == "date":
		v = "2014-05-07T12:34:56Z"
	case inner == "json":
		v = map[string]any{"a": []any{1.0, "b", nil}}
	default:
		return nil
	}
	switch {
	case strings.HasPrefix(typ, "array["):
		return []any{v}
	case strings.HasPrefix(typ, "map[") && inner != "json":
		return map[string]any{"key": v}
	}
	return v
}

// left out are fields that do not go with others, or that decide what a row is.
var leftOut = []string{"kind", "state", "data", "accountId", "imageId", "subnetIds", "imageUuid"}

// sent is a body with a sample for each field that may be set.
func (c *caller) sent(t *auth.Type, may func(*auth.Field) bool) map[string]any {
	body := map[string]any{}
	for _, f := range t.Fields {
		if !may(f) || slices.Contains(leftOut, f.Name) {
			continue
		}
		if v := c.sample(f); v != nil {
			body[f.Name] = v
		}
	}
	if t.Base().Name == "instance" && t.Field("imageUuid") != nil && may(t.Field("imageUuid")) {
		body["imageUuid"] = "sim:every"
	}
	return body
}

// secretive are what a registration shows only to those who know its key.
var secretive = []string{"key", "accessKey", "secretKey"}

// shows expects what was sent in an answer.
func (a *answer) shows(t *auth.Type, body map[string]any) {
	a.t.Helper()
	for name, v := range body {
		f := t.Field(name)
		if t.Name == "register" && slices.Contains(secretive, name) {
			continue // shown to nobody who does not know it
		}
		if f.WriteOnly {
			if _, there := a.body[name]; there {
				a.t.Errorf("%s shows %s, which is never shown", a.what, name)
			}
			continue
		}
		got, _ := json.Marshal(a.body[name])
		want, _ := json.Marshal(v)
		if string(got) != string(want) {
			a.t.Errorf("%s: %s is %s, sent was %s", a.what, name, got, want)
		}
	}
}

// whole expects every field of the schema and nothing that is not in it.
func (a *answer) whole(t *auth.Type) {
	a.t.Helper()
	extras := []string{"id", "type", "links", "actions", "token", "registrationUrl", "waiting"}
	for _, f := range t.Fields {
		_, there := a.body[f.Name]
		hidden := t.Name == "register" && slices.Contains(secretive, f.Name)
		if there == f.WriteOnly && !hidden && f.Name != "id" {
			a.t.Errorf("%s: %s is there: %v", a.what, f.Name, there)
		}
		if f.Type == "date" {
			extras = append(extras, f.Name+"TS")
			if _, ts := a.body[f.Name+"TS"].(float64); ts != (a.body[f.Name] != nil) {
				a.t.Errorf("%s: %s is %v and its number is there: %v", a.what, f.Name, a.body[f.Name], ts)
			}
		}
	}
	for name := range a.body {
		if t.Field(name) == nil && !slices.Contains(extras, name) {
			a.t.Errorf("%s shows %s, which is not published", a.what, name)
		}
	}
}

// Every type is made with all that may be set, read, changed and removed by every
// kind of caller that may do so, and answers with whole resources all the way.
func TestEveryTypeIsMadeReadChangedAndRemoved(t *testing.T) {
	everybody(t, func(c *caller) {
		for _, t := range c.tables() {
			if rightsOf(c.kind, t.Type).create {
				c.throughLife(t)
				continue
			}
			c.post("/v1/"+t.Plural, "{}").fails(405, "Method not allowed", "-")
		}
	})
}

func (c *caller) throughLife(t *auth.Type) {
	c.t.Helper()
	body := c.sent(t, func(f *auth.Field) bool { return f.Create })
	text, _ := json.Marshal(body)
	made := c.make("/v1/"+t.Name, string(text))
	made.whole(t)
	made.shows(t, body)
	moves := resource.All.Verb(t.Type, "create") != nil
	if t.Field("transitioning") != nil && moves && (made.at("transitioning") != "yes" || made.at("state") == "requested") {
		c.t.Errorf("a new %s is %v, %v", t.Name, made.at("state"), made.at("transitioning"))
	}
	if made.at("type") != t.Name {
		c.t.Errorf("a new %s is a %v", t.Name, made.at("type"))
	}
	path := "/v1/" + strings.ToLower(t.Plural) + "/" + made.str("id")
	if !t.Allows("PUT") {
		c.send("PUT", path, "{}").is(405)
	} else {
		changes := c.sent(t, func(f *auth.Field) bool { return f.Update })
		text, _ = json.Marshal(changes)
		changed := c.send("PUT", c.path(t, c.resting(t)), string(text)).is(200)
		changed.whole(t)
		changed.shows(t, changes)
	}
	switch {
	case c.kind == schema.AgentRegister: // what it makes will belong to the agent's own account
		c.get(path).is(404)
	case t.Allows("GET"):
		c.get(path).is(200).whole(t)
	}
	if !t.Allows("DELETE") {
		c.send("DELETE", path, "").is(405)
		return
	}
	gone := c.send("DELETE", path, "")
	d := resource.All.Verb(t.Type, "remove")
	switch state := made.at("state"); {
	case d == nil && (gone.code != 200 || c.get(path).code != 404):
		c.t.Errorf("%s answers %d and is not erased", gone.what, gone.code)
	case d != nil && slices.Contains(d.FromStates(), fmt.Sprint(state)) && gone.code != 200:
		c.t.Errorf("%s, which is %v, answers %d", gone.what, state, gone.code)
	}
}

// resting is a row of the caller's in a state in which it may be changed.
func (c *caller) resting(t *auth.Type) int64 {
	values := map[string]any{}
	if d := resource.All.Verb(t.Type, "update"); d != nil {
		values["state"] = d.Start[0]
	}
	return c.rows(owned(t.Type, c.account, values))[0]
}

// pair are two values and none for a column, the lesser first.
func (c *caller) pair(t *auth.Type, f *schema.Field) (lo, hi any) {
	now, err := c.store.Now(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	switch {
	case f.Name == "removed":
		return now - 100_000, now - 50_000
	case f.Name == "removeTime":
		return now + 1_000_000, now + 2_000_000
	case f.RefType() != "":
		target := resource.All.Type(f.RefType())
		if target.Name == "account" && c.limited {
			return c.account, c.account
		}
		ids := c.rows(owned(target, c.account, nil), owned(target, c.account, nil))
		return ids[0], ids[1]
	case f.Type == "boolean":
		return false, true
	case len(f.Options) > 1:
		return min(f.Options[0], f.Options[1]), max(f.Options[0], f.Options[1])
	case f.Type == "string":
		return "alpha" + uuid.NewString()[:8], "beta" + uuid.NewString()[:8]
	case f.Type == "int":
		return int64(5), int64(9)
	}
	return int64(1_400_000_000_000), int64(1_500_000_000_000)
}

// Lists are filtered by every field with every modifier that is published, sorted by
// it in both directions, and say what was applied.
func TestEveryFilterOfEveryType(t *testing.T) {
	everybody(t, func(c *caller) {
		for _, t := range c.tables() {
			if !t.Lists() || t.Name == "account" && c.limited {
				continue
			}
			for _, f := range t.Filters {
				if f.Column != nil && t.Field(f.Name) != nil && f.Name != "secretValue" && f.Name != "visible" && (f.Name != "kind" || t.Parent == nil) {
					c.filtered(t, f)
				}
			}
		}
	})
}

func (c *caller) filtered(t *auth.Type, f auth.Filter) {
	c.t.Helper()
	lo, hi := c.pair(t, f.Column)
	made := func(v any) *schema.Row {
		if f.Name == "id" || f.Name == "accountId" && c.limited {
			return owned(t.Type, c.account, nil)
		}
		return owned(t.Type, c.account, map[string]any{f.Name: v})
	}
	rows := []*schema.Row{made(lo), made(hi), made(nil)}
	if f.Column.NotNull {
		rows = rows[:2]
	}
	ids := c.rows(rows...)
	of := func(i int) any { return rows[i].Get(f.Name) }
	for _, modifier := range f.Modifiers {
		value := c.filterText(f.Column, of(0))
		switch modifier {
		case "like", "notlike":
			value = value[:min(len(value), 9)] + "%"
		case "prefix":
			value = value[:min(len(value), 9)]
		}
		var want []string
		for i := range rows {
			if holds(modifier, of(i), of(0)) {
				want = append(want, c.id(t.Type, ids[i]))
			}
		}
		query := fmt.Sprintf("%s_%s=%s&id_gte=%d&limit=1000&sort=%s", f.Name, modifier, url.QueryEscape(value), slices.Min(ids), f.Name)
		for i, order := range []string{"asc", "desc"} {
			if i > 0 && modifier != "notnull" {
				break
			}
			a := c.get("/v1/" + t.Plural + "?" + query + "&order=" + order).is(200)
			got := slices.DeleteFunc(a.ids(), func(id string) bool {
				return !slices.ContainsFunc(ids, func(n int64) bool { return c.id(t.Type, n) == id })
			})
			sorted := slices.Clone(got)
			slices.Sort(sorted)
			expected := slices.Clone(want)
			slices.Sort(expected)
			if !slices.Equal(sorted, expected) {
				c.t.Errorf("%s: %s found %v of %v instead of %v", c.kind, a.what, got, ids, want)
			}
			if a.at("filters."+f.Name) == nil || a.at("sort.name") != f.Name || a.at("sort.order") != order {
				c.t.Errorf("%s: %s says that it applied %v and %v", c.kind, a.what, a.at("filters."+f.Name), a.at("sort"))
			}
			if modifier == "notnull" && len(got) > 1 && of(0) != of(1) {
				first, last := c.id(t.Type, ids[0]), c.id(t.Type, ids[1])
				if order == "desc" {
					first, last = last, first
				}
				if slices.Index(got, first) > slices.Index(got, last) {
					c.t.Errorf("%s: %s is sorted as %v", c.kind, a.what, got)
				}
			}
		}
	}
}

// filterText writes a stored value as it is sent in a filter.
func (c *caller) filterText(f *schema.Field, v any) string {
	if ref := f.RefType(); ref != "" {
		return resource.All.Type(ref).Obfuscate(fmt.Sprint(v))
	}
	return fmt.Sprint(v)
}

// holds says whether a value meets a condition, as databases see it.
func holds(modifier string, v, than any) bool {
	switch {
	case modifier == "null" || modifier == "notnull":
		return (v == nil) == (modifier == "null")
	case v == nil:
		return false
	}
	n, _ := v.(int64)
	m, _ := than.(int64)
	text, _ := v.(string)
	other, _ := than.(string)
	begins := strings.HasPrefix(text, other[:min(len(other), 9)])
	switch modifier {
	case "eq":
		return v == than
	case "ne":
		return v != than
	case "lt":
		return n < m
	case "lte":
		return n <= m
	case "gt":
		return n > m
	case "gte":
		return n >= m
	case "like", "prefix":
		return begins
	}
	return !begins
}

// Every link of every type is followed and included, and what it leads to leads back.
func TestEveryLinkOfEveryType(t *testing.T) {
	everybody(t, func(c *caller) {
		for _, t := range c.tables() {
			if t.Name == "account" && c.limited || !t.Allows("GET") {
				continue
			}
			for _, l := range t.Links {
				if slices.ContainsFunc(c.tables(), func(o *auth.Type) bool { return o.Name == l.Target }) {
					c.linked(t, l)
				}
			}
		}
	})
}

func (c *caller) linked(t *auth.Type, l resource.Link) {
	c.t.Helper()
	target := resource.All.Type(l.Target)
	var here, there int64
	switch {
	case l.Reference:
		there = c.seen(target)
		here = c.rows(owned(t.Type, c.account, map[string]any{l.Column: there}))[0]
	case l.Via == "":
		here = c.seen(t.Type)
		there = c.rows(owned(target, c.account, map[string]any{l.Column: here}))[0]
	default:
		here, there = c.seen(t.Type), c.seen(target)
		c.rows(owned(resource.All.Type(l.Via), c.account, map[string]any{l.Column: here, l.There: there}))
	}
	path := c.path(t, here)
	shown := c.get(path).is(200)
	address := strings.TrimPrefix(shown.str("links."+l.Name), "http://h")
	if address != path+"/"+strings.ToLower(l.Name) {
		c.t.Errorf("%s: %s of %s is at %s", c.kind, l.Name, path, address)
	}
	want := c.id(target, there)
	if got := c.get(address).is(200).idsOf(""); !slices.Contains(got, want) {
		c.t.Errorf("%s: %s leads to %v and not to %s", c.kind, address, got, want)
	}
	if got := c.get(path + "?include=" + strings.ToUpper(l.Name)).is(200).idsOf(l.Name); !slices.Contains(got, want) {
		c.t.Errorf("%s: %s of %s includes %v and not %s", c.kind, l.Name, path, got, want)
	}
	if !t.Lists() {
		return
	}
	list := c.get(fmt.Sprintf("/v1/%s?id=%s&include=%s", t.Plural, t.Obfuscate(fmt.Sprint(here)), l.Name)).is(200)
	if items := list.body["data"].([]any); len(items) == 0 {
		c.t.Errorf("%s: %s is not listed", c.kind, path)
	} else if got := (&answer{t: c.t, body: items[0].(map[string]any)}).idsOf(l.Name); !slices.Contains(got, want) {
		c.t.Errorf("%s: %s of %s includes %v in a list and not %s", c.kind, l.Name, path, got, want)
	}
}

// idsOf lists the ids of what stands under a key, of the answer itself under "".
func (a *answer) idsOf(key string) []string {
	var v any = a.body
	if key != "" {
		v = a.body[key]
	} else if list, ok := a.body["data"].([]any); ok {
		v = list
	}
	var out []string
	switch x := v.(type) {
	case map[string]any:
		out = append(out, fmt.Sprint(x["id"]))
	case []any:
		for _, item := range x {
			out = append(out, fmt.Sprint(item.(map[string]any)["id"]))
		}
	}
	return out
}

// In every state every action is offered exactly when its process may begin there or
// is under way; then it is taken, else refused without any effect.
func TestEveryActionInEveryState(t *testing.T) {
	everybody(t, func(c *caller) {
		for _, t := range c.tables() {
			if t.Parent != nil && t.Name != "container" && t.Name != "virtualMachine" { // act as their base type does
				continue
			}
			var states []string
			if f := t.Type.Field("state"); f != nil {
				states = f.Options
			}
			for _, state := range states {
				c.acts(t, state)
			}
		}
	})
}

func (c *caller) acts(t *auth.Type, state string) {
	c.t.Helper()
	var rows []*schema.Row
	for range len(t.Actions) + 1 {
		rows = append(rows, owned(t.Type, c.account, map[string]any{"state": state}))
	}
	ids := c.rows(rows...)
	if t.Name == "account" && c.limited {
		return
	}
	shown := map[string]any{}
	if t.Allows("GET") {
		shown, _ = c.get(c.path(t, ids[len(ids)-1])).is(200).at("actions").(map[string]any)
	}
	for i, name := range t.Actions {
		a, _ := resource.All.Action(t.Type, name)
		d := resource.All.Verb(t.Type, name)
		legal := d != nil && slices.Contains(d.FromStates(), state) || d == nil && (a.State == "" || a.State == state)
		legal = legal && a.Capability == ""
		path := c.path(t, ids[i])
		if _, offered := shown[name]; offered != legal {
			c.t.Errorf("%s: %s in state %s offers %s: %v", c.kind, t.Name, state, name, offered)
		}
		body := "{}"
		done := c.post(path+"/?action="+strings.ToLower(name), body)
		switch {
		case legal && done.code != 202 && done.code != 200:
			c.t.Errorf("%s: %s in state %s answers %d: %s", c.kind, done.what, state, done.code, done.text)
		case !legal:
			done.fails(422, "ActionNotAvailable", "action")
			if is := c.get(path).at("state"); is != state {
				c.t.Errorf("%s: %s was refused and is %v", c.kind, done.what, is)
			}
		}
	}
	c.post(c.path(t, ids[len(ids)-1])+"/?action=nothing", "{}").fails(422, "InvalidAction", "action")
	c.removes(t, state, ids[len(ids)-1])
}

// removes expects a DELETE to be taken exactly where removal may begin.
func (c *caller) removes(t *auth.Type, state string, id int64) {
	c.t.Helper()
	if !t.Allows("DELETE") {
		c.send("DELETE", c.path(t, id), "").is(405)
		return
	}
	d := resource.All.Verb(t.Type, "remove")
	legal := d == nil || state == "removed" || slices.Contains(d.FromStates(), state) || t.Base().Name == "instance" && state == "running"
	a := c.send("DELETE", c.path(t, id), "")
	if legal && a.code != 200 {
		c.t.Errorf("%s: %s in state %s answers %d: %s", c.kind, a.what, state, a.code, a.text)
	}
	if !legal {
		a.fails(409, "Conflict", "-")
	}
}
