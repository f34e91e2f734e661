package rest

import (
	"time"

	"github.com/cattleio/cattle/shared/schema"
)

// addWaiting says of a process that has not ended what it waits for: in words as
// its last attempt left them, the agent if it is one, how often it was tried, how
// often the resource was held by another, and when it is looked at again. The keys
// are none of the published schema, like the companions of dates.
func addWaiting(r *request, row *schema.Row, o *object) {
	if row.Get("endTime") != nil {
		return
	}
	w := open(nil)
	switch {
	case row.Get("leaseUntil") != nil:
		w.text("for", "nothing: an attempt is running")
	case row.Str("lastError") != "":
		w.text("for", row.Str("lastError"))
	default:
		w.text("for", "a worker")
	}
	if agent := row.Int("waitAgentId"); agent != 0 {
		w.value("agentId", agent)
	}
	w.value("attempts", row.Int("attempts"))
	w.value("busy", row.Int("busyCount"))
	w.text("next", time.UnixMilli(row.Int("dueAt")).UTC().Format(time.RFC3339))
	o.raw("waiting", string(w.close()))
}
