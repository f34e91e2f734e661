// Package api answers people and programs over HTTP. The rooms below it are rest,
// which draws everything from the declarations, auth, which knows who asks, and
// gateway, which holds the connections of agents. It writes what is asked and
// returns: the work is the workers'.
package api

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/cattleio/cattle/api/auth"
	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/item"
	"github.com/cattleio/cattle/shared/store"
)

// Deps is what the API stands on.
type Deps struct {
	Store    *store.Store
	Bus      *event.Bus
	Settings *config.Settings
	Rest     rest.Config
	Items    func() item.Bundles                                                         // nil hands out none
	Count    func(ctx context.Context, name string, window time.Duration) (int64, error) // for all servers; nil counts here
	Ready    func()                                                                      // called once, when all but the port is open
	Log      *slog.Logger
}

// maxBody bounds what a request may carry.
const maxBody = 8 << 20

// Run serves ln until ctx ends and what was asked before has been answered.
func Run(ctx context.Context, d Deps, ln net.Listener) error {
	if d.Rest.Auth == nil {
		d.Rest.Auth = auth.New(d.Store, d.Settings)
		d.Rest.Auth.Failures.Shared = d.Count
	}
	if d.Rest.Log == nil {
		d.Rest.Log = d.Log
	}
	if d.Items != nil {
		d.Rest.ConfigContent = content{d.Store, d.Items}.serve
	}
	hosts := consoles{d.Store, d.Bus, d.Rest.ServerID}
	if d.Rest.Console == nil {
		d.Rest.Console = hosts.open
		d.Rest.Running = hosts.running
	}
	tickets := newTickets(hosts, d.Rest.Auth)
	if d.Rest.Access == nil {
		d.Rest.Access = tickets.give
	}
	a := rest.New(d.Rest)
	defer tickets.serve(ctx, d.Bus)()
	defer vouch(ctx, d.Bus, voucher{d.Store, d.Rest.Auth, d.Rest.ServerID})()
	defer show(ctx, d.Bus, &viewer{store: d.Store, auth: d.Rest.Auth, api: a, callers: map[int64]believed{}}, d.Rest.ServerID)()
	d.Ready()
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true, BodyLimit: maxBody, ReadBufferSize: 16 << 10,
		ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		UnescapePath: false, CaseSensitive: true, ErrorHandler: a.Error,
	})
	if b, ok := ln.(*branch); ok && b.gateway != nil {
		app.Use(b.handOver)
	}
	a.Mount(app)
	known := app.Server().Handler
	app.Server().Handler = func(c *fasthttp.RequestCtx) {
		if !slices.Contains(fiber.DefaultMethods, string(c.Method())) {
			c.Request.Header.SetMethod(fiber.MethodPatch) // Fiber would refuse it with plain text; this one is refused as any other
		}
		known(c)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return app.Listener(ln) })
	g.Go(func() error {
		<-ctx.Done()
		return app.ShutdownWithTimeout(3 * time.Second)
	})
	return g.Wait()
}
