// Package rest is the REST API: collections, resources, links and actions, all
// drawn from the declarations in package resource, in the projection of whoever
// asks.
//
//	path, representation ──▶ who asks (auth) ──▶ type ──▶ list, read, create, change, act
//	                                                          │
//	                              validation ──▶ one transaction: row and process ──▶ bells
//
// It moves no resource itself: a POST inserts a row and launches its process, the
// workers do the rest. What is special about a type stands in a file of its own and
// is named in the tables of rules.go. Event streams are the gateway's business.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/wire"
)

// Config is what the API stands on. Store and Settings are needed; a hook that is
// nil is left out.
type Config struct {
	Store    *store.Store
	Settings *config.Settings
	Auth     *auth.Auth     // nil makes one
	Replica  *store.Replica // of Store, for reads that only show; nil for none
	ServerID string         // named in the processes launched here

	// Ring wakes workers after a commit. It must not block.
	Ring func([]store.Bell)
	// Place keeps a worker in this process for a process that is about to be born, or
	// answers nil. It is called once: with what was born, or with nil to give it back.
	Place func() func(*store.Born)
	// Changed announces a write that was answered. It must not block.
	Changed func(Change)
	// EnsureKey makes the key pair with which hosts are entered, unless there is one;
	// nil if nobody enters any.
	EnsureKey func(ctx context.Context) error
	// Pin is by what agents know the server's own certificate, "" where it has none.
	Pin string
	// SettingsChanged is called after a write to the settings, once they have been
	// read again here, so that other servers follow.
	SettingsChanged func()
	// RunTask starts a task by name, in the background.
	RunTask func(name string) error
	// Handlers lists the logic attached to one list of a process: pre.listeners,
	// handlers or post.listeners.
	Handlers func(process, list string) []Implementation
	// Subscribe and Publish serve the event stream. They get requests that were
	// authenticated and validated: see Input.
	Subscribe, Publish func(*fiber.Ctx, auth.Caller) error
	// ConfigContent serves /v1/configcontent/ITEM.
	ConfigContent func(*fiber.Ctx, auth.Caller, string) error
	// Script returns a shell script for /v1/scripts/NAME, where NAME is no token,
	// or fs.ErrNotExist.
	Script func(name string) (string, error)
	// Metrics answers GET /metrics for those who may see everything: the text and its
	// type.
	Metrics func() (contentType string, text []byte, err error)
	// Answered is told of each request that was answered. The type is one that is
	// declared, or other.
	Answered func(method, typ string, status int, took time.Duration)
	// Panicked is told of a panic that was caught.
	Panicked func()
	// Running asks the agent of a host what runs there.
	Running func(ctx context.Context, host *schema.Row) ([]wire.Resource, error)
	// Console asks the host of an instance how to reach its console.
	Console func(ctx context.Context, instance *schema.Row) (map[string]any, error)
	// Access gives a ticket for a way for bytes to an instance. Account and key are the
	// caller's.
	Access func(ctx context.Context, account, key int64, instance *schema.Row, wanted wire.Access) (token string, err error)
	// Log gets what is our fault; nil is the standard one.
	Log *slog.Logger
}

// Change is a write by a caller that was answered.
type Change struct {
	Type      string `json:"type"` // as addressed
	ID        string `json:"id"`   // as stored
	Method    string `json:"method"`
	Action    string `json:"action"`
	Code      int    `json:"responseCode"`
	AccountID int64  `json:"accountId"`
}

// API serves everything under /v1.
type API struct {
	Config
	shapes    map[*auth.Type]*shape
	schemas   map[*auth.View]*document
	processes []processDoc
	buckets   *limit.Buckets
}

