package limit

import "testing"

func TestOnlyOurProxiesSayWhoAsks(t *testing.T) {
	t.Parallel()
	for _, story := range []struct{ what, remote, forwarded, ours, want string }{
		{"nobody is trusted", "192.0.2.1", "198.51.100.7", "", "192.0.2.1"},
		{"a stranger claims to be another", "192.0.2.1", "198.51.100.7", "10.0.0.0/8", "192.0.2.1"},
		{"our proxy names its client", "10.0.0.5", "198.51.100.7", "10.0.0.0/8", "198.51.100.7"},
		{"the client made up the rest", "10.0.0.5", "203.0.113.9, 198.51.100.7", "10.0.0.0/8", "198.51.100.7"},
		{"two of our proxies", "10.0.0.5", "198.51.100.7, 10.0.0.6", "10.0.0.0/8, 172.16.0.0/12", "198.51.100.7"},
		{"our proxy says nothing", "10.0.0.5", "", "10.0.0.0/8", "10.0.0.5"},
		{"our proxy says what is no address", "10.0.0.5", "unknown", "10.0.0.0/8", "10.0.0.5"},
		{"version six in front", "::1", "2001:db8::7", "::1/128", "2001:db8::7"},
		{"four within six", "10.0.0.5", "::ffff:198.51.100.7", "10.0.0.0/8", "198.51.100.7"},
		{"a network that is none", "10.0.0.5", "198.51.100.7", "ten", "10.0.0.5"},
	} {
		if got := Address(story.remote, story.forwarded, story.ours); got != story.want {
			t.Errorf("%s: it comes from %s, not %s", story.what, got, story.want)
		}
	}
}
