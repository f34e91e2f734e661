package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/config"
)

func TestProfilesAreServedOnlyWhereASettingSaysAndOnlyToThisMachine(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	start(t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_PPROF_ADDRESS=127.0.0.1:" + port}, "server")
	resp, err := http.Get("http://127.0.0.1:" + port + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("profiles answer %s", resp.Status)
	}
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:6060", ":6060", "6060"} {
		settings, err := config.Load([]string{"CATTLE_PPROF_ADDRESS=" + address}, nil, t.TempDir(), defaults())
		if err != nil {
			t.Fatal(err)
		}
		s := &server{settings: settings}
		if err := s.pprof(t.Context()); err == nil || !strings.Contains(err.Error(), "pprof.address") {
			t.Errorf("profiles at %s: %v", address, err)
		}
	}
}
