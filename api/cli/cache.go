package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/api/client"
)

// kept is how long schemas are good for, unless CATTLE_CACHE_TIME says otherwise.
const kept = 24 * time.Hour

// cacheFile is where the schemas of a server and a caller are kept, "" for nowhere. It
// is the folder that the classic command line uses.
func cacheFile(config client.Config, env func(string) string) string {
	if off := env("CATTLE_CACHE"); off != "" && !truthful(off) {
		return ""
	}
	home := env("HOME")
	if home == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(config.URL + "\n" + config.AccessKey + "\n" + config.SecretKey))
	return filepath.Join(home, ".gdapi", "cattle-"+hex.EncodeToString(sum[:12])+".json")
}

// truthful reads a switch of the environment.
func truthful(text string) bool {
	switch strings.ToLower(text) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}

func readCache(file, seconds string) []*client.Schema {
	keep := kept
	if n, err := strconv.Atoi(seconds); err == nil {
		keep = time.Duration(n) * time.Second
	}
	info, err := os.Stat(file)
	if file == "" || err != nil || time.Since(info.ModTime()) > keep {
		return nil
	}
	text, err := os.ReadFile(file)
	var list []*client.Schema
	if err != nil || json.Unmarshal(text, &list) != nil || len(list) == 0 {
		return nil
	}
	return list
}

// writeCache keeps schemas; without a place for them they are read again next time.
func writeCache(file string, schemas map[string]*client.Schema) {
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	text, err := json.Marshal(slices.Collect(maps.Values(schemas)))
	if err != nil {
		return
	}
	part, err := os.CreateTemp(filepath.Dir(file), ".cattle-*")
	if err != nil {
		return
	}
	_, err = part.Write(text)
	if closed := part.Close(); err != nil || closed != nil || os.Rename(part.Name(), file) != nil {
		_ = os.Remove(part.Name())
	}
}
