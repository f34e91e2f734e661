package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

const (
	longestPause = time.Minute      // between two connections
	goodLife     = time.Minute      // of a connection, after which pauses begin small again
	writeTime    = 10 * time.Second // for one frame
)

var errOffline = errors.New("no connection to the server")

// subscribed are the names of what is listened to.
var subscribed = []string{
	wire.Ping, wire.ConfigUpdate, wire.StorageImageActivate, wire.StorageImageDeactivate,
	wire.StorageVolumeActivate, wire.StorageVolumeDeactivate, wire.StorageVolumeRemove,
	wire.ComputeInstanceActivate, wire.ComputeInstanceDeactivate, wire.ConsoleAccess, wire.DelegateRequest,
	wire.AccessOpen, wire.AccessInput,
}

// line is the way up to the server, while there is one.
type line struct {
	mu   sync.Mutex
	conn *gws.Conn
}

func (l *line) use(conn *gws.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

// cut ends the connection at once.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.NetConn().Close()
	}
}

// send writes an answer; one that nobody waits for is dropped.
func (l *line) send(e *wire.Event) error {
	if e.Name == "" {
		return nil
	}
	if e.ID == "" {
		addressed := *e
		addressed.ID = uuid.NewString()
		e = &addressed
	}
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return errOffline
	}
	return write(conn, e)
}

func write(conn *gws.Conn, frame any) error {
	text, err := wire.Encode(frame)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	return conn.WriteMessage(gws.OpcodeText, text)
}

// connectAgainAndAgain keeps one connection until ctx ends. Pauses are drawn from
// the whole range up to their bound, so that many agents come back spread out.
func (a *agent) connectAgainAndAgain(ctx context.Context) error {
	for failures := 0; ; failures++ {
		start := time.Now()
		err := a.connect(ctx)
		if ctx.Err() != nil || errors.Is(err, errRefused) {
			return errors.Join(ctx.Err(), err)
		}
		if time.Since(start) >= goodLife {
			failures = 0
		}
		pause := max(pauseAfter(failures, a.config.Retry), retryAfter(err))
		a.log.WarnContext(ctx, "no connection, trying again", "server", a.base.Host, "pause", pause, "err", err)
		if a.pause(ctx, pause) {
			failures = -1
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func pauseAfter(failures int, first time.Duration) time.Duration {
	bound := first
	for range failures {
		bound = min(2*bound, longestPause)
	}
	return rand.N(bound + 1)
}

func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// busyError is the answer of a server that wants to be asked later.
type busyError struct {
	error
	after time.Duration
}

func retryAfter(err error) time.Duration {
	var busy busyError
	errors.As(err, &busy)
	return min(busy.after, longestPause)
}

// connect serves one connection until it breaks.
func (a *agent) connect(ctx context.Context) error {
	login, err := a.join(ctx)
	if err != nil {
		return err
	}
	s := &session{agent: a, ctx: ctx}
	conn, response, err := gws.NewClient(s, a.dialOptions(ctx, login))
	if err != nil {
		return refusal(response, fmt.Errorf("cannot connect: %w", err))
	}
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_ = conn.WriteClose(1000, nil)
	})
	defer stop()
	defer a.accesses.closeAll() // whoever looks on is at the other end of this connection
	defer a.line.use(nil)
	conn.ReadLoop()
	return s.err
}

// refusal adds to err how long the server wants to be left alone.
func refusal(response *http.Response, err error) error {
	if response == nil {
		return err
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // absent is no wish
	return busyError{err, time.Duration(seconds) * time.Second}
}

func (a *agent) dialOptions(ctx context.Context, login login) *gws.ClientOption {
	header := http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}}
	if login.accessKey != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(login.accessKey + ":" + login.secretKey))
		header.Set("Authorization", "Basic "+basic)
	}
	query := url.Values{"eventNames": subscribed}
	if login.agentID != "" {
		query.Set("agentId", login.agentID)
	}
	address := *a.base.JoinPath("v1", "subscribe")
	address.Scheme = strings.Replace(address.Scheme, "http", "ws", 1)
	address.RawQuery = query.Encode()
	return &gws.ClientOption{
		Addr: address.String(), RequestHeader: header, TlsConfig: tlsOf(a.http),
		NewDialer: func() (gws.Dialer, error) { return dialer{a, ctx}, nil },
	}
}

// dialer gives up a connection attempt when its program ends.
type dialer struct {
	agent *agent
	ctx   context.Context // gws's interface passes none
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.agent.dial(d.ctx, network, address)
}

// session is one connection. Its methods are called by one goroutine.
type session struct {
	agent *agent
	ctx   context.Context // of the program: callbacks of gws pass none
	err   error
}

// frame is anything the gateway sends.
type frame struct {
	wire.Event
	wire.Welcome
	Ack  string `json:"ack"`
	Nack string `json:"nack"`
}

// OnOpen introduces the agent.
func (s *session) OnOpen(conn *gws.Conn) {
	s.heard(conn)
	var hello wire.Hello
	hello.Hello.Version = 2
	hello.Hello.AgentUUID = s.agent.self.agent
	hello.Hello.BootID = s.agent.bootID
	hello.Hello.Kinds = slices.Sorted(maps.Keys(s.agent.drivers))
	hello.Hello.Program = s.agent.config.Version
	hello.Hello.Held = s.agent.desk.held()
	if write(conn, hello) == nil {
		s.agent.line.use(conn)
	}
}

// OnMessage passes on what came and returns at once.
func (s *session) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	s.heard(conn)
	var f frame
	if err := json.Unmarshal(message.Bytes(), &f); err != nil {
		s.agent.log.WarnContext(s.ctx, "unreadable frame", "err", err)
		return
	}
	switch name := driver.Name(&f.Event); {
	case name == wire.Ping:
		s.agent.pinger.take(&f.Event)
	case name == wire.ConfigUpdate:
		s.agent.desk.work.Go(func() { _ = s.agent.line.send(s.agent.configUpdate(s.ctx, &f.Event)) })
	case name == wire.AccessOpen || name == wire.AccessInput:
		s.agent.accesses.take(s.ctx, &f.Event)
	case name != "":
		s.agent.desk.take(s.ctx, &f.Event)
	case f.Welcome.Welcome.Epoch != 0 || f.Welcome.Welcome.AgentID != 0:
		s.welcome(f.Welcome)
	case f.Nack != "":
		s.agent.log.WarnContext(s.ctx, "answer not accepted", "event", f.Nack)
	}
}

func (s *session) welcome(w wire.Welcome) {
	s.agent.log.InfoContext(s.ctx, "connected", "server", s.agent.base.Host,
		"agent", w.Welcome.AgentID, "epoch", w.Welcome.Epoch)
	s.agent.desk.resend()
	s.agent.proved()
	s.agent.consider(s.ctx, w.Welcome.Program)
}

// OnPing answers a WebSocket ping.
func (s *session) OnPing(conn *gws.Conn, payload []byte) {
	s.heard(conn)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	_ = conn.WritePong(payload) // a broken connection ends the session by itself
}

// OnPong is a sign of life.
func (s *session) OnPong(conn *gws.Conn, _ []byte) { s.heard(conn) }

// OnClose notes why the connection ended.
func (s *session) OnClose(_ *gws.Conn, err error) { s.err = fmt.Errorf("connection lost: %w", err) }

// heard gives a connection the time of one more silence.
func (s *session) heard(conn *gws.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(s.agent.config.Silence))
}
