package docker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cpuguy83/dockercfg"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
)

// A host logs in to registries with what `docker login` has left on it, or the credential
// helpers that are named there: no secret of a registry comes from the server or is
// stored there. Whoever may start containers on the host may use what it may pull.

// login returns what the registry of an image is told, "" if this host has no login there.
func (d *Driver) login(image string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	host := dockercfg.ResolveRegistryHost(reference.Domain(ref))
	var logins dockercfg.Config
	err = dockercfg.FromFile(d.logins(), &logins)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var user, secret string
	if err == nil {
		user, secret, err = logins.GetRegistryCredentials(host)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read this host's login at registry %s: %w", host, err)
	}
	auth := registry.AuthConfig{Username: user, Password: secret, ServerAddress: host}
	switch {
	case secret == "":
		return "", nil
	case user == "":
		auth.IdentityToken, auth.Password = secret, ""
	}
	return authconfig.Encode(auth)
}

// logins is the file that docker login writes.
func (d *Driver) logins() string {
	dir := cmp.Or(d.config.Logins, os.Getenv("DOCKER_CONFIG"))
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil { // a service may have none
			home = "/root"
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}
