package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cattleio/cattle/shared/wire"
)

// closeWrongGateway ends the connection of an agent that belongs to other gateways.
const closeWrongGateway = 4003

// servesGroup tells whether agents of a group, 0 for none, belong to this gateway: as
// agent.groups says, which lists ids, * for all of them, and ! for agents without one.
func (g *Gateway) servesGroup(id int64) bool {
	if g.Settings == nil {
		return true
	}
	for _, group := range strings.Split(g.Settings.Get("agent.groups"), ",") {
		group = strings.TrimSpace(group)
		if group == "*" || group == "!" && id == 0 || id != 0 && group == strconv.FormatInt(id, 10) {
			return true
		}
	}
	return false
}

// sendOn sends an agent of another group away, to come again: a balancer leads it to
// another gateway then.
func (g *Gateway) sendOn(w http.ResponseWriter, r *http.Request) error {
	const why = "this gateway serves other groups of agents"
	if !asksModern(r) {
		return later(why)
	}
	out, err := g.upgrade.open(w, r, wire.Subprotocol)
	if err != nil {
		g.Log.Debug("upgrade failed", "err", err)
		return nil
	}
	out.over = func(bool) {}
	out.close(closeWrongGateway, why)
	go out.conn.ReadLoop()
	return nil
}

// asksModern tells whether an agent speaks wire.Subprotocol.
func asksModern(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), wire.Subprotocol)
}
