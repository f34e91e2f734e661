package agent

import (
	_ "embed"

	"github.com/cattleio/cattle/shared/fault"
)

//go:embed bootstrap.sh
var bootstrap string

// Script gives the shell script of a name: bootstrap runs an agent on a host whose image
// expects that of an older kind. Any other is fault.NotFound.
func Script(name string) (string, error) {
	if name != "bootstrap" {
		return "", fault.NotFound()
	}
	return bootstrap, nil
}
