package wire

import (
	"fmt"
	"net"
)

// URL is where an agent finds the server for a purpose: api, config or storage. The
// settings cattle.agent.ID.PURPOSE.url, cattle.PURPOSE.url and cattle.url say so; without
// them it is the address that this server listens on.
func URL(setting func(name string) string, agent int64, purpose string) string {
	for _, name := range []string{fmt.Sprintf("cattle.agent.%d.%s.url", agent, purpose), "cattle." + purpose + ".url", "cattle.url"} {
		if url := setting(name); url != "" {
			return url
		}
	}
	scheme, port := "http", setting("http.port")
	if p := setting("https.port"); p != "" && p != "0" {
		scheme, port = "https", p
	}
	return scheme + "://" + net.JoinHostPort(serverIP(setting), port) + setting("cattle.url.path")
}

// serverIP is the address that is set, else the one that is listened on, else the first
// of this machine that others may reach.
func serverIP(setting func(name string) string) string {
	if ip := setting("cattle.server.ip"); ip != "" {
		return ip
	}
	host := setting("http.host")
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return host
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
