package rest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/testkit"
)

// Metrics are for those who may see everything. Whatever callers make up, requests
// are counted by types that are declared.
func TestMetricsAndWhoMaySeeThem(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		var mu sync.Mutex
		counted := map[string]int{}
		s := newServer(t, address, func(c *rest.Config) {
			c.Metrics = func() (string, []byte, error) { return "text/plain; version=0.0.4", []byte("cattle_up 1\n"), nil }
			c.Answered = func(method, typ string, status int, _ time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				counted[fmt.Sprint(method, " ", typ, " ", status)]++
			}
		})
		if a := s.get("/metrics").is(200); a.text != "cattle_up 1\n" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("metrics are %s: %q", a.header.Get("Content-Type"), a.text)
		}
		s.post("/metrics", "").is(405)
		for kind, code := range map[string]int{"admin": 200, "readAdmin": 200, "user": 404, "agent": 404, "agentRegister": 404} {
			_, keys := s.account(kind)
			s.as(keys).get("/metrics").is(code)
		}
		s.get("/v1/volumes").is(200)
		s.get("/v1/VOLUME/1v99").is(404)
		s.get("/v1/unicorns").is(404)
		s.get("/made/up").is(422)
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"GET volume 200", "GET volume 404", "GET other 404", "GET other 422", "GET other 200"} {
			if counted[want] == 0 {
				t.Errorf("nothing was counted as %s: %v", want, counted)
			}
		}
	})
}
