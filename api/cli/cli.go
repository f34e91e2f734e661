// Package cli is the command line of /v1. Its commands come from the schemas that the
// server publishes to the caller: whatever type or action there is has one.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/api/client"
)

// Codes that a command exits with. What the server refuses exits with its HTTP status
// less 400, as the classic command line does; a 400 alone would be taken for success
// then, and counts as a wrong command.
const (
	codeUsage       = 64 // no such command, or not so
	codeUnavailable = 69 // no answer
	codeFailed      = 70 // what was waited for has failed
)

// Exit is an error with the code that the program ends with.
type Exit struct {
	Code int
	Err  error
}

func (e *Exit) Error() string { return e.Err.Error() }
func (e *Exit) Unwrap() error { return e.Err }

func wrong(format string, args ...any) error { return &Exit{codeUsage, fmt.Errorf(format, args...)} }

// exit gives an error the code that belongs to it.
func exit(err error) error {
	var done *Exit
	var refused *client.Error
	var failed *client.TransitionError
	switch {
	case err == nil || errors.As(err, &done):
		return err
	case errors.As(err, &refused) && refused.Status > 400:
		return &Exit{refused.Status - 400, err}
	case errors.As(err, &refused):
		return &Exit{codeUsage, err}
	case errors.As(err, &failed):
		return &Exit{codeFailed, err}
	}
	return &Exit{codeUnavailable, err}
}

// command is one call of the command line.
type command struct {
	verb    string // list, get, create, update, delete, or an action
	typ     *client.Schema
	flags   flags
	client  *client.Client
	schemas map[string]*client.Schema
	out     io.Writer
}

// Run carries out a command such as list-host. The environment holds CATTLE_URL,
// CATTLE_ACCESS_KEY, CATTLE_SECRET_KEY, CATTLE_CACHE and CATTLE_CACHE_TIME (seconds).
// Every error is an *Exit.
func Run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	return exit(run(ctx, args, env, out))
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	given := parse(args[1:])
	config := configFrom(given, env)
	c, err := client.New(config)
	if err != nil {
		return wrong("%w", err)
	}
	schemas, err := cached(ctx, c, config, env)
	if err != nil {
		return err
	}
	cmd := &command{flags: given, client: c, schemas: schemas, out: out}
	if args[0] == "commands" {
		return cmd.list()
	}
	if err := cmd.find(args[0]); err != nil {
		return err
	}
	if given.has("help") || given.has("h") {
		return cmd.help()
	}
	return cmd.run(ctx)
}

// configFrom reads where the server is, and who asks.
func configFrom(given flags, env func(string) string) client.Config {
	return client.Config{URL: given.take("url", env("CATTLE_URL")), AccessKey: given.take("accesskey", env("CATTLE_ACCESS_KEY")), SecretKey: given.take("secretkey", env("CATTLE_SECRET_KEY"))}
}

// plain is a name as people may write it: in any case, with or without dashes.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

// verbs are what may be done to types, besides their actions.
var verbs = []string{"list", "get", "create", "update", "delete"}

// find reads the name of a command: VERB-TYPE or TYPE-ACTION.
func (c *command) find(name string) error {
	wanted := plain(name)
	for _, id := range slices.Sorted(maps.Keys(c.schemas)) {
		s := c.schemas[id]
		typ := plain(id)
		for _, v := range verbs {
			if wanted == v+typ && can(s, v) {
				c.verb, c.typ = v, s
				return nil
			}
		}
		for action := range s.ResourceActions {
			if wanted == typ+plain(action) {
				c.verb, c.typ = action, s
				return nil
			}
		}
	}
	return wrong("there is no command %q for this caller; 'cattle commands' lists them", name)
}

