package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows says on which rooms of the project each room may stand. The rooms that
// stand on none of the project's are open to all.
var arrows = map[string][]string{
	"shared/schema":                   {},
	"shared/wire":                     {},
	"shared/fault":                    {},
	"shared/config":                   {},
	"shared/telemetry":                {},
	"shared/seal":                     {},
	"shared/program":                  {},
	"shared/limit":                    {},
	"shared/item":                     {},
	"shared/process":                  {"shared/schema"},
	"shared/process/explore":          {"shared/process"},
	"shared/resource":                 {"shared/process", "shared/schema"},
	"migrations":                      {},
	"shared/store":                    {"shared/resource", "shared/process", "shared/schema", "shared/seal", "migrations"},
	"shared/queue":                    {"shared/process"},
	"shared/event":                    {},
	"shared/lock":                     {},
	"workers/engine":                  {"shared/process", "shared/resource", "shared/schema", "shared/store", "shared/wire", "shared/telemetry"},
	"workers/placement":               {"shared/process", "shared/resource", "shared/schema", "shared/store"},
	"workers/handler":                 {"shared/seal", "shared/process", "shared/resource", "shared/schema", "shared/store", "shared/wire", "workers/placement"},
	"workers/ssh":                     {"shared/wire", "shared/program", "shared/process", "shared/resource", "shared/schema", "shared/store", "shared/lock"},
	"workers":                         {"workers/ssh", "shared/process", "shared/resource", "shared/schema", "shared/store", "shared/event", "shared/queue", "shared/lock", "shared/wire", "workers/engine", "workers/handler", "shared/telemetry"},
	"workers/agent":                   {"shared/program", "shared/wire", "workers/agent/driver", "workers/agent/driver/docker", "workers/agent/driver/libvirt", "workers/agent/driver/sim"},
	"workers/agent/driver":            {"shared/wire"},
	"workers/agent/driver/docker":     {"shared/wire", "workers/agent/driver"},
	"workers/agent/driver/libvirt":    {"shared/wire", "workers/agent/driver"},
	"workers/agent/driver/sim":        {"shared/wire", "workers/agent/driver"},
	"workers/agent/driver/drivertest": {"shared/wire", "workers/agent/driver"},
	"functions":                       {"shared/process", "shared/resource", "shared/schema", "shared/store", "shared/lock", "shared/wire", "shared/event", "shared/telemetry"},
	"api/auth":                        {"shared/seal", "shared/limit", "shared/schema", "shared/process", "shared/resource", "shared/store", "shared/config", "shared/fault"},
	"api/diagram":                     {},
	"api/openapi":                     {"api/auth", "shared/resource", "shared/schema"},
	"api/rest":                        {"shared/seal", "shared/limit", "api/auth", "api/diagram", "api/openapi", "shared/schema", "shared/process", "shared/resource", "shared/store", "shared/config", "shared/fault", "shared/wire"},
	"api/client":                      {},
	"api/client/gen":                  {"shared/resource", "shared/schema"},
	"api/cli":                         {"api/client"},
	"api/gateway":                     {"shared/program", "shared/seal", "shared/limit", "shared/event", "shared/lock", "shared/wire", "shared/resource", "shared/schema", "shared/fault"},
	"api":                             {"shared/seal", "api/auth", "api/rest", "shared/config", "shared/event", "shared/fault", "shared/item", "shared/process", "shared/resource", "shared/schema", "shared/store", "shared/wire"},
	"shared/testkit":                  {"shared/store"},
	"localdev/bench":                  {"shared/wire", "shared/store", "shared/resource", "shared/process", "shared/event"},
	"localdev/faulty":                 {},
	"localdev/chaos":                  {"localdev/faulty", "shared/process", "shared/resource", "shared/schema", "shared/wire"},
}

// homes says which room alone may know a library. The benchmark knows those that it
// measures bare, beside the product.
var homes = map[string][]string{
	"github.com/uptrace/bun":        {"shared/store", "localdev/bench"},
	"github.com/jackc/pgx":          {"shared/store", "shared/testkit", "localdev/bench", "localdev/chaos"},
	"modernc.org/sqlite":            {"shared/store"},
	"github.com/hibiken/asynq":      {"shared/queue", "localdev/bench"},
	"github.com/alicebob/miniredis": {"shared/queue"},
	"github.com/gofiber/fiber":      {"api", "api/rest", "localdev/bench"},
	"github.com/moby/moby":          {"workers/agent/driver/docker"},
	"github.com/digitalocean":       {"workers/agent/driver/libvirt"},
	"github.com/testcontainers":     {"shared/testkit"},
	"github.com/prometheus":         {"shared/telemetry"},
}

func TestTheArrowsPointDown(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/cattleio/cattle"
	rooms := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if room == "" {
			continue // the program introduces the rooms to each other
		}
		may, known := arrows[room]
		if !known {
			t.Errorf("%s is in no plan of the house", room)
			continue
		}
		rooms++
		for _, i := range p.Imports {
			if other, ours := strings.CutPrefix(i, module+"/"); ours && !slices.Contains(may, other) {
				t.Errorf("%s stands on %s", room, other)
			}
			for library, at := range homes {
				if strings.HasPrefix(i, library) && !slices.Contains(at, room) {
					t.Errorf("%s knows %s, whose home is %s", room, library, at)
				}
			}
		}
	}
	if rooms != len(arrows) {
		t.Errorf("%d of %d rooms exist", rooms, len(arrows))
	}
}
