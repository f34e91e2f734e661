package bench

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/wire"
)

// held is one of many agents that a process of its own holds: it answers all that it
// is asked and comes back, after a pause by chance, when its connection ends.
type held struct {
	player
	closed chan struct{}
}

// OnClose lets the agent come back.
func (h *held) OnClose(*gws.Conn, error) { close(h.closed) }

// runHold holds agents at a gateway until it is told to end.
func runHold(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	gateway := flags.String("gateway", "", "address of the gateway")
	source := flags.String("source", "127.0.0.1", "address that the agents come from")
	first := flags.Int("first", 1, "id of the first agent")
	agents := flags.Int("agents", 0, "how many")
	if err := flags.Parse(args); err != nil {
		return err
	}
	from := net.ParseIP(*source)
	if from == nil || *agents < 1 {
		return errors.New("--source is an address, and --agents begin at 1")
	}
	dialing := make(chan struct{}, 64)
	for i := range *agents {
		go holdOne(ctx, *gateway, "1a"+strconv.Itoa(*first+i), &net.TCPAddr{IP: from}, dialing)
	}
	<-ctx.Done()
	return nil
}

func holdOne(ctx context.Context, gateway, agent string, from net.Addr, dialing chan struct{}) {
	for failures := 0; ctx.Err() == nil; failures++ {
		dialing <- struct{}{}
		h := &held{closed: make(chan struct{})}
		conn, err := h.dial(gateway, agent, from)
		<-dialing
		if err == nil {
			failures = 0
			conn.ReadLoop()
		}
		bound := min(time.Minute, time.Second<<min(failures, 6))
		if pause(ctx, rand.N(bound)) != nil {
			return
		}
	}
}

func (h *held) dial(gateway, agent string, from net.Addr) (*gws.Conn, error) {
	query := url.Values{"agentId": {agent}, "eventNames": {wire.Ping, wire.StorageVolumeActivate}}
	conn, _, err := gws.NewClient(h, &gws.ClientOption{
		Addr: strings.Replace(gateway, "http", "ws", 1) + "/v1/subscribe?" + query.Encode(), ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10,
		HandshakeTimeout: 10 * time.Second, RequestHeader: http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}},
		NewDialer: func() (gws.Dialer, error) { return &net.Dialer{LocalAddr: from, Timeout: 10 * time.Second}, nil },
	})
	return conn, err
}
