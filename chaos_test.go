package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cattleio/cattle/localdev/chaos"
)

// A whole installation is broken in every way there is while it works, and has to
// account for each operation. Not parallel: the children learn from the environment
// that they are the program.
func TestChaos(t *testing.T) {
	t.Setenv("CATTLE_TEST_PROGRAM", "1")
	dir := t.TempDir()
	open(t, dir)
	t.Setenv("TMPDIR", dir)
	if err := chaos.Run(t.Context(), []string{"--operations", "2500", "--workers", "2", "--clients", "12"}); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if left := childrenIn(dir); len(left) > 0 {
		t.Errorf("it left processes %v", left)
	}
}

// open lets others enter a folder of a test: root has Postgres run as somebody else.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return // not ours: then it is open already
		}
	}
}
