package item

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read lists the files of an archive by name.
func read(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		out[h.Name] = string(text)
	}
}

func TestAFolderOfTheInstallationGoesBeforeWhatIsThere(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"hosts/apply.sh": "mine", "hosts/content/etc/hosts": "1.1.1.1 one", "hosts/.git/x": "no", "own/a": "b", ".hidden/a": "b"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := Bundles{Folder: folder, Ignore: []string{"."}}
	names, err := b.Names()
	if err != nil || len(names) != len(standard)+1 {
		t.Fatalf("there are %v, %v", names, err)
	}
	for _, bad := range []string{"nothing", "..", "hosts/content", ".hidden", ""} {
		if _, err := b.Get(bad); !errors.Is(err, ErrUnknown) {
			t.Errorf("item %q gave %v", bad, err)
		}
	}
	hosts, err := b.Get("hosts")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := hosts.Write(&archive, "3-abc", "2-abc"); err != nil {
		t.Fatal(err)
	}
	got := read(t, archive.Bytes())
	if got["hosts-3-abc/apply.sh"] != "mine" || got["hosts-3-abc/content/etc/hosts"] != "1.1.1.1 one" || got["hosts-3-abc/version"] != "3-abc\n" {
		t.Errorf("the archive has %v", got)
	}
	if n := strings.Count(got["hosts-3-abc/SHA1SUMS"], " *hosts-3-abc/"); n != 3 || !strings.Contains(got["hosts-3-abc/SHA1SUMSSUM"], " *hosts-3-abc/SHA1SUMS") {
		t.Errorf("its sums are %q and %q", got["hosts-3-abc/SHA1SUMS"], got["hosts-3-abc/SHA1SUMSSUM"])
	}
	for _, current := range []string{"3-abc", "hosts-3-abc"} {
		archive.Reset()
		if err := hosts.Write(&archive, "3-abc", current); err != nil {
			t.Fatal(err)
		}
		if got := read(t, archive.Bytes()); len(got) != 4 || got["hosts-3-abc/uptodate"] != "3-abc\n" {
			t.Errorf("who has %s gets %v", current, got)
		}
	}
	before := hosts.Source()
	hosts.Files["more"] = nil
	if hosts.Source() == before {
		t.Error("another content has the same source")
	}
}