// New returns an API. It works out everything that requests have in common.
func New(c Config) *API {
	if c.Auth == nil {
		c.Auth = auth.New(c.Store, c.Settings)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	a := &API{Config: c, shapes: map[*auth.Type]*shape{}, schemas: map[*auth.View]*document{}, processes: processDocs(), buckets: limit.NewBuckets()}
	for _, kind := range []string{schema.Admin, schema.SuperAdmin, schema.ReadAdmin, schema.User, schema.Agent, schema.AgentRegister, schema.Register} {
		view := c.Auth.View(kind)
		for _, name := range view.Names() {
			if t := view.Type(name); t.Table != "" {
				a.shapes[t] = newShape(t)
			}
		}
		a.schemas[view] = schemasOf(view)
	}
	return a
}

// Mount serves the API from app: whatever no route before it has taken.
func (a *API) Mount(app *fiber.App) {
	app.Server().DisablePreParseMultipartForm = true // nobody has been asked who he is yet, and fields would lose their order
	app.Get("/ping", func(c *fiber.Ctx) error { return c.SendString("pong") })
	app.Get("/healthcheck", a.health)
	app.Get(staticPath+"/*", a.static)
	app.Use(a.serve)
}

// health tells whether requests can be answered.
func (a *API) health(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	if err := a.Store.Ping(c.UserContext()); err != nil {
		return c.Status(fiber.StatusServiceUnavailable).SendString(`{"healthy":false}`)
	}
	return c.SendString(`{"healthy":true}`)
}

// serve answers one request. Whatever goes wrong becomes JSON.
func (a *API) serve(c *fiber.Ctx) (err error) {
	path := c.Path()
	for _, prefix := range a.list("api.ignore.paths", "/static,/ping,/healthcheck") {
		if strings.HasPrefix(path, prefix) {
			return c.Next()
		}
	}
	r := &request{api: a, c: c, ctx: c.UserContext()}
	if a.Answered != nil {
		begin := time.Now()
		defer func() { r.answered(begin) }()
	}
	defer func() {
		if p := recover(); p != nil {
			if a.Panicked != nil {
				a.Panicked()
			}
			a.Log.ErrorContext(r.ctx, "request panicked", "err", p, "path", r.shownPath(), "stack", string(debug.Stack()))
			err = r.refuse(errors.New("panic"))
		}
	}()
	err = r.serve()
	if deliberate := new(fault.Fault); err != nil && r.copied && !errors.As(err, &deliberate) {
		if !errors.Is(err, store.ErrNotFound) { // it may only be late
			a.Replica.Failed()
		}
		r = &request{api: a, c: c, ctx: r.ctx, name: r.name, primary: true}
		err = r.serve()
	}
	for begin := time.Now(); store.Away(err) && time.Since(begin) < patience && r.ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
		r = &request{api: a, c: c, ctx: r.ctx, name: r.name, again: true}
		err = r.serve()
	}
	if err != nil {
		return r.refuse(err)
	}
	return nil
}

// patience is how long a request waits for a database that is away: it may be failing
// over. Nothing was done before, so that it may be done again.
const patience = 5 * time.Second

// text returns a setting, or fallback where no layer has it.
func (a *API) text(name, fallback string) string {
	if v, ok := a.Settings.Lookup(name); ok {
		return v.Value
	}
	return fallback
}

func (a *API) flag(name string, fallback bool) bool {
	if v, ok := a.Settings.Lookup(name); ok {
		return strings.EqualFold(strings.TrimSpace(v.Value), "true")
	}
	return fallback
}

func (a *API) list(name, fallback string) []string {
	var out []string
	for _, p := range strings.Split(a.text(name, fallback), ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func (a *API) showInternal() bool { return a.flag("api.show.transitioning.internal.message", true) }

// removedMillis is how long removed rows stay in lists.
func (a *API) removedMillis() int64 {
	seconds, err := strconv.ParseInt(strings.TrimSpace(a.text("api.show.removed.for.seconds", "")), 10, 64)
	if err != nil || seconds < 0 {
		seconds = 300
	}
	return seconds * 1000
}
