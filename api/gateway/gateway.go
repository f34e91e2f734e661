// Package gateway holds the connections of agents and of all who listen to events.
// It carries commands down and replies up and decides nothing: no SQL, no states,
// no retries. Who somebody is comes from a credential, which a server with a
// database vouches for over the bus; what an agent may hear is what is published
// on its own channel; what it answers is marked with its own id, whatever it says.
//
//	worker ──▶ cattle.agent.ID (bus) ──▶ gateway ══ socket or lines ══ agent
//	worker ◀── cattle.server.NAME (bus) ◀── gateway
//	anybody ──▶ event:NAME (bus) ──▶ gateway ══ socket or lines ══ who subscribed
//
// The newest connection of an agent wins: a gateway that takes one tells the
// others to let go.
package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/wire"
)

// Limits of one connection and of the gateway. They are generous for agents and
// tight for anybody else.
const (
	maxFrame      = 4 << 20
	maxQueue      = 8 << 20 // bytes that wait for a slow client
	maxForm       = 64 << 10
	maxHeader     = 8 << 10
	handshake     = 5 * time.Second
	bodyTime      = 30 * time.Second
	heartbeat     = 15 * time.Second
	silence       = 3 * heartbeat
	authWait      = 3 * time.Second
	authLife      = 30 * time.Second
	refusalDelay  = 200 * time.Millisecond
	closeReplaced = 4001
	closeRevoked  = 4008
)

// Config is what a Gateway stands on.
type Config struct {
	Bus    *event.Bus
	Locks  *lock.Locks
	Server string
	Log    *slog.Logger
	Ready  func() // called once, when all but the port is open
	// Settings may be nil for the standard ones.
	Settings Settings
	// Listeners says that only listeners and publishers are served: agents belong to
	// gateways, which are scaled by their number.
	Listeners bool
	// Serves tells which kinds of accounts may listen; nil is all.
	Serves func(kind string) bool
	// Sim plays an agent whose address is sim://, nil if this gateway plays none.
	Sim func(wire.Parcel) Player
	// Count counts failed attempts for all servers; nil leaves that to each.
	Count func(ctx context.Context, name string, window time.Duration) (int64, error)
	// Metrics answers GET /metrics, nil if this is not the place for it.
	Metrics http.Handler
}

// Settings is what a gateway reads of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
	Bool(name string) bool
}

// Player answers commands in the place of an agent. A nil answer is none.
type Player interface {
	Handle(ctx context.Context, e *wire.Event, progress func(*wire.Event)) *wire.Event
}

// Gateway holds connections.
type Gateway struct {
	Config
	flight  singleflight.Group
	door    door
	upgrade upgraders
	handed  chan struct{} // one for each agent that is given the program
	changes *changes

	mu       sync.Mutex
	sessions map[int64]*session
	streams  map[*stream]bool
	accesses map[string]*access // by id
	playing  map[int64]*played
	observed map[int64]time.Time    // until when the commands of agents are shown to others
	asked    map[string]chan string // what is heard, by id of the question
	known    map[digest]vouched
	swept    time.Time // when what is out of date was last taken from it
	failures *limit.Failures
	teller   string // the API server that answered last

	dropped atomic.Int64
}

// New returns a gateway.
func New(c Config) *Gateway {
	g := &Gateway{Config: c, sessions: map[int64]*session{}, streams: map[*stream]bool{}, accesses: map[string]*access{}, playing: map[int64]*played{}, observed: map[int64]time.Time{},
		asked: map[string]chan string{}, known: map[digest]vouched{}, failures: limit.NewFailures(), door: newDoor(), upgrade: newUpgraders("", wire.Subprotocol, viewerProtocol), handed: make(chan struct{}, mostHanded)}
	g.failures.Shared = c.Count
	g.changes = newChanges(g)
	return g
}

// Sessions counts the agents connected here.
func (g *Gateway) Sessions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// Streams counts those who listen to events here and are no agents.
func (g *Gateway) Streams() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.streams)
}

