package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/cattleio/cattle/shared/wire"
)

// builtIn are the items that bring a Python agent to a host. This program has in
// itself what they are for, so having it applies them.
var builtIn = map[string]bool{"pyagent": true, "configscripts": true}

// configUpdate reports the items that this program brings itself. Another one is
// refused: it would be a lie to call it applied.
func (a *agent) configUpdate(ctx context.Context, e *wire.Event) *wire.Event {
	var data wire.ConfigUpdateData
	if len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return e.Fail("cannot read the list of configuration items", err.Error())
		}
	}
	for _, item := range data.Items {
		if err := a.applyItem(ctx, item.Name); err != nil {
			return e.Fail(err.Error(), "")
		}
	}
	answer, err := e.Reply(map[string]any{"exitCode": 0, "output": ""})
	if err != nil {
		return e.Fail("cannot write the answer", err.Error())
	}
	return answer
}

func (a *agent) applyItem(ctx context.Context, item string) error {
	if !builtIn[item] {
		return fmt.Errorf("configuration item %q is not known here", item)
	}
	login, err := a.join(ctx)
	if err != nil {
		return err
	}
	query := url.Values{"version": {"latest"}}
	if login.agentID != "" {
		query.Set("agentId", login.agentID)
	}
	if err := a.call(ctx, http.MethodPut, "configcontent/"+url.PathEscape(item), query, login, nil, nil); err != nil {
		return fmt.Errorf("cannot report configuration item %q: %w", item, err)
	}
	return nil
}
