package limit

import (
	"net/netip"
	"slices"
	"strings"
)

// Address is where a request comes from: the other end of its connection or, where that
// is a proxy of ours, who is in front of the proxy by its X-Forwarded-For. Our proxies
// are networks such as 10.0.0.0/8, with commas. What strangers write into the header
// counts for nothing.
func Address(remote, forwarded, ours string) string {
	if ours == "" || forwarded == "" {
		return remote
	}
	sent := strings.Split(forwarded, ",")
	for i := len(sent) - 1; i >= 0 && within(remote, ours); i-- {
		ip, err := netip.ParseAddr(strings.TrimSpace(sent[i]))
		if err != nil {
			break
		}
		remote = ip.Unmap().String()
	}
	return remote
}

func within(address, networks string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(strings.Split(networks, ","), func(text string) bool {
		network, err := netip.ParsePrefix(strings.TrimSpace(text))
		return err == nil && network.Contains(ip.Unmap())
	})
}
