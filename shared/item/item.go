// Package item holds the bundles of files that agents keep up to date, each under the
// name of its configuration item. The names that agents ask for are there from the
// beginning, with nothing to apply; what lies in a folder of the installation, one
// folder for each item, goes before that. What a bundle is for is the agent's business.
package item

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// standard are the items of hosts and of the system containers that carry services.
var standard = []string{
	"pyagent", "configscripts", "host-iptables", "host-routes",
	"services", "agent-instance-scripts", "monit", "node-services", "agent-instance-startup",
	"dnsmasq", "hosts", "iptables", "ipsec", "ipsec-hosts", "metadata",
}

// ErrUnknown says that there is no such item.
var ErrUnknown = errors.New("there is no such configuration item")

// Bundles are the items of an installation.
type Bundles struct {
	Folder string   // holds a folder for each item; "" for none
	Ignore []string // files whose names begin with one of these are left out
}

// Names lists the items in order.
func (b Bundles) Names() ([]string, error) {
	names := slices.Clone(standard)
	entries, err := os.ReadDir(b.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && !b.ignored(e.Name()) && !slices.Contains(names, e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (b Bundles) ignored(name string) bool {
	return slices.ContainsFunc(b.Ignore, func(p string) bool { return p != "" && strings.HasPrefix(name, p) })
}

// Bundle is the files of one item, by their paths in it.
type Bundle struct {
	Name  string
	Files map[string][]byte
}

// Get reads an item, or answers ErrUnknown.
func (b Bundles) Get(name string) (Bundle, error) {
	names, err := b.Names()
	if err != nil {
		return Bundle{}, err
	}
	if !slices.Contains(names, name) {
		return Bundle{}, ErrUnknown
	}
	out := Bundle{name, map[string][]byte{"apply.sh": []byte("#!/bin/sh\nexit 0\n")}}
	if b.Folder == "" {
		return out, nil
	}
	root, err := os.OpenRoot(b.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), name, func(at string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && at == name:
			return fs.SkipAll
		case err != nil:
			return err
		case b.ignored(path.Base(at)):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !e.Type().IsRegular():
			return nil
		}
		text, err := fs.ReadFile(root.FS(), at)
		if err == nil {
			out.Files[filepath.ToSlash(strings.TrimPrefix(at, name+"/"))] = text
		}
		return err
	})
	return out, err
}

// Source names the content: two bundles with the same files have the same.
func (b Bundle) Source() string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		fmt.Fprintf(sum, "%s\n%d\n", name, len(b.Files[name]))
		sum.Write(b.Files[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Write writes the bundle as an archive of one folder. To an agent that has this version
// already, which it may call by the name of that folder, it is only said that it is up to date.
func (b Bundle) Write(w io.Writer, version, current string) error {
	files := maps.Clone(b.Files)
	files["version"] = []byte(version + "\n")
	folder := b.Name + "-" + version
	if current == version || current == folder {
		files = map[string][]byte{"uptodate": []byte(version + "\n")}
	}
	files["SHA1SUMS"] = sums(folder, files)
	files["SHA1SUMSSUM"] = sums(folder, map[string][]byte{"SHA1SUMS": files["SHA1SUMS"]})
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, Format: tar.FormatGNU}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + name, Mode: 0o644, Uname: "root", Gname: "root",
			Size: int64(len(files[name])), Format: tar.FormatGNU}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

// sums lists the files as sha1sum does.
func sums(folder string, files map[string][]byte) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%x *%s/%s\n", sha1.Sum(files[name]), folder, name)
	}
	return b.Bytes()
}
