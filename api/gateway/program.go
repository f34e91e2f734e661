package gateway

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/program"
	"github.com/cattleio/cattle/shared/wire"
)

const (
	mostHanded = 4 // programs on their way at once
	handTime   = 5 * time.Minute
)

// program is what agents that connect here are to run, nil where each stays as it is.
func (g *Gateway) program() *wire.Program {
	if g.Settings == nil || !g.Settings.Bool("agent.update.enabled") {
		return nil
	}
	digest, err := program.Digest()
	if err != nil {
		return nil
	}
	return &wire.Program{Digest: digest, Platform: program.Platform()}
}

// handOn gives this program to an agent, to a few at a time.
func (g *Gateway) handOn(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return fault.NotAllowed()
	}
	who, err := g.who(w, r, g.loginOf(r, r.URL.Query().Get("agentId")))
	if err != nil {
		return err
	}
	if who.AgentID == 0 {
		return fault.NotFound()
	}
	select {
	case g.handed <- struct{}{}:
		defer func() { <-g.handed }()
	default:
		return later("too many hosts are given the program")
	}
	f, err := program.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(handTime))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	_, _ = io.Copy(w, f) // who gets less than that asks again
	return nil
}
