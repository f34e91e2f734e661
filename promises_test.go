package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documents that say which test would notice what.
const (
	truth      = "workers/engine/TRUTH.md"
	invariants = "workers/engine/INVARIANTS.md"
)

// named are the words of a document that stand for something in the source.
var named = regexp.MustCompile("`([^`]+)`")

// Each invariant has its line, with somebody who keeps it and a test that breaks it;
// each fault has one with a test that tries it. What they name exists.
func TestEveryInvariantHasItsTests(t *testing.T) {
	t.Parallel()
	tests, code := declared(t)
	lines := map[string][]string{}
	for _, page := range []string{truth, invariants} {
		for _, row := range table(t, page) {
			for _, number := range strings.Split(row[0], ", ") {
				lines[number] = row
			}
			for i, cell := range row {
				for _, m := range named.FindAllStringSubmatch(cell, -1) {
					name := m[1][strings.LastIndexAny(m[1], ".)/")+1:]
					switch {
					case strings.HasPrefix(name, "Test") && !tests[name]:
						t.Errorf("%s names the test %s, which does not exist", page, name)
					case page == invariants && i == 2 && !strings.Contains(m[1], "/") && !code[name]:
						t.Errorf("%s names %s, which does not exist", page, m[1])
					}
				}
			}
		}
	}
	for n := 1; n <= 34; n++ {
		row := lines[fmt.Sprint("INV-", n)]
		if len(row) != 4 || row[2] == "" || !strings.Contains(row[3], "`Test") {
			t.Errorf("INV-%d has no line with a test: %q", n, row)
		}
	}
	for n := 1; n <= 20; n++ {
		if slices.Contains([]int{10, 11, 12, 17}, n) { // of hosts by the thousand, and of disks
			continue
		}
		if row := lines[fmt.Sprint("F", n)]; len(row) != 3 || !strings.Contains(row[2], "`Test") {
			t.Errorf("F%d has no line with a test: %q", n, row)
		}
	}
}

// table returns the cells of the rows of all tables of a page, without their heads.
func table(t *testing.T, page string) [][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		out = append(out, cells)
	}
	return out
}

// declared lists the names of all tests, and those of all functions and types.
func declared(t *testing.T) (tests, code map[string]bool) {
	t.Helper()
	tests, code = map[string]bool{}, map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^(?:func(?: \([^)]*\))?|type|var) (\w+)`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		into := code
		if strings.HasSuffix(path, "_test.go") {
			into = tests
		}
		for _, m := range declaration.FindAllStringSubmatch(string(text), -1) {
			into[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, code
}
