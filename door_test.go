package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/shared/wire"
)

// upgrade asks for a WebSocket and, if it got one, leaves again.
func (p *program) upgrade(header ...string) (status int, after int) {
	p.t.Helper()
	return p.tries(p.url+"/v1/subscribe?eventNames=demo", header...)
}

// tries is upgrade at any address.
func (p *program) tries(address string, header ...string) (status int, after int) {
	p.t.Helper()
	req, err := http.NewRequest("GET", strings.Replace(address, "ws:", "http:", 1), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, pair := range append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, header...) {
		name, value, _ := strings.Cut(pair, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	after, _ = strconv.Atoi(resp.Header.Get("Retry-After"))
	return resp.StatusCode, after
}

// Many connect at once, all again and again: those that are too many are told to come
// again, and do get in.
func TestAStormOfConnectionsIsSpread(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_GATEWAY_CONNECTS_PER_SECOND=2")
	got := map[int]int{}
	until(t, "one in a storm is sent away", 10*time.Second, func() bool {
		status, after := p.upgrade()
		got[status]++
		if status == 503 && (after < 1 || after > 30) {
			t.Errorf("it is to come again in %d s", after)
		}
		return got[503] > 0
	})
	until(t, "it gets in once the storm is over", 10*time.Second, func() bool {
		status, _ := p.upgrade()
		return status == 101
	})
	if got[101] == 0 || len(got) != 2 {
		t.Errorf("a storm was answered with %v", got)
	}
}

func TestAFullGatewayTakesNoMore(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_GATEWAY_CONNECTIONS_MAX=2")
	first := p.watch("eventNames=a")
	p.watch("eventNames=a")
	if status, after := p.upgrade(); status != 503 || after == 0 {
		t.Errorf("one too many gets %d, to come again in %d s", status, after)
	}
	first.close()
	until(t, "a place is free again", 10*time.Second, func() bool {
		status, _ := p.upgrade()
		return status == 101
	})
}

// A browser sends the key that it keeps for us along with whatever any page makes it ask.
func TestAPageOfAnotherSiteHearsNothing(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_API_ALLOWED_ORIGINS=https://board.example, https://other.example:8443")
	host := strings.TrimPrefix(p.url, "http://")
	for origin, want := range map[string]int{
		"http://" + host: 101, "https://127.0.0.1": 101, "https://board.example": 101, "https://OTHER.example:8443": 101,
		"http://evil.example": 403, "https://127.0.0.1.evil.example": 403, "null": 403, "https://other.example": 403, "%zz": 403,
	} {
		if status, _ := p.upgrade("Origin: " + origin); status != want {
			t.Errorf("a page of %s gets %d, not %d", origin, status, want)
		}
	}
}

// An agent that goes on to answer what others were asked is cut off: it hears nothing
// more and nobody hears it, for a while. The others do not notice.
func TestAnAgentThatAnswersForOthersIsCutOff(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_GATEWAY_QUARANTINE_AFTER=3", "CATTLE_GATEWAY_QUARANTINE_SECONDS=3")
		p := in.start()
		good, bad := p.event("good"), p.event("bad")
		own, other := p.agentKey(good), p.agentKey(bad)
		hears := own.listen("", names(commands...))
		r := hears.next("a command", func(o object) bool { return o["replyTo"] != nil })
		held := other.listen("", names(commands...))
		body, _ := json.Marshal(object{"name": r["replyTo"], "previousIds": []any{r["id"]}, "data": object{}})
		refused := 0
		until(t, "the agent is cut off", 20*time.Second, func() bool {
			status, _ := other.send("/v1/publish", "application/json", string(body))
			if status == 429 {
				refused++
			} else if status != 201 {
				t.Errorf("an answer for another is answered with %d", status)
			}
			return refused > 0
		})
		for range held.frames { // until it is closed
		}
		if status, _ := other.send("/v1/subscribe", "application/json", names(commands...)); status != 429 {
			t.Errorf("who is cut off may listen: %d", status)
		}
		hears.close()
		own.listen("", names(commands...)).serve("good")
		p.becomes("/v1/agents/"+good.id(), "active")
		until(t, "the agent may come back", 20*time.Second, func() bool {
			status, _ := other.send("/v1/publish", "application/json", `{"name":"reply.nobody.here"}`)
			return status == 201
		})
	})
}

// Two hosts that are one agent, as when a disk is copied, take its connection from each
// other. They are cut off for a while. One host may come back as often as it likes.
func TestTwoHostsThatAreOneAgentAreCutOff(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t), "CATTLE_API_TRUSTED_PROXIES=127.0.0.0/8"}}
	p := in.part("")
	gates := []*program{p, in.part("gateway")}
	one, two := p.event("one"), p.event("two")
	const cutOff = 0 // before it heard anything
	connect := func(a object, round int, from string) int {
		req, err := http.NewRequest("POST", gates[round/2%2].url+"/v1/subscribe", strings.NewReader(fmt.Sprintf(`{"agentId":%q,"eventNames":["ping"]}`, a.id())))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", from)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode == 201 { // the first ping says that it is the agent's connection now
			if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
				return cutOff
			}
		}
		return resp.StatusCode
	}
	for round := range 20 {
		if status := connect(one, round, "10.0.0.1"); status != 201 {
			t.Fatalf("a host that comes back is answered with %d", status)
		}
	}
	status, round := 201, 0
	for ; (status == 201 || status == cutOff) && round < 20; round++ {
		status = connect(two, round, fmt.Sprint("10.0.0.", round%2))
	}
	if status != 429 || round < 8 {
		t.Errorf("after %d connections the hosts are answered with %d", round, status)
	}
}

// flood is an agent that says so much that its own greeting waits.
type flood struct {
	gws.BuiltinEventHandler
	welcome chan bool
}

func (f flood) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	if bytes.Contains(m.Bytes(), []byte(`"welcome"`)) {
		f.welcome <- true
	}
}

// What an agent says too fast waits in its own connection. Nothing of it is lost, and
// nobody else waits.
func TestAnAgentThatSaysTooMuchWaitsForItself(t *testing.T) {
	t.Parallel()
	p := embedded(t, "CATTLE_GATEWAY_FRAMES_PER_SECOND=10")
	a := p.event("chatty")
	f := flood{welcome: make(chan bool, 1)}
	conn, _, err := gws.NewClient(f, &gws.ClientOption{Addr: strings.Replace(p.url, "http", "ws", 1) + "/v1/subscribe?eventNames=ping&agentId=" + a.id(),
		RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.NetConn().Close()
	go conn.ReadLoop()
	begun := time.Now()
	for i := range 40 { // twenty at once, then ten in a second
		if err := conn.WriteString(fmt.Sprintf(`{"id":"%d","name":"reply.nobody.%d"}`, i, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.WriteString(`{"hello":{}}`); err != nil {
		t.Fatal(err)
	}
	if status, _ := p.ask("GET", "/v1/agents/"+a.id(), nil); status != 200 {
		t.Errorf("others are answered with %d", status)
	}
	select {
	case <-f.welcome:
	case <-time.After(30 * time.Second):
		t.Fatal("the greeting was lost")
	}
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("40 frames were taken in %v", took)
	}
}
