package rest_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cattleio/cattle/api/rest"
	"github.com/cattleio/cattle/shared/testkit"
)

// A fault of ours is logged with its path, but for what lets a host join.
func TestAFaultIsLoggedWithoutTheToken(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		for what, fail := range map[string]func(string) (string, error){
			"request failed":   func(string) (string, error) { return "", errors.New("a mistake of ours") },
			"request panicked": func(string) (string, error) { panic("a mistake of ours") },
		} {
			var log bytes.Buffer
			s := newServer(t, address, func(c *rest.Config) {
				c.Log = slog.New(slog.NewTextHandler(&log, nil))
				c.Script = fail
			})
			s.get("/v1/scripts/made-of-secrets").is(500)
			said := log.String()
			if strings.Contains(said, "made-of-secrets") || !strings.Contains(said, what) || !strings.Contains(said, "/v1/scripts/…") {
				t.Errorf("the log says %s", said)
			}
		}
	})
}
