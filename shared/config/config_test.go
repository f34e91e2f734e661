package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cattleio/cattle/shared/config"
)

func TestTheFirstLayerThatHasASettingWins(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write(t, home, "cattle.properties", "a.b=file\nc.d = ${a.b} and ${e.f}\n# a remark\n\n")
	write(t, home, "cattle-override.properties", "g.h=override\n")
	s, err := config.Load([]string{"CATTLE_A_B=environment", "PATH=/bin", "CATTLE_EMPTY="}, map[string]string{"e.f": "flag"}, home,
		map[string]string{"a.b": "default", "g.h": "default", "i.j": "default", "n": " 7 ", "t": "True", "l": "a, b,,c", "s": "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	s.SetDatabase(map[string]string{"a.b": "database", "g.h": "database"})
	for _, x := range []struct{ name, value, source string }{
		{"a.b", "environment", config.Environment},
		{"c.d", "environment and flag", config.File},
		{"g.h", "database", config.Database},
		{"i.j", "default", config.Defaults},
	} {
		if v, ok := s.Lookup(x.name); !ok || v.Value != x.value || v.Source != x.source {
			t.Errorf("%s is %q from %q", x.name, v.Value, v.Source)
		}
	}
	if _, ok := s.Lookup("empty"); ok {
		t.Error("an empty variable counts as set")
	}
	if s.Int("n") != 7 || !s.Bool("t") || len(s.List("l")) != 3 || s.Seconds("s").Milliseconds() != 500 {
		t.Errorf("typed reads: %d %v %v %v", s.Int("n"), s.Bool("t"), s.List("l"), s.Seconds("s"))
	}
	s.SetDatabase(nil)
	if s.Get("g.h") != "override" {
		t.Errorf("without the database g.h is %q", s.Get("g.h"))
	}
	s.SetDefault("i.j", "later")
	if s.Get("i.j") != "later" {
		t.Errorf("i.j is %q", s.Get("i.j"))
	}
}

func TestACircleOfSettingsEnds(t *testing.T) {
	t.Parallel()
	s, err := config.Load(nil, nil, t.TempDir(), map[string]string{"a": "${b}", "b": "${a}"})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Get("a") // returns
}

func TestABrokenFileIsRefused(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write(t, home, "cattle.properties", "no equals sign\n")
	if _, err := config.Load(nil, nil, home, nil); err == nil {
		t.Fatal("a line without = was taken")
	}
}

func write(t *testing.T, home, name, text string) {
	t.Helper()
	dir := filepath.Join(home, "etc", "cattle")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
