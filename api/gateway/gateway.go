// Package gateway holds the connections of agents. It carries commands down and
// replies up and decides nothing: no SQL, no states, no retries. Who an agent is
// comes from its credential, which a server with a database vouches for over the
// bus; what it may hear is what is published on its own channel; what it answers
// is marked with its own id, whatever it says.
//
//	worker ──▶ cattle.agent.ID (bus) ──▶ gateway ══ socket ══ agent
//	worker ◀── cattle.server.NAME (bus) ◀── gateway
//
// The newest connection of an agent wins: a gateway that takes one tells the
// others to let go.
package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lxzan/gws"
	"golang.org/x/sync/singleflight"

	"github.com/cattleio/cattle/shared/event"
	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/wire"
)

// Limits of one connection and of the gateway. They are generous for agents and
// tight for anybody else.
const (
	maxFrame      = 4 << 20
	maxHeader     = 8 << 10
	handshake     = 5 * time.Second
	heartbeat     = 15 * time.Second
	silence       = 3 * heartbeat
	authWait      = 3 * time.Second
	authLife      = 30 * time.Second
	refusalDelay  = 200 * time.Millisecond
	closeReplaced = 4001
)

// Config is what a Gateway stands on.
type Config struct {
	Bus    *event.Bus
	Locks  *lock.Locks
	Server string
	Log    *slog.Logger
	// Sim plays an agent whose address is sim://, nil if this gateway plays none.
	Sim func(wire.Parcel) Player
}

// Player answers commands in the place of an agent. A nil answer is none.
type Player interface {
	Handle(ctx context.Context, e *wire.Event, progress func(*wire.Event)) *wire.Event
}

// Gateway holds connections.
type Gateway struct {
	Config
	flight singleflight.Group

	mu       sync.Mutex
	sessions map[int64]*session
	playing  map[int64]*played
	asked    map[string]chan wire.AuthAnswer
	known    map[string]vouched
}

type vouched struct {
	answer wire.AuthAnswer
	until  time.Time
}

// New returns a gateway.
func New(c Config) *Gateway {
	return &Gateway{Config: c, sessions: map[int64]*session{}, playing: map[int64]*played{}, asked: map[string]chan wire.AuthAnswer{}, known: map[string]vouched{}}
}

// Sessions counts the agents connected here.
func (g *Gateway) Sessions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// Run listens for connections until ctx ends, then closes them all.
func (g *Gateway) Run(ctx context.Context, ln net.Listener) error {
	answers := g.Bus.Subscribe(ctx, wire.ServerChannel("gateway."+g.Server), g.vouch)
	defer answers()
	if g.Sim != nil {
		offers := g.Bus.Subscribe(ctx, wire.ConnectChannel, func(p string) { g.offered(ctx, p) })
		defer offers()
	}
	server := &http.Server{Handler: g, ReadHeaderTimeout: handshake, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }}
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

func (g *Gateway) closeAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		s.close(1012, "restart")
	}
}

// ServeHTTP answers what agents ask of a gateway.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // the next request may be for another part
	path := strings.ToLower(strings.TrimRight(r.URL.Path, "/"))
	switch {
	case path == "/ping":
		_, _ = w.Write([]byte("pong"))
	case path == "/v1/subscribe" && r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		g.upgrade(w, r)
	case path == "/v1/publish" && r.Method == http.MethodPost:
		g.post(w, r)
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

// refuse answers in the shape that clients of the API know.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Enter API access key and secret key as username and password"`)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"id": uuid.NewString(), "type": "error", "links": map[string]any{}, "actions": map[string]any{},
		"status": status, "code": code, "message": code, "detail": nil})
}

// who authenticates a request and finds the agent it speaks for.
func (g *Gateway) who(w http.ResponseWriter, r *http.Request, agent string) (wire.AuthAnswer, bool) {
	user, secret, _ := r.BasicAuth()
	answer, err := g.ask(r.Context(), user, secret, agent)
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
	case answer.Status == 0 && answer.AgentID != 0:
		return answer, true
	case answer.Status == 0:
		refuse(w, http.StatusForbidden, "Forbidden")
	default:
		if answer.Status == http.StatusUnauthorized {
			time.Sleep(refusalDelay) // guessing is slow, whatever was wrong
		}
		refuse(w, answer.Status, http.StatusText(answer.Status))
	}
	return answer, false
}

// ask finds out who a key belongs to, and remembers it for a moment.
func (g *Gateway) ask(ctx context.Context, user, secret, agent string) (wire.AuthAnswer, error) {
	digest := sha256.Sum256([]byte(user + "\x00" + secret + "\x00" + agent))
	key := hex.EncodeToString(digest[:])
	g.mu.Lock()
	if k, ok := g.known[key]; ok && time.Now().Before(k.until) {
		g.mu.Unlock()
		return k.answer, nil
	}
	g.mu.Unlock()
	v, err, _ := g.flight.Do(key, func() (any, error) { return g.askBus(ctx, user, secret, agent) })
	if err != nil {
		return wire.AuthAnswer{}, err
	}
	answer := v.(wire.AuthAnswer)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) > 100_000 {
		clear(g.known)
	}
	life := authLife
	if answer.Status != 0 {
		life = time.Second
	}
	g.known[key] = vouched{answer, time.Now().Add(life)}
	return answer, nil
}

var errNobody = errors.New("no server with a database answered")

