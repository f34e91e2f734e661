package gateway

import (
	"net/http"
	"strings"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/wire"
)

// publish takes an event: the reply of an agent or of a handler from outside, or
// whatever an administrator wants others to hear.
func (g *Gateway) publish(w http.ResponseWriter, r *http.Request) error {
	if err := guarded(w, r); err != nil {
		return err
	}
	who, err := g.who(w, r, g.loginOf(r, ""))
	if err != nil {
		return err
	}
	if err := may(who.Publish, "publish", r); err != nil {
		return err
	}
	if err := g.heard(who); err != nil {
		return err
	}
	in, err := readInput(w, r, maxFrame)
	if err != nil {
		return err
	}
	e, err := in.event()
	if err != nil {
		return err
	}
	if who.Style != wire.Raw && !strings.HasPrefix(e.Name, "reply.") {
		return fault.Forbidden("only replies may be published")
	}
	if err := g.pass(r, who, e); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// pass brings an event to whom it is for. The address of a reply names the server
// that asked; all else goes to those who subscribed to the name.
func (g *Gateway) pass(r *http.Request, who *wire.Caller, e *wire.Event) error {
	server, request, ok := asker(e.Name)
	if ok && (who.Style == wire.Raw || who.AgentID != 0) {
		if len(e.PreviousIDs) == 0 {
			e.PreviousIDs = []string{request}
		}
		there, err := g.up(r.Context(), server, wire.Answer{AgentID: who.AgentID, Any: who.Style == wire.Raw, Reply: e}, "")
		if there || err != nil {
			return err
		}
	}
	text, err := wire.Encode(e)
	if err != nil {
		return err
	}
	_, err = g.Bus.Publish(r.Context(), wire.EventChannel(e.Name), string(text))
	return err
}
