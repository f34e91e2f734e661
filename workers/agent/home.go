package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// home is the directory of what must outlive the program.
type home string

// identity is who this host is, for ever.
type identity struct {
	agent, physicalHost, docker, libvirt string
}

// keys open the server they were given out by.
type keys struct {
	URL       string `json:"url"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

func (h home) path(name string) string { return filepath.Join(string(h), name) }

func (h home) identity(config Config) (identity, error) {
	var self identity
	for _, part := range []struct {
		into        *string
		name, given string
	}{
		{&self.agent, ".agent_uuid", ""},
		{&self.physicalHost, ".physical_host_uuid", given(config.PhysicalHostUUID, "CATTLE_PHYSICAL_HOST_UUID")},
		{&self.docker, ".docker_uuid", given(config.DockerUUID, "CATTLE_DOCKER_UUID")},
		{&self.libvirt, ".libvirt_uuid", given("", "CATTLE_LIBVIRT_UUID")},
	} {
		if *part.into = part.given; part.given != "" {
			continue
		}
		kept, err := h.keep(part.name, uuid.NewString)
		if err != nil {
			return identity{}, err
		}
		*part.into = kept
	}
	return self, nil
}

func given(value, variable string) string {
	if value != "" {
		return value
	}
	return os.Getenv(variable)
}

// registrationKey is what the server knows this host by while it registers.
func (h home) registrationKey() (string, error) {
	return h.keep(".registration_token", func() string {
		key := make([]byte, 64)
		_, _ = rand.Read(key) // never fails
		return hex.EncodeToString(key)
	})
}

// keep gives the text of a file, which is made when it is not there.
func (h home) keep(name string, make func() string) (string, error) {
	text, err := os.ReadFile(h.path(name))
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read identity: %w", err)
	}
	made := make()
	return made, h.write(name, []byte(made+"\n"))
}

// write replaces a file as a whole, readable by us alone.
func (h home) write(name string, content []byte) error {
	return replaceFile(h.path(name), content)
}

// keys gives the kept keys for a server, if there are any.
func (h home) keys(url string) (keys, bool) {
	var k keys
	text, err := os.ReadFile(h.path(".credentials"))
	if err != nil || json.Unmarshal(text, &k) != nil {
		return keys{}, false
	}
	return k, k.URL == url && k.AccessKey != ""
}

func (h home) setKeys(k keys) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return h.write(".credentials", text)
}

// pin is by what the server at an address is known: what is given, which is kept, or
// what was kept.
func (h home) pin(given string, base *url.URL) (string, error) {
	const name = ".server_pin"
	if given == "" {
		kept, err := os.ReadFile(h.path(name))
		if pin, of, _ := strings.Cut(strings.TrimSpace(string(kept)), " "); err == nil && of == base.String() {
			return pin, nil
		}
		return "", nil
	}
	if raw, err := hex.DecodeString(given); err != nil || len(raw) != sha256.Size {
		return "", errors.New("a pin is a SHA-256 digest in hex")
	}
	if base.Scheme != "https" {
		return "", errors.New("a pin is for an https address")
	}
	return given, h.write(name, []byte(given+" "+base.String()+"\n"))
}

// met tells whether a kind of host was ever reported from here.
func (h home) met(kind string) bool {
	_, err := os.Stat(h.path(".met-" + kind))
	return err == nil
}

func (h home) meet(kind string) error { return h.write(".met-"+kind, nil) }

// replaceFile leaves the old content or the new one, whatever happens meanwhile.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // nothing is left of it after the rename
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
