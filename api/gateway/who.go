package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/limit"
	"github.com/cattleio/cattle/shared/seal"
	"github.com/cattleio/cattle/shared/wire"
)

// vouched is what a server with a database said about a caller.
type vouched struct {
	caller *wire.Caller // nil is nobody
	until  time.Time
}

// login is what a caller says about itself.
type login struct {
	wire.AuthRequest
	secret  string
	address string // of the peer, or of who is behind a proxy of ours
}

func (g *Gateway) loginOf(r *http.Request, agent string) login {
	var l login
	l.AgentID, l.AccountUUID = strings.Clone(agent), r.Header.Get("X-Account-Uuid")
	l.AccessKey, l.secret, _ = r.BasicAuth()
	l.address, _, _ = net.SplitHostPort(r.RemoteAddr)
	if g.Settings != nil {
		l.address = limit.Address(l.address, strings.Join(r.Header.Values("X-Forwarded-For"), ","), g.Settings.Get("api.trusted.proxies"))
	}
	return l
}

// who authenticates a caller and finds the agent whose commands it is due.
func (g *Gateway) who(w http.ResponseWriter, r *http.Request, l login) (*wire.Caller, error) {
	ctx := r.Context()
	bounds, as, now := g.bounds(), limit.Attempt{Address: l.address, Key: l.AccessKey, Secret: l.secret}, time.Now()
	if wait := g.failures.Wait(as, bounds, now); wait > 0 && l.AccessKey != "" {
		return nil, fault.TooMany(wait, "too many attempts have failed")
	}
	done, err := g.door.wait()
	if err != nil {
		return nil, err
	}
	c, err := g.vouch(ctx, l)
	done()
	switch {
	case err != nil:
		return nil, err
	case c == nil && l.AccessKey != "":
		g.failures.Failed(ctx, as, bounds, now)
	case c != nil && c.KeyID != 0:
		g.failures.Passed(as, bounds, now)
	}
	switch {
	case c == nil:
		return nil, fault.Unauthorized()
	case g.Serves != nil && !g.Serves(c.Kind):
		return nil, fault.Unauthorized()
	}
	w.Header().Set("X-API-Client-IP", g.clientIP(r))
	switch {
	case c.Status == http.StatusUnprocessableEntity:
		return nil, fault.Invalid(c.Code, "agentId", "the agent is not known")
	case c.Status != 0:
		return nil, &fault.Fault{Status: c.Status, Code: c.Code}
	}
	return c, nil
}

// bounds are how many attempts may fail in a minute.
func (g *Gateway) bounds() limit.Bounds {
	if g.Settings == nil {
		return limit.Bounds{}
	}
	return limit.PerMinute(g.Settings.Int)
}

// may tells whether a caller may ask for this with one of the methods of a resource; nil
// is one that does not exist for it. None has actions.
func may(methods []string, name string, r *http.Request) error {
	action, acts := parameters(r.URL.RawQuery)["action"]
	switch {
	case methods == nil:
		return fault.NotFound()
	case acts && r.Method == http.MethodPost:
		return fault.Invalid("InvalidAction", "action", "%s has no action %s", name, action[0])
	case !slices.Contains(methods, r.Method):
		return fault.NotAllowed()
	}
	return nil
}

// guarded refuses what a foreign page makes a browser send: a browser repeats the
// cookie in a header, and is given one whatever it is answered.
func guarded(w http.ResponseWriter, r *http.Request) error {
	if !strings.Contains(strings.ToLower(r.UserAgent()), "mozilla") {
		return nil
	}
	sent := ""
	if cookie, err := r.Cookie("CSRF"); err == nil {
		sent = cookie.Value
	}
	token := seal.PageToken(sent)
	w.Header().Set("Set-Cookie", "CSRF="+token+"; Path=/")
	if sent != "" && r.Method != http.MethodGet && !hmac.Equal([]byte(token), []byte(r.Header.Get("X-API-CSRF"))) {
		return &fault.Fault{Status: http.StatusForbidden, Code: "InvalidCSRFToken", Message: "The header X-API-CSRF must repeat the cookie CSRF"}
	}
	return nil
}

// watch looks after the right of a caller to stay connected: check finds out
// whether it is still who it was, and closes its connection if not.
func (g *Gateway) watch(l *line, as login) {
	l.check = func() {
		ctx, cancel := context.WithTimeout(context.Background(), authWait)
		defer cancel()
		if l.again > 0 { // nothing is believed that was said before
			g.forget(as)
		}
		now, err := g.vouch(ctx, as)
		if err == nil && (now == nil || now.Status != 0 || now.AccountID != l.who.AccountID || now.AgentID != l.who.AgentID) {
			l.out.close(closeRevoked, "authentication withdrawn")
		} else if err == nil && now.AgentID != 0 && !g.servesGroup(now.GroupID) {
			l.out.close(closeWrongGateway, "the agent is of another group now")
		}
	}
}

