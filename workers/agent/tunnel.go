package agent

import (
	"context"
	"net"
	"strings"
	"time"
)

// A server that logs in to this host may open a tunnel: a port of our loopback that
// leads to it. Whenever the tunnel is opened anew it has another port, which is written
// where our environment is kept. So a running agent finds its server again, whichever
// server it is, and goes on with what it does.
const (
	environmentFile = "agent.env" // in the home: what a service manager starts us with
	portVariable    = "CATTLE_AGENT_PORT"
	lookTime        = time.Second // for another port
)

// tunnelPort is where the tunnel begins by now, "" if nobody says so.
func (h home) tunnelPort() string {
	for line := range strings.Lines(h.text(environmentFile)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name == portVariable {
			return strings.Trim(value, "'")
		}
	}
	return ""
}

// dial connects to the server, wherever its tunnel begins by now.
func (a *agent) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if a.config.Tunnel {
		if host, _, err := net.SplitHostPort(address); err == nil && a.home.tunnelPort() != "" {
			address = net.JoinHostPort(host, a.home.tunnelPort())
		}
	}
	return (&net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}}).DialContext(ctx, network, address)
}

// follow has the connection made anew as soon as the tunnel begins elsewhere: nothing
// comes through the old one any more, which may not tell. The port is that from before the
// first connection.
func (a *agent) follow(ctx context.Context, port string) error {
	for sleep(ctx, lookTime) {
		now := a.home.tunnelPort()
		if now == "" || now == port {
			continue
		}
		port = now
		a.line.cut()
		select {
		case a.moved <- struct{}{}:
		default:
		}
	}
	return nil
}

// pause waits before the next connection, and not longer than until there is a new way.
func (a *agent) pause(ctx context.Context, pause time.Duration) (moved bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-a.moved:
		return true
	}
	return false
}
