package rest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
)

// createAgent gives an agent without an address the one of the machine that asks.
func createAgent(r *request, c *creation) error {
	uri, _ := c.Values["uri"].(string)
	if strings.HasPrefix(strings.ToLower(uri), "ssh:") && r.caller.Kind == schema.AgentRegister && !r.ownAddress(uri) {
		return fault.Invalid("InvalidOption", "uri", "only the machine that asks may be entered")
	}
	if uri != "" || !r.api.flag("agent.filter.assign.uri", true) {
		return nil
	}
	host := r.clientIP
	if r.api.flag("agent.filter.default.uri.reverse.dns", true) && net.ParseIP(host) != nil {
		host = nameOf(r.ctx, host)
	}
	user, _ := c.Values["user"].(string)
	if user == "" {
		user = r.api.text("agent.filter.default.user", "root")
	}
	uri = strings.Replace(r.api.text("agent.filter.default.uri", "ssh://%s@%s:22"), "%s", user, 1)
	uri = strings.Replace(uri, "%s", host, 1)
	if len(uri) > 255 || !validText(uri) {
		return fault.Invalid("MaxLengthExceeded", "uri", "the address of the agent is too long")
	}
	c.Values["uri"] = uri
	if err := r.unique(c.Type, c.Type.Field("uri"), uri, 0); err != nil {
		return fmt.Errorf("cannot give the agent an address: %w", err)
	}
	return nil
}

// ownAddress tells whether an address leads to the machine that asks. Whoever may only
// register his host makes the server log in nowhere else.
func (r *request) ownAddress(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	return u.Hostname() == r.clientIP || strings.EqualFold(u.Hostname(), nameOf(r.ctx, r.clientIP))
}

// nameOf returns the name of a machine, or its address if nobody knows it soon.
func nameOf(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, address)
	if err != nil || len(names) == 0 {
		return address
	}
	return strings.TrimSuffix(names[0], ".")
}
