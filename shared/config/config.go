// Package config holds the settings and the layers they come from. The first
// layer that has a name wins: environment, flags, files, database, files that the
// database overrides, built-in defaults. Every value is read at each use, so that
// a change in the database is in force on every server as soon as it is known
// there.
package config

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The layers, by falling priority, under the names that clients see.
const (
	Environment = "Environment Variables"
	Flags       = "Java system properties"
	LocalFile   = "cattle-local.properties"
	File        = "cattle.properties"
	Database    = "Database"
	Override    = "cattle-override.properties"
	Global      = "cattle-global.properties"
	Defaults    = "Code Packaged Defaults"
)

var order = []string{Environment, Flags, LocalFile, File, Database, Override, Global, Defaults}

// Settings answers what is in force. It is safe for concurrent use.
type Settings struct {
	layers  atomic.Pointer[layered]
	mu      sync.Mutex
	changed chan struct{} // closed when the database's layer changes; nil while nobody waits for it
}

// layered is the layers at one time. They never change.
type layered struct {
	layers  map[string]map[string]string
	inForce map[string]Value // of each name the first, as it is written
}

func newLayered(layers map[string]map[string]string) *layered {
	l := &layered{layers, map[string]Value{}}
	for _, layer := range order {
		for name, text := range layers[layer] {
			if _, there := l.inForce[name]; !there && (layer != Database || !Hidden(name)) {
				l.inForce[name] = Value{name, text, layer}
			}
		}
	}
	return l
}

// with returns the layers with another in place of one.
func (l *layered) with(layer string, values map[string]string) *layered {
	layers := maps.Clone(l.layers)
	layers[layer] = values
	return newLayered(layers)
}

// Value is one setting as it stands.
type Value struct {
	Name, Value, Source string
}

// Load reads every layer but the database. Home is the folder whose
// etc/cattle/*.properties are read; defaults is the last layer.
func Load(environ []string, flags map[string]string, home string, defaults map[string]string) (*Settings, error) {
	layers := map[string]map[string]string{Environment: fromEnvironment(environ), Flags: flags, Defaults: defaults}
	for _, name := range []string{LocalFile, File, Override, Global} {
		m, err := readFile(filepath.Join(home, "etc", "cattle", name))
		if err != nil {
			return nil, err
		}
		layers[name] = m
	}
	s := &Settings{}
	s.layers.Store(newLayered(layers))
	return s, nil
}

// fromEnvironment takes the variables that begin with CATTLE_: CATTLE_A_B sets a.b.
func fromEnvironment(environ []string) map[string]string {
	m := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		rest, ok := strings.CutPrefix(name, "CATTLE_")
		if ok && rest != "" && value != "" {
			m[strings.ToLower(strings.ReplaceAll(rest, "_", "."))] = value
		}
	}
	return m
}

func readFile(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read settings: %w", err)
	}
	defer f.Close()
	m := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("cannot read settings: %s has a line without =: %q", f.Name(), line)
		}
		m[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return m, lines.Err()
}

// SetDatabase replaces the layer of the database.
func (s *Settings) SetDatabase(values map[string]string) {
	for {
		old := s.layers.Load()
		if maps.Equal(old.layers[Database], values) {
			return
		}
		if s.layers.CompareAndSwap(old, old.with(Database, values)) {
			s.tell()
			return
		}
	}
}

// Changed returns a channel that is closed when a value of the database changes.
func (s *Settings) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *Settings) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Lookup returns a setting with its source; ok is false if no layer has it.
func (s *Settings) Lookup(name string) (v Value, ok bool) {
	return s.lookup(name, 0)
}

func (s *Settings) lookup(name string, depth int) (Value, bool) {
	v, ok := s.layers.Load().inForce[name]
	if !ok {
		return Value{Name: name}, false
	}
	v.Value = s.interpolate(v.Value, depth)
	return v, true
}

// Hidden tells whether a setting is a secret, or an address that may hold one: it is
// never shown, put into others, or taken from the database.
func Hidden(name string) bool {
	switch strings.ToLower(name) {
	case "encryption.keys", "db.url", "db.read.url", "redis.url":
		return true
	}
	return false
}

// interpolate puts other settings in place of ${name}.
func (s *Settings) interpolate(text string, depth int) string {
	if depth > 8 || !strings.Contains(text, "${") {
		return text
	}
	return os.Expand(text, func(name string) string {
		if Hidden(name) {
			return ""
		}
		v, _ := s.lookup(name, depth+1)
		return v.Value
	})
}

// Get returns the value in force, "" if there is none.
func (s *Settings) Get(name string) string { v, _ := s.Lookup(name); return v.Value }

// Int returns a whole number, 0 if there is none.
func (s *Settings) Int(name string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s.Get(name)), 10, 64)
	return n
}

// Bool returns a truth value, false if there is none.
func (s *Settings) Bool(name string) bool {
	return strings.EqualFold(strings.TrimSpace(s.Get(name)), "true")
}

// Millis returns a duration given in milliseconds.
func (s *Settings) Millis(name string) time.Duration {
	return time.Duration(s.Int(name)) * time.Millisecond
}

// Seconds returns a duration given in seconds, fractions allowed.
func (s *Settings) Seconds(name string) time.Duration {
	f, _ := strconv.ParseFloat(strings.TrimSpace(s.Get(name)), 64)
	return time.Duration(f * float64(time.Second))
}

// List returns the parts of a value separated by commas.
func (s *Settings) List(name string) []string {
	var out []string
	for _, p := range strings.Split(s.Get(name), ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// All lists every setting whose name begins with a lower-case letter, by name.
func (s *Settings) All() []Value {
	names := map[string]bool{}
	for layer, m := range s.layers.Load().layers {
		if layer == Environment || layer == Flags {
			continue // a caller may see what overrides a setting, not every variable
		}
		for name := range m {
			names[name] = true
		}
	}
	var out []Value
	for name := range names {
		if name != "" && name[0] >= 'a' && name[0] <= 'z' {
			v, _ := s.Lookup(name)
			out = append(out, v)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// SetDefault changes the last layer, for what depends on other settings.
func (s *Settings) SetDefault(name, value string) {
	for {
		old := s.layers.Load()
		defaults := maps.Clone(old.layers[Defaults])
		if defaults == nil {
			defaults = map[string]string{}
		}
		defaults[name] = value
		if s.layers.CompareAndSwap(old, old.with(Defaults, defaults)) {
			return
		}
	}
}