func (c *command) run(ctx context.Context) error {
	rows := client.Of[map[string]any](c.client, c.typ.ID)
	if c.verb == "list" && c.flags.first("id") == "" {
		return c.runList(ctx, rows)
	}
	var one *map[string]any
	var err error
	wait := c.flags.boolean("wait")
	switch c.verb {
	case "create":
		body, err := c.body(c.typ, func(f client.Field) bool { return f.Create })
		if err != nil {
			return err
		}
		one, err = rows.Create(ctx, body)
		if err != nil {
			return err
		}
	default:
		id := c.id()
		if id == "" {
			return wrong("say which one: --id ID")
		}
		if one, err = rows.Get(ctx, id); err == nil {
			one, err = c.change(ctx, rows, one)
		}
		if err != nil {
			return err
		}
	}
	if wait {
		limit, cancel := context.WithTimeout(ctx, 10*time.Minute)
		defer cancel()
		if one, err = rows.Wait(limit, one); one == nil {
			return err
		}
	}
	return errors.Join(c.show(one), err)
}

func (c *command) id() string {
	if id := c.flags.first("id"); id != "" {
		return id
	}
	if len(c.flags.words) > 0 {
		return c.flags.words[0]
	}
	return ""
}

// change does what the command says to one resource.
func (c *command) change(ctx context.Context, rows client.Collection[map[string]any], one *map[string]any) (*map[string]any, error) {
	switch c.verb {
	case "get", "list":
		return one, c.strange(nil)
	case "update":
		body, err := c.body(c.typ, func(f client.Field) bool { return f.Update })
		if err != nil {
			return nil, err
		}
		return rows.Update(ctx, one, body)
	case "delete":
		if err := c.strange(nil); err != nil {
			return nil, err
		}
		return rows.Remove(ctx, one)
	}
	input := c.schemas[c.typ.ResourceActions[c.verb].Input]
	if input == nil {
		input = &client.Schema{}
	}
	body, err := c.body(input, func(f client.Field) bool { return f.Create })
	if err != nil {
		return nil, err
	}
	return rows.Act(ctx, one, c.verb, body)
}

func (c *command) runList(ctx context.Context, rows client.Collection[map[string]any]) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	most := c.flags.number("limit")
	var list []*map[string]any
	for one, err := range rows.List(ctx, query) {
		if err != nil {
			return err
		}
		if list = append(list, one); most > 0 && len(list) == most {
			break
		}
	}
	return c.showAll(list)
}

// query makes the filters of a list out of flags.
func (c *command) query() (url.Values, error) {
	names := map[string]string{}
	for field, f := range c.typ.CollectionFilters {
		for _, m := range f.Modifiers {
			name := field + "_" + m
			if m == "eq" {
				name = field
				names[plain(field+"_eq")] = field
			}
			names[plain(name)] = name
		}
	}
	for _, name := range []string{"sort", "order", "limit", "marker", "include"} {
		names[name] = name
	}
	query := url.Values{}
	for flag, values := range c.flags.named {
		name, there := names[flag]
		if !there {
			if slices.Contains(own, flag) {
				continue
			}
			return nil, wrong("a list of %s takes no --%s; 'cattle list-%s --help' says what it takes", c.typ.PluralName, c.flags.written[flag], c.typ.ID)
		}
		query[name] = values
	}
	return query, nil
}

// own are the flags of the command line itself.
var own = []string{"o", "output", "format", "wait", "id", "help", "h"}

// strange refuses flags that nothing takes.
func (c *command) strange(known map[string]string) error {
	for flag := range c.flags.named {
		if _, there := known[flag]; !there && !slices.Contains(own, flag) {
			return wrong("%s-%s takes no --%s", c.verb, c.typ.ID, c.flags.written[flag])
		}
	}
	return nil
}

// refusedBy tells whether an answer has the status.
func refusedBy(err error, status int) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Status == status
}

// cached reads the schemas, from a file if they were read in the last day.
func cached(ctx context.Context, c *client.Client, config client.Config, env func(string) string) (map[string]*client.Schema, error) {
	file := cacheFile(config, env)
	if list := readCache(file, env("CATTLE_CACHE_TIME")); list != nil {
		c.Know(list)
		return c.Schemas(ctx)
	}
	schemas, err := c.Schemas(ctx)
	if refusedBy(err, http.StatusUnauthorized) {
		return nil, fmt.Errorf("%w: give a key by CATTLE_ACCESS_KEY and CATTLE_SECRET_KEY", err)
	}
	if err == nil {
		writeCache(file, schemas)
	}
	return schemas, err
}
