package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/config"
)

// composed are names that the program puts together out of parts.
var composed = []string{"task.", "event.data.", "nic.activate.", "instancelink.", "hostipaddressmap.", "host.", "account.type.", "api.rate.per.",
	"api.ui.js.url", "api.ui.css.url", "console.url.format.", "process.agent.reconnect.priority", "agent.instance.image.tag", "idempotent.checks"}

// A setting that is published is read somewhere, or it is kept for other releases, with a
// word about what does its work.
func TestEverySettingActsOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "shared/config/") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, g := range config.Kept {
		for name := range g.Settings {
			kept[name] = true
			if g.Why == "" || strings.Contains(code.String(), `"`+name+`"`) {
				t.Errorf("%s is kept for others, and is read or has no reason", name)
			}
		}
	}
next:
	for name := range config.Standard() {
		for _, begin := range composed {
			if strings.HasPrefix(name, begin) {
				continue next
			}
		}
		if !kept[name] && !strings.Contains(code.String(), `"`+name+`"`) {
			t.Errorf("nothing reads the setting %s", name)
		}
	}
}