func (g *Gateway) askBus(ctx context.Context, user, secret, agent string) (wire.AuthAnswer, error) {
	q := wire.AuthRequest{ID: uuid.NewString(), Nonce: uuid.NewString(), AccessKey: user, AgentID: agent, ReplyTo: wire.ServerChannel("gateway." + g.Server)}
	heard := make(chan wire.AuthAnswer, 4)
	g.mu.Lock()
	g.asked[q.ID] = heard
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.asked, q.ID)
		g.mu.Unlock()
	}()
	text, err := json.Marshal(q)
	if err != nil {
		return wire.AuthAnswer{}, err
	}
	if _, err := g.Bus.Publish(ctx, wire.AuthChannel, string(text)); err != nil {
		return wire.AuthAnswer{}, err
	}
	select {
	case <-ctx.Done():
		return wire.AuthAnswer{}, ctx.Err()
	case <-time.After(authWait):
		return wire.AuthAnswer{}, errNobody
	case a := <-heard:
		if !a.Open && !proven(a, q, secret) {
			a = wire.AuthAnswer{Status: http.StatusUnauthorized}
		}
		return a, nil
	}
}

func proven(a wire.AuthAnswer, q wire.AuthRequest, secret string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(q.Nonce))
	proof, err := hex.DecodeString(a.Proof)
	return err == nil && a.Known && hmac.Equal(proof, mac.Sum(nil))
}

// vouch takes the word of a server with a database.
func (g *Gateway) vouch(payload string) {
	var a wire.AuthAnswer
	if json.Unmarshal([]byte(payload), &a) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.asked[a.ID]; c != nil {
		select {
		case c <- a:
		default:
		}
	}
}

// parameters reads a query without the rule of net/url that drops a pair with a
// bare semicolon: event names have one.
func parameters(raw string) url.Values {
	v := url.Values{}
	for _, pair := range strings.Split(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		x, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil && n != "" {
			v.Add(n, x)
		}
	}
	return v
}

// upgrade makes a connection of an agent.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Connection")
	q := parameters(r.URL.RawQuery)
	who, ok := g.who(w, r, q.Get("agentId"))
	if !ok {
		return
	}
	s := &session{g: g, agent: who.AgentID, plain: who.Plain, names: names(q["eventNames"]), epoch: time.Now().UnixMilli(),
		modern: strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), wire.Subprotocol)}
	options := &gws.ServerOption{ReadMaxPayloadSize: maxFrame, WriteMaxPayloadSize: maxFrame, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, HandshakeTimeout: handshake}
	if s.modern {
		options.SubProtocols = []string{wire.Subprotocol}
	}
	conn, err := gws.NewUpgrader(s, options).Upgrade(w, r)
	if err != nil {
		g.Log.Debug("upgrade failed", "agent", who.AgentID, "err", err)
		return
	}
	s.conn = conn
	go func() { // a stack of its own: the server's goroutine and its buffers go
		g.take(s)
		conn.ReadLoop()
	}()
}

func names(list []string) map[string]bool {
	m := map[string]bool{}
	for _, n := range list {
		n, _, _ = strings.Cut(n, ";")
		m[n] = true
	}
	return m
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
		old.close(closeReplaced, "replaced")
	}
	channel := wire.AgentChannel(strconv.FormatInt(s.agent, 10))
	if text, err := json.Marshal(wire.Parcel{AgentID: s.agent, Evict: s.epoch, By: g.Server}); err == nil {
		_, _ = g.Bus.Publish(ctx, channel, string(text))
	}
	s.subscribed(g.Bus.Subscribe(ctx, channel, s.deliver))
	if !s.modern {
		s.send(&wire.Event{ID: uuid.NewString(), Name: wire.Ping, Data: json.RawMessage(`{"options":{},"resources":[]}`), TimeMillis: time.Now().UnixMilli()})
	}
	if text, err := json.Marshal(wire.AgentUp{AgentID: s.agent}); err == nil {
		_, _ = g.Bus.Publish(ctx, wire.UpChannel, string(text))
	}
	s.beat()
	g.Log.Info("agent connected", "agent", s.agent, "modern", s.modern)
}

// leave forgets a connection that has ended.
func (g *Gateway) leave(s *session) {
	g.mu.Lock()
	if g.sessions[s.agent] == s {
		delete(g.sessions, s.agent)
	}
	g.mu.Unlock()
	g.Log.Info("agent disconnected", "agent", s.agent)
}

// up sends a reply to the server that asked. If that one is gone, any other may
// store it.
func (g *Gateway) up(ctx context.Context, agent int64, server string, reply *wire.Event) error {
	if reply.ID == "" {
		reply.ID = uuid.NewString()
	}
	text, err := json.Marshal(wire.Answer{AgentID: agent, Reply: reply})
	if err != nil {
		return err
	}
	n, err := g.Bus.Publish(ctx, wire.ServerChannel(server), string(text))
	if err == nil && n == 0 {
		_, err = g.Bus.Publish(ctx, wire.StrayChannel, string(text))
	}
	return err
}

// asker reads the server out of the address of a reply: reply.SERVER.REQUEST.
func asker(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "reply.")
	i := strings.LastIndexByte(rest, '.')
	if !ok || i < 0 {
		return "", false
	}
	return rest[:i], true
}

// post takes a reply over HTTP, as classic agents send it.
func (g *Gateway) post(w http.ResponseWriter, r *http.Request) {
	who, ok := g.who(w, r, "")
	if !ok {
		return
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxFrame)); err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	reply := &wire.Event{}
	if err := json.Unmarshal(body.Bytes(), reply); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidBodyContent")
		return
	}
	server, ok := asker(reply.Name)
	if !ok {
		refuse(w, http.StatusForbidden, "Forbidden")
		return
	}
	if err := g.up(r.Context(), who.AgentID, server, reply); err != nil {
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	w.WriteHeader(http.StatusCreated)
}
