package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/wire"
)

const (
	mostAccesses = 1000
	hostSilence  = 30 * time.Second // an agent gives a sign of life every ten
	hostPatience = 10 * time.Second // for the first word of an agent
	beatsOfRight = 2                // beats between two looks whether the user may go on
	takenAfter   = wire.AccessWindow / 4
	closeFailed  = 1011

	viewerProtocol = "binary" // what viewers of screens ask for
)

// access is the WebSocket of a user who looks at an instance, or works in it. What it
// shows and takes is binary. Texts are for what is beside that: to the user
// {"exit": CODE}, from the user {"width": N, "height": N} and {"eof": true}.
type access struct {
	g     *Gateway
	id    string
	grant wire.Ticket
	out   *socket
	timer *time.Timer

	mu    sync.Mutex
	next  int64 // the part of the host that comes next
	heard bool
	last  time.Time // when the host said something
	taken int64     // bytes of the host that the user has
	told  int64     // of which the host knows
	sent  int64     // bytes of the user
	ahead int64     // of which the host has not said that it took them
	parts int64
	beats int
	room  chan struct{}
	over  chan struct{}
	once  sync.Once
}

// hostAccess connects whoever has a ticket with the instance that it is for.
func (g *Gateway) hostAccess(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return fault.NotAllowed()
	}
	if err := g.knock(); err != nil {
		return err
	}
	if err := upgradable(r); err != nil {
		return err
	}
	t, err := g.redeem(r.Context(), r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	protocol := ""
	if strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), viewerProtocol) {
		protocol = viewerProtocol
	}
	a := &access{g: g, id: uuid.NewString(), grant: t, next: 1, last: time.Now(), room: make(chan struct{}, 1), over: make(chan struct{})}
	if !g.holdAccess(a) {
		return later("too many look at instances here")
	}
	w.Header().Del("Connection")
	w.Header().Del("X-API-Schemas")
	out, err := g.upgrade.open(w, r, protocol)
	if err != nil {
		a.end()
		g.Log.Debug("upgrade failed", "err", err)
		return nil
	}
	out.said, out.typed, out.over, out.rate = a.beside, a.typed, func(bool) { a.end() }, g.pace()
	g.mu.Lock()
	a.out = out
	g.mu.Unlock()
	go func() {
		a.open()
		out.conn.ReadLoop()
	}()
	return nil
}

// redeem takes a ticket from the server that gave it out. It is good once.
func (g *Gateway) redeem(ctx context.Context, token string) (wire.Ticket, error) {
	sum := sha256.Sum256([]byte(token))
	q := wire.TicketRequest{ID: uuid.NewString(), ReplyTo: g.address(), Digest: hex.EncodeToString(sum[:])}
	var a wire.TicketAnswer
	if token == "" || g.ask(ctx, q.ID, q, &a, wire.TicketChannel) != nil {
		return a.Ticket, fault.Unauthorized()
	}
	return a.Ticket, nil
}

func (g *Gateway) holdAccess(a *access) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.accesses) >= mostAccesses {
		return false
	}
	g.accesses[a.id] = a
	return true
}

// Accesses counts the users who look at instances here.
func (g *Gateway) Accesses() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.accesses)
}

// accessServer is the name under which hosts answer users here.
func (g *Gateway) accessServer() string { return wire.AccessServer + g.Server }

// accessed takes what a host says to a user.
func (g *Gateway) accessed(payload string) {
	said, err := wire.OpenAnswer(payload)
	if err != nil || len(said.Reply.PreviousIDs) == 0 {
		return
	}
	g.mu.Lock()
	a := g.accesses[said.Reply.PreviousIDs[0]]
	g.mu.Unlock()
	switch {
	case a != nil && said.AgentID == a.grant.AgentID:
		a.show(said.Reply)
	case a == nil && !said.Reply.IsFinal(): // the user has gone, and the host has not heard it
		gone := &access{g: g, id: said.Reply.PreviousIDs[0], grant: wire.Ticket{AgentID: said.AgentID}}
		go gone.send(wire.AccessPart{Close: true})
	}
}

// open asks the host.
func (a *access) open() {
	a.mu.Lock()
	a.timer = time.AfterFunc(hostPatience, a.beat)
	a.mu.Unlock()
	data, err := wire.Encode(a.grant.Access)
	if err != nil {
		a.close(closeFailed, "it cannot be asked for")
		return
	}
	a.tell(&wire.Event{ID: a.id, Name: wire.AccessOpen, ReplyTo: wire.Text("reply." + a.g.accessServer() + "." + a.id), Data: data, TimeMillis: time.Now().UnixMilli()})
}

// tell sends an event to the host; one that is gone ends the access.
func (a *access) tell(e *wire.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), authWait)
	defer cancel()
	parcel, err := wire.Parcel{AgentID: a.grant.AgentID, UUID: a.grant.AgentUUID, URI: a.grant.AgentURI, Server: a.g.accessServer()}.Carrying(e)
	if err != nil {
		return
	}
	text, err := parcel.Encode()
	if err != nil {
		return
	}
	heard, err := a.g.Bus.Publish(ctx, wire.AgentChannel(strconv.FormatInt(a.grant.AgentID, 10)), text)
	if (err != nil || heard == 0) && a.out != nil {
		a.close(closeFailed, "the host is away")
	}
}