// Played counts the agents that this gateway plays itself.
func (g *Gateway) Played() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.playing)
}

// Dropped counts the news that readers were not told because too many waited.
func (g *Gateway) Dropped() int64 { return g.dropped.Load() }

// Run listens for connections until ctx ends, then closes them all.
func (g *Gateway) Run(ctx context.Context, ln net.Listener) error {
	answers := g.Bus.SubscribeOwn(ctx, g.address(), g.hear)
	defer answers()
	revoked := g.Bus.Subscribe(ctx, wire.RevokeChannel, g.revoked)
	defer revoked()
	accessed := g.Bus.SubscribeOwn(ctx, wire.ServerChannel(g.accessServer()), g.accessed)
	defer accessed()
	suspected := g.Bus.Subscribe(ctx, wire.SuspectChannel, g.suspected)
	defer suspected()
	observed := g.Bus.Subscribe(ctx, wire.ObserveChannel, g.noted)
	defer observed()
	counted := g.Bus.Subscribe(ctx, wire.RollChannel, g.counted)
	defer counted()
	defer g.Bus.OnGap(ctx, g.interrupted)()
	go g.changes.run(ctx)
	if g.Sim != nil {
		offers := g.Bus.Subscribe(ctx, wire.ConnectChannel, func(p string) { g.offered(ctx, p) })
		defer offers()
	}
	g.Ready()
	server := &http.Server{Handler: g, ReadHeaderTimeout: handshake, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: noteTLS}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(ln) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	g.closeAll()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = server.Shutdown(end)
	return nil
}

// interrupted is called when news may have been lost: changes, or that somebody has lost the
// right to be connected.
func (g *Gateway) interrupted() {
	g.changes.interrupted()
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.known)
	for _, s := range g.sessions {
		s.hurry()
	}
}

// overTLS marks the requests of a connection over TLS that somebody has looked into
// before us.
type overTLS struct{}

func noteTLS(ctx context.Context, conn net.Conn) context.Context {
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return context.WithValue(ctx, overTLS{}, true)
	}
	return ctx
}

func (g *Gateway) closeAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		s.out.close(1012, "restart")
	}
	for s := range g.streams {
		s.out.close(1012, "restart")
	}
	for _, a := range g.accesses {
		if a.out != nil {
			a.out.close(1012, "restart")
		}
	}
}

// ServeHTTP answers what agents and listeners ask of a gateway.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // the next request may be for another part
	w.Header().Set("X-API-Schemas", g.base(r)+"/v1/schemas")
	var err error
	switch target(r.URL.Path) {
	case "/ping":
		_, err = w.Write([]byte("pong"))
	case "/metrics":
		err = g.metrics(w, r)
	case "/v1/subscribe":
		err = g.subscribe(w, r)
	case "/v1/publish":
		err = g.publish(w, r)
	case "/v1/hostaccess":
		err = g.hostAccess(w, r)
	case "/v1/agentprogram":
		err = g.handOn(w, r)
	default:
		err = fault.NotFound()
	}
	if err != nil {
		g.refuse(w, err)
	}
}

// metrics answers a scraper, where this is the place for it.
func (g *Gateway) metrics(w http.ResponseWriter, r *http.Request) error {
	if g.Metrics == nil || r.Method != http.MethodGet {
		return fault.NotFound()
	}
	g.Metrics.ServeHTTP(w, r)
	return nil
}

// overrides tells whether a front end may say what was asked for, and by whom.
func (g *Gateway) overrides() bool {
	return g.Settings != nil && g.Settings.Bool("api.allow.client.override")
}

// base is the scheme and host of the URLs that the caller is shown.
func (g *Gateway) base(r *http.Request) string {
	if sent := r.Header.Get("X-API-request-url"); sent != "" && g.overrides() {
		if u, err := url.Parse(sent); err == nil && u.Host != "" {
			return u.Scheme + "://" + strings.ToLower(u.Host)
		}
	}
	scheme := "http://"
	if r.TLS != nil || r.Context().Value(overTLS{}) != nil {
		scheme = "https://"
	}
	return scheme + strings.ToLower(r.Host)
}

