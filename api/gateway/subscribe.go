package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/wire"
)

// nameChars are the characters of event names.
const nameChars = "*._-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ;="

// subscribe opens an event stream: lines for a POST, a WebSocket for a GET that
// asks for one. Any other GET lists nothing.
func (g *Gateway) subscribe(w http.ResponseWriter, r *http.Request) error {
	if err := guarded(w, r); err != nil {
		return err
	}
	upgrade := r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	if upgrade || r.Method == http.MethodPost {
		if err := g.knock(); err != nil {
			return err
		}
	}
	if upgrade {
		if err := g.invited(r); err != nil {
			return err
		}
	}
	in, unread := readInput(w, r, maxForm)
	as := g.loginOf(r, in.text("agentId"))
	who, err := g.who(w, r, as)
	if err == nil {
		err = unread // a stranger is not told what was wrong with his body
	}
	if err != nil {
		return err
	}
	if err := may(who.Subscribe, "subscribe", r); err != nil {
		return err
	}
	if upgrade {
		if err := upgradable(r); err != nil {
			return err
		}
	}
	names := in.texts("eventNames")
	if r.Method == http.MethodPost {
		if names, sent := in["eventNames"]; sent && names == nil {
			return fault.Invalid("NotNullable", "eventNames", "names are left out or given")
		}
		if err := check(names); err != nil {
			return err
		}
	} else if !upgrade {
		return g.nothing(w, r)
	}
	if who.AgentID != 0 && g.Listeners {
		return fault.Unavailable("agents connect to a gateway")
	}
	if err := g.trusted(who.AgentID); err != nil {
		return err
	}
	_, asked := in["_plainId"]
	text := in.text("_plainId")
	plain := who.Plain || who.MayPlain && asked && (text == "" || strings.EqualFold(text, "true"))
	if who.AgentID != 0 {
		return g.serveAgent(w, r, who, as, names, plain)
	}
	s := newStream(g, who, names)
	g.watch(&s.line, as)
	look := s.check
	s.check = func() {
		look()
		s.announce(context.Background())
	}
	s.base, s.include = g.base(r), in.texts("include")
	_, s.resumes = in["cursor"]
	s.cursor = in.text("cursor")
	s.plain = plain
	return g.serve(w, r, &s.line, "", nil, s.open, func(bool) { s.shut() })
}

// check refuses names that cannot be event names.
func check(names []string) error {
	for _, n := range names {
		if n == "" {
			return fault.Invalid("MinLengthExceeded", "eventNames", "an event has a name")
		}
		if strings.Trim(n, nameChars) != "" {
			return fault.Invalid("InvalidCharacters", "eventNames", "no event is called %s", n)
		}
	}
	return nil
}

// nothing answers a GET that is no subscription.
func (g *Gateway) nothing(w http.ResponseWriter, r *http.Request) error {
	none := map[string]any{}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	return json.NewEncoder(w).Encode(map[string]any{"type": "collection", "resourceType": "subscribe",
		"links": map[string]any{"self": g.base(r) + r.URL.Path}, "createTypes": none, "actions": none, "data": []any{},
		"sortLinks": none, "pagination": nil, "sort": nil, "filters": none, "createDefaults": none})
}

// serveAgent makes the connection of an agent.
func (g *Gateway) serveAgent(w http.ResponseWriter, r *http.Request, who *wire.Caller, as login, wanted []string, plain bool) error {
	if !g.servesGroup(who.GroupID) {
		return g.sendOn(w, r)
	}
	s := &session{line: line{who: who}, g: g, agent: who.AgentID, plain: plain, epoch: g.Bus.Now(r.Context()), from: as.address}
	for _, n := range wanted {
		n, _, _ = strings.Cut(n, ";")
		if name := unique.Make(n); !slices.Contains(s.names, name) {
			s.names = append(s.names, name)
		}
	}
	g.watch(&s.line, as)
	protocol := ""
	if asksModern(r) {
		s.modern, s.quiet, protocol = true, true, wire.Subprotocol
	}
	s.early = !s.modern // who is shown pings sees one before any command
	// Agents give up after a minute without a line, and there are many: they are shown a
	// third of the pings that others are.
	s.every, s.pings = min(3*g.pingEvery(), heartbeat), g.pings()
	if s.modern {
		s.every = heartbeat
	}
	return g.serve(w, r, &s.line, protocol, s.said, func() { g.take(s) }, func(lost bool) { g.leave(s, lost) })
}

// serve opens the way out of a line and keeps it until the client goes.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, l *line, protocol string, said func([]byte), opened func(), closed func(lost bool)) error {
	if r.Method == http.MethodPost {
		out := newLines()
		l.out = out
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusCreated)
		_ = http.NewResponseController(w).Flush()
		opened()
		lost := out.run(w, r)
		l.ended()
		closed(lost)
		return nil
	}
	w.Header().Del("Connection")
	w.Header().Del("X-API-Schemas")
	out, err := g.upgrade.open(w, r, protocol)
	if err != nil {
		g.Log.Debug("upgrade failed", "err", err)
		return nil
	}
	l.out, out.said, out.rate = out, said, g.pace()
	out.over = func(lost bool) { l.ended(); closed(lost) }
	go func() {
		opened()
		go out.conn.ReadLoop() // on a stack of its own, that nothing has made large
	}()
	return nil
}

// pingEvery is how often a listener is shown that the stream lives.
func (g *Gateway) pingEvery() time.Duration {
	if g.Settings != nil {
		if n := g.Settings.Int("api.sub.ping.interval.millis"); n > 0 {
			return time.Duration(n) * time.Millisecond
		}
	}
	return 5 * time.Second
}

// pings is how many of them a stream lasts.
func (g *Gateway) pings() int {
	if g.Settings != nil {
		if n := g.Settings.Int("api.sub.max.pings"); n > 0 {
			return int(n)
		}
	}
	return 8640
}