func (a *access) send(part wire.AccessPart) {
	part.ID = a.id
	if data, err := wire.Encode(part); err == nil {
		a.tell(&wire.Event{ID: uuid.NewString(), Name: wire.AccessInput, Data: data, TimeMillis: time.Now().UnixMilli()})
	}
}

// show brings to the user what the host says.
func (a *access) show(reply *wire.Event) {
	if wire.Value(reply.Transitioning) == wire.Failure {
		a.close(closeFailed, wire.Value(reply.TransitioningMessage))
		return
	}
	var part wire.AccessPart
	if json.Unmarshal(reply.Data, &part) != nil {
		return
	}
	a.mu.Lock()
	a.heard, a.last = true, time.Now()
	missed := len(part.Bytes) > 0 && part.Seq != a.next
	if len(part.Bytes) > 0 {
		a.next++
	}
	if part.Taken > 0 {
		a.ahead = max(a.sent-part.Taken, 0)
	}
	a.mu.Unlock()
	switch {
	case missed:
		a.close(closeFailed, "a part of it was lost")
		return
	case len(part.Bytes) > 0:
		a.out.binary(part.Bytes, func() { a.took(int64(len(part.Bytes))) })
	case part.Taken > 0:
		select {
		case a.room <- struct{}{}:
		default:
		}
	}
	if !reply.IsFinal() {
		return
	}
	if part.Code != nil {
		a.out.write([]byte(`{"exit":` + strconv.Itoa(*part.Code) + `}`))
	}
	a.close(1000, "")
}

// took counts what the user has, and tells the host every now and then: it sends no
// more than a window ahead.
func (a *access) took(n int64) {
	a.mu.Lock()
	a.taken += n
	total := a.taken
	tell := a.taken-a.told >= takenAfter
	if tell {
		a.told = a.taken
	}
	a.mu.Unlock()
	if tell {
		a.send(wire.AccessPart{Taken: total})
	}
}

// typed brings to the host what the user sends, once there is room for it. Meanwhile
// nothing is read from the user, not even that it leaves: so that has an end.
func (a *access) typed(b []byte) {
	patience := time.NewTimer(hostSilence)
	defer patience.Stop()
	for len(b) > 0 {
		n := min(len(b), wire.AccessChunk)
		a.mu.Lock()
		fits := a.ahead+int64(n) <= wire.AccessWindow
		if fits {
			a.ahead += int64(n)
			a.sent += int64(n)
			a.parts++
		}
		seq := a.parts
		a.mu.Unlock()
		if fits {
			a.send(wire.AccessPart{Seq: seq, Bytes: b[:n]})
			b = b[n:]
			continue
		}
		select {
		case <-a.room:
			patience.Reset(hostSilence)
		case <-a.over:
			return
		case <-patience.C:
			a.close(closeFailed, "what is sent is not taken")
			time.AfterFunc(time.Second, a.out.cut)
			return
		}
	}
}

// beside takes what a user says beside the bytes.
func (a *access) beside(text []byte) {
	var says struct {
		Width  int  `json:"width"`
		Height int  `json:"height"`
		EOF    bool `json:"eof"`
	}
	if json.Unmarshal(text, &says) != nil || says.Width < 0 || says.Width > 10_000 || says.Height < 0 || says.Height > 10_000 {
		a.close(4000, "not understood")
		return
	}
	a.send(wire.AccessPart{Ended: says.EOF, Width: says.Width, Height: says.Height})
}

// beat looks whether both sides are there.
func (a *access) beat() {
	a.out.beat()
	a.mu.Lock()
	silent := time.Since(a.last)
	heard := a.heard
	a.beats++
	if a.beats%beatsOfRight == 0 {
		go a.renew()
	}
	a.mu.Unlock()
	switch {
	case !heard:
		a.close(closeFailed, "the host does not answer")
	case silent > hostSilence:
		a.close(closeFailed, "the host is silent")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.over:
	default:
		a.timer.Reset(hostPatience)
	}
}

// renew ends an access whose right is gone, also where the news of it was lost. While no
// server can tell, it goes on.
func (a *access) renew() {
	q := wire.RightRequest{ID: uuid.NewString(), ReplyTo: a.g.address(), Right: a.grant.Right}
	var answer wire.RightAnswer
	if err := a.g.ask(context.Background(), q.ID, q, &answer, wire.RightChannel); err == nil && !answer.Holds {
		a.close(closeRevoked, "authentication withdrawn")
	}
}

func (a *access) close(code uint16, reason string) { a.out.close(code, cut(reason)) }

// cut makes a reason as short as a close frame wants it.
func cut(reason string) string { return strings.ToValidUTF8(reason[:min(len(reason), 120)], "") }

// end is called when the user's connection is gone, whoever ended it.
func (a *access) end() {
	a.once.Do(func() {
		a.g.mu.Lock()
		delete(a.g.accesses, a.id)
		a.g.mu.Unlock()
		a.mu.Lock()
		close(a.over)
		timer := a.timer
		a.mu.Unlock()
		if timer != nil {
			timer.Stop()
			go a.send(wire.AccessPart{Close: true})
		}
	})
}
