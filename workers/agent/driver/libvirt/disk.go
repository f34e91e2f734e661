package libvirt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disk is a file that holds the content of a disk.
type disk struct {
	path, format    string
	virtual, actual int64 // bytes
	cluster         int64 // 0 for raw
	dirty           bool
	backed          bool // it stands on another file
}

// stored finds the disk of a uuid in a pool. Its format is its name's.
func stored(pool, uuid string) (*disk, error) {
	if err := checkName(uuid); err != nil {
		return nil, err
	}
	for _, format := range []string{qcow2, raw} {
		found, err := read(filepath.Join(pool, uuid+"."+format), format)
		if !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return nil, fmt.Errorf("there is no disk %s in %s: %w", uuid, pool, fs.ErrNotExist)
}

// checkName refuses a uuid that would lead out of the pool as the name of a file.
func checkName(uuid string) error {
	if uuid == "" || strings.HasPrefix(uuid, ".") || strings.ContainsAny(uuid, "/\\*?[,") {
		return fmt.Errorf("%q cannot name a disk", uuid)
	}
	return nil
}

// inspect reads an image that comes from elsewhere. What stands on other files, which
// would be this host's, is refused.
func inspect(path, format string) (*disk, error) {
	d, err := read(path, format)
	if err == nil && d.backed {
		err = errors.New("Unsupported volume format: the image refers to another file") //nolint:staticcheck // the text users know
	}
	return d, err
}

func read(path, format string) (*disk, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	d := &disk{path: path, format: format, virtual: info.Size(), actual: info.Size()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		d.actual = s.Blocks * 512
	}
	if format == qcow2 {
		return d, d.readHeader(f)
	}
	return d, nil
}

// What a qcow2 file may say about itself.
const (
	qcow2Magic   = 0x514649fb // QFI\xfb
	qcow2Dirty   = 1 << 0
	qcow2Outside = 1 << 2 // the data is in another file
	qcow2Known   = 0x1f
)

// readHeader reads the beginning of a qcow2 file without anybody's help: programs
// that are asked what a file is have been led astray by the answer.
func (d *disk) readHeader(f io.Reader) error {
	var header struct {
		Magic, Version uint32
		BackingOffset  uint64
		BackingSize    uint32
		ClusterBits    uint32
		Size           uint64
		Crypt          uint32
		L1Size         uint32
		Offsets        [2]uint64
		RefcountSize   uint32
		Snapshots      uint32
		SnapshotOffset uint64
		Incompatible   uint64 // from here on since version 3
	}
	unsupported := errors.New("Unsupported volume format") //nolint:staticcheck // the text users know
	if err := binary.Read(f, binary.BigEndian, &header); err != nil || header.Magic != qcow2Magic {
		return fmt.Errorf("%w: this is no qcow2", unsupported)
	}
	if header.Version == 2 {
		header.Incompatible = 0
	}
	if header.Version < 2 || header.Version > 3 || header.ClusterBits < 9 || header.ClusterBits > 21 ||
		header.Size > 1<<62 || header.Incompatible&^qcow2Known != 0 {
		return fmt.Errorf("%w: qcow2 of a kind that is not known", unsupported)
	}
	d.virtual, d.cluster = int64(header.Size), 1<<header.ClusterBits
	d.dirty = header.Incompatible&qcow2Dirty != 0
	d.backed = header.BackingOffset != 0 || header.Incompatible&qcow2Outside != 0
	return nil
}

// reply tells server and users about the disk.
func (d *disk) reply() map[string]any {
	about := map[string]any{"filename": d.path, "format": d.format, "virtual-size": d.virtual, "actual-size": d.actual}
	if d.format == qcow2 {
		about["cluster-size"], about["dirty-flag"] = d.cluster, d.dirty
	}
	return map[string]any{"format": d.format, "virtualSizeMb": d.virtual >> 20, "physicalSizeMb": d.actual >> 20,
		"+data": map[string]any{"libvirt": about}}
}
