package main

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// walls says where the time of a machine's own clock leaves the machine or is read
// from elsewhere, and why nothing is decided by it. What is decided by time is so by
// the clock of the database in SQL, by that of Redis, or by how much time has passed,
// which setting a clock does not change.
var walls = map[string]string{
	"api/auth/token.go":                    "a registration token says when it was made, to the hour, and is good for a year",
	"api/auth/join.go":                     "a token for one host is good for as long as the clocks of the API servers say",
	"api/gateway/access.go":                "shown in an event",
	"api/gateway/cursor.go":                "shown in an event",
	"api/gateway/changes.go":               "shown in an event",
	"api/gateway/input.go":                 "shown in an event",
	"api/gateway/line.go":                  "shown in an event",
	"api/gateway/session.go":               "shown to an agent",
	"api/console.go":                       "shown to an agent",
	"api/rest/filter.go":                   "reads a date that a client sent",
	"shared/telemetry/watch.go":            "shows a moment of the database",
	"shared/store/history.go":              "names the day of a moment of the database",
	"workers/agent/driver/docker/image.go": "when an image was made, shown",
	"functions/config_item.go":             "shown in an event",
	"functions/presence.go":                "shown in an event",
	"functions/task.go":                    "shown in an event",
	"server.go":                            "shown in an event",
	"shared/event/bus.go":                  "only where Redis is away, and then nobody hears of it",
	"shared/queue/queue.go":                "makes a name that was not there some seconds ago",
	"shared/store/clock.go":                "only until the database has told the time",
	"shared/wire/event.go":                 "shown in an event",
	"workers/engine/log.go":                "shown in the log of an attempt",
	"workers/news.go":                      "shown in an event",
}

func TestNoClockOfAMachineDecides(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (path == "localdev" || path == "tools" || path == "shared/testkit" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Unix", "UnixMilli", "UnixMicro", "UnixNano"}, s.Sel.Name) && len(call.Args) == 0 {
				found[path] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range found {
		if walls[path] == "" {
			t.Errorf("%s turns a moment into a number: does anything depend on the clock of its machine?", path)
		}
	}
	for path := range walls {
		if !found[path] {
			t.Errorf("%s turns no moment into a number any more", path)
		}
	}
}
