package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

const (
	delegatePort = "8080"
	longestReply = 4 << 20 // of an agent in a container
)

// insider speaks to agents in containers, which are next to us.
var insider = &http.Client{Transport: &http.Transport{
	DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, DisableKeepAlives: true,
}}

// outcome is what an agent in a container says of a command that it has carried out.
type outcome struct {
	ExitCode int    `json:"exitCode"`
	Output   string `json:"output"`
	Data     string `json:"data"` // the last line of the output that is an object
}

// Delegate hands a command to the agent in a container that runs. One that does not listen,
// or not yet, is nobody.
func (d *Driver) Delegate(ctx context.Context, cmd driver.DelegateCommand) (*wire.Event, error) {
	instance, inner := cmd.Map.Instance, cmd.Map.Event
	uuid, _ := instance["uuid"].(string)
	token, _ := instance["token"].(string)
	if instance["kind"] != "container" || token == "" {
		return nil, driver.ErrNobody
	}
	found, raw, err := d.inspectRaw(ctx, uuid)
	if err != nil {
		return nil, err
	}
	if !running(found) {
		return nil, driver.ErrNobody
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.DelegateTimeout)
	defer cancel()
	said, err := tell(ctx, address(raw), token, inner)
	if err != nil {
		return nil, fmt.Errorf("the agent in container %s: %w", uuid, err)
	}
	if said.ExitCode != 0 {
		return inner.Fail("Update failed", fmt.Sprintf("exit code %d: %s", said.ExitCode, said.Output)), nil
	}
	var data any // of an agent that has nothing to say
	if json.Valid([]byte(said.Data)) {
		data = json.RawMessage(said.Data)
	}
	return inner.Reply(data)
}

func tell(ctx context.Context, host, token string, e *wire.Event) (*outcome, error) {
	if host == "" {
		return nil, driver.ErrNobody
	}
	text, err := wire.Encode(e)
	if err != nil {
		return nil, err
	}
	at := "http://" + net.JoinHostPort(host, delegatePort) + "/events?" + url.Values{"token": {token}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := insider.Do(request)
	if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
		return nil, driver.ErrNobody
	}
	if err != nil {
		return nil, errors.New("it does not answer") // what else is known tells the token
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, longestReply))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	var said outcome
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return &said, nil
}

var _ driver.Delegator = (*Driver)(nil)
