package agent

import (
	_ "embed"
	"fmt"
	"io/fs"
)

//go:embed bootstrap.sh
var bootstrap string

// Script gives the shell script of a name: bootstrap runs an agent on a host whose image
// expects that of an older kind. Any other is fs.ErrNotExist.
func Script(name string) (string, error) {
	if name != "bootstrap" {
		return "", fmt.Errorf("there is no script %q: %w", name, fs.ErrNotExist)
	}
	return bootstrap, nil
}
