package rest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/schema"
)

// createAgent gives an agent without an address the one of the machine that asks.
func createAgent(r *request, c *creation) error {
	uri, _ := c.Values["uri"].(string)
	sent := uri != ""
	if !sent && r.api.flag("agent.filter.assign.uri", true) {
		uri = r.defaultAddress(c)
	}
	if strings.HasPrefix(strings.ToLower(uri), "ssh:") && r.caller.Kind == schema.AgentRegister && !r.ownAddress(uri) {
		return fault.Invalid("InvalidOption", "uri", "only the machine that asks may be entered")
	}
	if uri == "" || sent {
		return nil
	}
	if len(uri) > 255 || !validText(uri) {
		return fault.Invalid("MaxLengthExceeded", "uri", "the address of the agent is too long")
	}
	c.Values["uri"] = uri
	if err := r.unique(c.Type, c.Type.Field("uri"), uri, 0); err != nil {
		return fmt.Errorf("cannot give the agent an address: %w", err)
	}
	return nil
}

// defaultAddress leads to the machine that asks, by its name if it has one.
func (r *request) defaultAddress(c *creation) string {
	host := r.machine()
	if r.api.flag("agent.filter.default.uri.reverse.dns", true) && net.ParseIP(host) != nil {
		host = nameOf(r.ctx, net.DefaultResolver, host)
	}
	user, _ := c.Values["user"].(string)
	if user == "" {
		user = r.api.text("agent.filter.default.user", "root")
	}
	uri := strings.Replace(r.api.text("agent.filter.default.uri", "ssh://%s@%s:22"), "%s", user, 1)
	return strings.Replace(uri, "%s", host, 1)
}

// machine is the address of the machine that asks: as it says itself, unless it may only
// register itself.
func (r *request) machine() string {
	if r.caller.Kind == schema.AgentRegister {
		return r.address
	}
	return r.clientIP
}

// ownAddress tells whether an address leads to the machine that asks. Whoever may only
// register his host makes the server log in nowhere else.
func (r *request) ownAddress(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	own := r.machine()
	return u.Hostname() == own || strings.EqualFold(u.Hostname(), nameOf(r.ctx, net.DefaultResolver, own))
}

// names finds the names of addresses and the addresses of names.
type names interface {
	LookupAddr(ctx context.Context, address string) ([]string, error)
	LookupHost(ctx context.Context, name string) ([]string, error)
}

// nameOf returns the name of a machine, or its address if nobody knows it soon. Whose
// address it is says what its name is; so the name counts only if it leads back.
func nameOf(ctx context.Context, all names, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := all.LookupAddr(ctx, address)
	if err != nil || len(found) == 0 {
		return address
	}
	back, err := all.LookupHost(ctx, found[0])
	if err != nil || !slices.Contains(back, address) {
		return address
	}
	return strings.TrimSuffix(found[0], ".")
}
