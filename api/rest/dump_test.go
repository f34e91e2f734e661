package rest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cattleio/cattle/api/rest"
)

func TestDump(t *testing.T) {
	s := newServer(t, filepath.Join(t.TempDir(), "x.db"), func(*rest.Config) {})
	for _, k := range []string{"admin", "readAdmin", "user", "agent", "agentRegister", "superadmin"} {
		_, keys := s.account(k)
		os.WriteFile("/tmp/restmod/"+k+".json", []byte(s.as(keys).get("/v1/schemas").is(200).text), 0o600)
	}
}
