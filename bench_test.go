package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cattleio/cattle/localdev/bench"
)

// Not parallel: the children learn from the environment that they are the program.
func TestTheBenchmarkTakesAllOfItAwayAgain(t *testing.T) {
	t.Setenv("CATTLE_TEST_PROGRAM", "1")
	for _, story := range []struct {
		name string
		stop time.Duration
		args []string
	}{
		{"done", time.Minute, []string{"--only", "embedded", "--containers", "20", "--hosts", "12", "--parallel", "4"}},
		{"beside the skeleton", time.Minute, []string{"--only", "skeleton,start", "--starts", "20", "--hosts", "12", "--parallel", "4"}},
		{"with a history", time.Minute, []string{"--only", "history", "--ended", "3000"}},
		{"interrupted", 700 * time.Millisecond, []string{"--only", "embedded", "--containers", "100000"}},
	} {
		t.Run(story.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			ctx, cancel := context.WithTimeout(t.Context(), story.stop)
			defer cancel()
			err := bench.Run(ctx, story.args)
			if interrupted := story.name == "interrupted"; interrupted != errors.Is(err, context.DeadlineExceeded) || !interrupted && err != nil {
				t.Errorf("the benchmark ended with %v", err)
			}
			if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
			if left := childrenIn(dir); len(left) > 0 {
				t.Errorf("it left processes %v", left)
			}
		})
	}
}

// childrenIn finds processes whose home is below a directory.
func childrenIn(dir string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, _ := os.ReadFile(file) // not ours to read, or gone
		if strings.Contains(string(env), "CATTLE_HOME="+dir) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}