// clientIP is where the caller is said to be.
func (g *Gateway) clientIP(r *http.Request) string {
	if ip := r.Header.Get("X-Forwarded-For"); ip != "" {
		return ip
	}
	if ip := r.Header.Get("X-API-client-ip"); ip != "" && g.overrides() {
		return ip
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	return ip
}

// take makes s the connection of its agent and tells everybody.
func (g *Gateway) take(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	g.mu.Lock()
	old := g.sessions[s.agent]
	g.sessions[s.agent] = s
	g.mu.Unlock()
	if old != nil {
		old.out.close(closeReplaced, "replaced")
		if old.from != s.from {
			g.contested(s.agent)
		}
	}
	channel := wire.AgentChannel(strconv.FormatInt(s.agent, 10))
	if text, err := (wire.Parcel{AgentID: s.agent, Evict: s.epoch, By: g.Server, From: s.from}).Encode(); err == nil {
		_ = g.Bus.PublishAll(ctx, []event.Message{{Channel: channel, Payload: text}})
	}
	s.atEnd(g.Bus.SubscribeOwn(ctx, channel, s.deliver))
	s.begin()
	if text, err := json.Marshal(wire.AgentUp{AgentID: s.agent}); err == nil {
		_, _ = g.Bus.Publish(ctx, wire.UpChannel, string(text))
	}
	g.Log.Info("agent connected", "agent", s.agent, "modern", s.modern)
}

// leave forgets a connection that has ended, and says so if it is lost: an agent that is
// told to go, or says that it goes, is soon back.
func (g *Gateway) leave(s *session, lost bool) {
	g.mu.Lock()
	if g.sessions[s.agent] == s {
		delete(g.sessions, s.agent)
	} else {
		lost = false
	}
	g.mu.Unlock()
	if text, err := json.Marshal(wire.AgentDown{AgentID: s.agent}); err == nil && lost {
		ctx, cancel := context.WithTimeout(context.Background(), authWait)
		defer cancel()
		_, _ = g.Bus.Publish(ctx, wire.DownChannel, string(text))
	}
	s.fail("the host is away")
	g.Log.Info("agent disconnected", "agent", s.agent)
}

// counted tells which agents of the classic kind are held here.
func (g *Gateway) counted(payload string) {
	var roll wire.Roll
	if json.Unmarshal([]byte(payload), &roll) != nil {
		return
	}
	held := wire.Held{Agents: []int64{}}
	g.mu.Lock()
	for id, s := range g.sessions {
		if !s.modern {
			held.Agents = append(held.Agents, id)
		}
	}
	g.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), authWait)
		defer cancel()
		if text, err := json.Marshal(held); err == nil {
			_, _ = g.Bus.Publish(ctx, roll.ReplyTo, string(text))
		}
	}()
}

// up sends a reply, which may be given as text, to the server that asked, and tells whether it is there. If it
// is gone, any other may store the reply.
func (g *Gateway) up(ctx context.Context, server string, a wire.Answer, reply string) (there bool, err error) {
	if a.Reply.ID == "" {
		a.Reply.ID = uuid.NewString()
	}
	text, err := a.Encode(reply)
	if err != nil {
		return false, err
	}
	n, err := g.Bus.Publish(ctx, wire.ServerChannel(server), text)
	if err == nil && n == 0 && !strings.HasPrefix(server, wire.AccessServer) {
		_, err = g.Bus.Publish(ctx, wire.StrayChannel, text)
	}
	return n > 0, err
}

// asker reads the server out of the address of a reply: reply.SERVER.REQUEST.
func asker(name string) (server, request string, ok bool) {
	rest, ok := strings.CutPrefix(name, "reply.")
	i := strings.LastIndexByte(rest, '.')
	if !ok || i < 0 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}
