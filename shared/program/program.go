// Package program is this program as a file. Servers hand it on to hosts, so that the
// agents there are what the servers are.
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"sync"
)

// Open returns what runs, also where its file has been replaced meanwhile.
func Open() (*os.File, error) {
	if runtime.GOOS == "linux" {
		return os.Open("/proc/self/exe")
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Digest is the hex SHA-256 of what runs. It is worked out once.
var Digest = sync.OnceValues(func() (string, error) {
	f, err := Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
})

// Platform is what it is built for, as linux/amd64.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
