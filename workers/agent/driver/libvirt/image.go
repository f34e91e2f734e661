package libvirt

import (
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/md5"  //nolint:gosec // users choose how their images are checked
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Formats of disks.
const (
	raw   = "raw"
	qcow2 = "qcow2"
)

// ActivateImage fetches the image unless the pool has it. A fetch takes as long as it
// takes and tells its progress meanwhile.
func (d *Driver) ActivateImage(ctx context.Context, cmd driver.ImageCommand) (any, error) {
	image := &cmd.Map.Image
	pool, err := d.pool(cmd.Map.StoragePool)
	if err != nil {
		return nil, err
	}
	found, err := stored(pool, image.UUID)
	if errors.Is(err, fs.ErrNotExist) {
		if err = fetch(ctx, pool, image, cmd.Progress); err == nil {
			found, err = stored(pool, image.UUID)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot provide image %s: %w", image.UUID, err)
	}
	reply := found.reply()
	reply["image"] = map[string]any{"format": found.format, "virtualSizeMb": found.virtual >> 20, "physicalSizeMb": found.actual >> 20}
	return reply, nil
}

// DeactivateImage leaves the image to the volumes that were made of it.
func (d *Driver) DeactivateImage(context.Context, driver.ImageCommand) (any, error) { return nil, nil }

// fetch brings an image into a pool, as a whole or not at all.
func fetch(ctx context.Context, pool string, image *wire.Image, progress driver.Progress) error {
	format, err := imageFormat(image)
	if err != nil {
		return err
	}
	work := filepath.Join(pool, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	prefix := filepath.Join(work, "cattle-temp-"+image.UUID+"-")
	leftover, _ := filepath.Glob(prefix + "*") // of one that was cut short
	for _, path := range leftover {
		_ = os.Remove(path)
	}
	f, err := os.CreateTemp(work, filepath.Base(prefix)+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left of it after the rename
	err = download(ctx, f, image, progress)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if _, err := inspect(f.Name(), format); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o444); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(pool, image.UUID+"."+format))
}

// imageFormat is what the image says, else what its address ends with, else qcow2.
func imageFormat(image *wire.Image) (string, error) {
	format := image.Format
	if format == "" {
		format = qcow2
		name := strings.TrimSuffix(strings.TrimSuffix(address(image.URL), ".gz"), ".bz2")
		if strings.HasSuffix(name, ".raw") {
			format = raw
		}
	}
	if format != raw && format != qcow2 {
		return "", fmt.Errorf("Unsupported volume format %q", format) //nolint:staticcheck // the text users know
	}
	return format, nil
}

// address is the path of a URL, without what may follow it.
func address(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return text
	}
	return parsed.Path
}

// fetcher waits for a server to begin, not for it to end.
var fetcher = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
}}

// download writes what the image's address gives, unpacked. The checksum is of what
// came over the wire.
func download(ctx context.Context, into io.Writer, image *wire.Image, progress driver.Progress) error {
	if image.URL == "" {
		return errors.New("it has no url")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, image.URL, nil)
	if err != nil {
		return err
	}
	answer, err := fetcher.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", image.URL, answer.Status)
	}
	sum, err := checksum(image.Checksum)
	if err != nil {
		return err
	}
	source := io.TeeReader(&metered{from: answer.Body, total: answer.ContentLength, tell: progress}, sum)
	if err := unpack(into, source, address(image.URL)); err != nil {
		return fmt.Errorf("cannot read %s: %w", image.URL, err)
	}
	if _, err := io.Copy(io.Discard, source); err != nil { // what follows the packed content counts as well
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); image.Checksum != "" && !strings.EqualFold(got, image.Checksum) {
		return fmt.Errorf("its checksum is %s, not %s", got, image.Checksum)
	}
	return nil
}

func unpack(into io.Writer, from io.Reader, name string) error {
	switch filepath.Ext(name) {
	case ".gz":
		packed, err := gzip.NewReader(from)
		if err != nil {
			return err
		}
		from = packed
	case ".bz2":
		from = bzip2.NewReader(from)
	}
	_, err := io.Copy(into, from)
	return err
}

// checksum knows the kind of a checksum by its length.
func checksum(text string) (hash.Hash, error) {
	switch len(text) {
	case 32:
		return md5.New(), nil //nolint:gosec // as above
	case 40:
		return sha1.New(), nil //nolint:gosec // as above
	case 0, 64:
		return sha256.New(), nil
	case 128:
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("a checksum of %d characters is none that is known", len(text))
}

// metered tells how much has been read, three percent at a time.
type metered struct {
	from        io.Reader
	read, total int64
	told        int64
	tell        driver.Progress
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.read += int64(n)
	if m.total > 0 {
		if percent := 100 * m.read / m.total; percent >= m.told+3 {
			m.told = percent
			m.tell("Downloading image", int(percent))
		}
	}
	return n, err
}