// revoked checks the connections that rest on what was withdrawn.
func (g *Gateway) revoked(payload string) {
	var r wire.Revoked
	if json.Unmarshal([]byte(payload), &r) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.known)
	if s := g.playing[r.ID]; s != nil && r.Type == "agent" {
		go s.stop() // it may be of another group now; the next command finds who plays it
	}
	rests := func(l *line) {
		if r.Type == "credential" && l.who.KeyID == r.ID || r.Type == "account" && l.who.AccountID == r.ID || r.Type == "agent" && l.who.AgentID == r.ID {
			go l.check()
		}
	}
	for _, s := range g.sessions {
		rests(&s.line)
	}
	for s := range g.streams {
		rests(&s.line)
	}
	for _, a := range g.accesses {
		if a.out != nil && (r.Type == "account" && a.grant.AccountID == r.ID || r.Type == "credential" && a.grant.KeyID == r.ID || r.Type == "agent" && a.grant.AgentID == r.ID) {
			a.out.close(closeRevoked, "authentication withdrawn")
		}
	}
}

// digest is what a login is known by.
type digest [sha256.Size]byte

func (l login) digest() digest {
	return sha256.Sum256([]byte(strings.Join([]string{l.AccessKey, l.secret, l.AgentID, l.AccountUUID}, "\x00")))
}

func (g *Gateway) forget(l login) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, l.digest())
}

// vouch finds out who a key belongs to, and remembers it for a moment.
func (g *Gateway) vouch(ctx context.Context, q login) (*wire.Caller, error) {
	key := q.digest()
	g.mu.Lock()
	k, ok := g.known[key]
	g.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.caller, nil
	}
	v, err, _ := g.flight.Do(string(key[:]), func() (any, error) { return g.askWho(context.WithoutCancel(ctx), q) })
	if err != nil {
		return nil, err
	}
	c := v.(*wire.Caller)
	life := authLife
	if c == nil || c.Status != 0 {
		life = time.Second
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.known) > 100_000 {
		clear(g.known)
	}
	if now.Sub(g.swept) > authLife {
		g.swept = now
		maps.DeleteFunc(g.known, func(_ digest, v vouched) bool { return v.until.Before(now) })
	}
	g.known[key] = vouched{c, now.Add(life)}
	return c, nil
}

func (g *Gateway) askWho(ctx context.Context, q login) (*wire.Caller, error) {
	q.ID, q.Nonce, q.ReplyTo = uuid.NewString(), uuid.NewString(), g.address()
	var a wire.AuthAnswer
	if err := g.ask(ctx, q.ID, q.AuthRequest, &a, wire.AuthChannel); err != nil {
		return nil, err
	}
	if a.Unavailable {
		return nil, errNobody
	}
	g.mu.Lock()
	g.teller = a.Server
	g.mu.Unlock()
	secret := q.secret
	if a.Recipe != "" {
		secret = seal.Rehash(a.Recipe, secret)
	}
	if a.Holder != nil && secret != "" && proven(a.Proof, q.Nonce, secret) {
		return a.Holder, nil
	}
	return a.Stranger, nil
}

func proven(proof, nonce, secret string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(nonce))
	b, err := hex.DecodeString(proof)
	return err == nil && hmac.Equal(b, mac.Sum(nil))
}

var errNobody = errors.New("no server with a database answered")

// address is where this gateway hears answers.
func (g *Gateway) address() string { return wire.ServerChannel("gateway." + g.Server) }

// ask publishes a question on the first of the channels that anybody hears, and
// reads the first answer. It repeats itself: both may be lost.
func (g *Gateway) ask(ctx context.Context, id string, question, answer any, channels ...string) error {
	ctx, cancel := context.WithTimeout(ctx, authWait)
	defer cancel()
	heard := make(chan string, 1)
	g.mu.Lock()
	g.asked[id] = heard
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.asked, id)
		g.mu.Unlock()
	}()
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	for {
		again := 50 * time.Millisecond // nobody is there yet
		for _, channel := range channels {
			n, err := g.Bus.Publish(ctx, channel, string(text))
			if err != nil {
				return err
			}
			if n > 0 {
				again = time.Second
				break
			}
		}
		select {
		case <-ctx.Done():
			return errNobody
		case payload := <-heard:
			return json.Unmarshal([]byte(payload), answer)
		case <-time.After(again):
		}
	}
}

// hear takes an answer from the bus; later ones to the same question are dropped.
func (g *Gateway) hear(payload string) {
	var a struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(payload), &a) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.asked[a.ID]; c != nil {
		select {
		case c <- payload:
		default:
		}
	}
}
