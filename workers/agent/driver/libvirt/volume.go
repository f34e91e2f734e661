package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// ActivateVolume makes the volume's file unless it is there: what will differ from
// the image, or an empty disk of the size that the volume has.
func (d *Driver) ActivateVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	volume := &cmd.Map.Volume
	pool, err := d.pool(cmd.Map.StoragePool)
	if err != nil || imported(volume) {
		return nil, err
	}
	found, err := storedVolume(pool, volume.UUID)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(ctx, pool, volume); err == nil {
			found, err = storedVolume(pool, volume.UUID)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot provide volume %s: %w", volume.UUID, err)
	}
	return volumeReply(found), nil
}

// DeactivateVolume has nothing to do.
func (d *Driver) DeactivateVolume(_ context.Context, cmd driver.VolumeCommand) (any, error) {
	pool, err := d.pool(cmd.Map.StoragePool)
	if err != nil {
		return nil, err
	}
	found, err := storedVolume(pool, cmd.Map.Volume.UUID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return volumeReply(found), nil
}

// imported tells whether a volume stands for a machine that others have begun. Its disks
// are theirs: who else uses them is not known, and we neither make nor delete one. What is
// removed with the volume is what libvirt keeps of the machine.
func imported(volume *wire.Volume) bool {
	return volume.Instance != nil && volume.Instance.Data.Imported && volume.DeviceNumber == 0
}

// RemoveVolume deletes the volume's file, and with the first disk of a machine what
// it wrote to its console. That of a machine which is up is an error.
func (d *Driver) RemoveVolume(ctx context.Context, cmd driver.VolumeCommand) (any, error) {
	volume := &cmd.Map.Volume
	pool, err := d.pool(cmd.Map.StoragePool)
	if err != nil {
		return nil, err
	}
	if machine := volume.Instance; machine != nil && machine.UUID != "" {
		if err := d.checkDown(ctx, machine.UUID, imported(volume)); err != nil {
			return nil, fmt.Errorf("cannot remove volume %s: %w", volume.UUID, err)
		}
		if err := checkName(machine.UUID); err == nil && volume.DeviceNumber == 0 {
			d.dropConsole(machine.UUID)
		}
	}
	found, err := storedVolume(pool, volume.UUID)
	if err == nil {
		err = os.Remove(found.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove volume %s: %w", volume.UUID, err)
	}
	return map[string]any{}, nil
}

// checkDown refuses a machine that is up, and has libvirt forget one that is not, if asked.
func (d *Driver) checkDown(ctx context.Context, name string, forget bool) error {
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	domain, found, err := s.find(name)
	up := false
	if err == nil && found {
		up, err = s.alive(domain)
	}
	if err == nil && up {
		err = fmt.Errorf("machine %s is up", name)
	}
	if err == nil && found && forget {
		err = s.forget(domain)
	}
	return err
}

// forget removes what libvirt keeps of a machine that is down: what is left of a crash, its
// definition, saved memory and the names of its snapshots. All files that the definition
// names stay.
func (s *session) forget(domain golibvirt.Domain) error {
	if err := s.destroy(domain); err != nil {
		return err
	}
	err := s.DomainUndefineFlags(domain, golibvirt.DomainUndefineManagedSave|golibvirt.DomainUndefineSnapshotsMetadata|golibvirt.DomainUndefineKeepNvram)
	if err == nil || golibvirt.IsNotFound(err) {
		return nil
	}
	return s.failed("cannot undefine machine "+domain.Name, err)
}

// storedVolume finds a volume's file. One that nobody may write is an image.
func storedVolume(pool, uuid string) (*disk, error) {
	found, err := stored(pool, uuid)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(found.path); err != nil || info.Mode().Perm()&0o200 == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s is an image", found.path))
	}
	return found, nil
}

// create makes the file of a volume, as a whole or not at all.
func create(ctx context.Context, pool string, volume *wire.Volume) error {
	args, format, err := creation(pool, volume)
	if err != nil {
		return err
	}
	unfinished := filepath.Join(pool, "."+volume.UUID+".new")
	defer os.Remove(unfinished) // nothing is left of it after the rename
	for i := range args {
		if args[i] == "" {
			args[i] = unfinished
		}
	}
	out, err := exec.CommandContext(ctx, "qemu-img", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("qemu-img: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Rename(unfinished, filepath.Join(pool, volume.UUID+"."+format))
}

// creation is what to tell qemu-img: every format by its name. The empty argument
// stands for the file.
func creation(pool string, volume *wire.Volume) (args []string, format string, err error) {
	if volume.Image != nil && volume.Image.UUID != "" {
		image, err := stored(pool, volume.Image.UUID)
		if err != nil {
			return nil, "", err
		}
		return []string{"create", "-q", "-f", qcow2, "-b", filepath.Base(image.path), "-F", image.format, ""}, qcow2, nil
	}
	format = volume.Format
	if format == "" {
		format = qcow2
	}
	if format != raw && format != qcow2 {
		return nil, "", fmt.Errorf("Unsupported volume format %q", format) //nolint:staticcheck // the text users know
	}
	if volume.VirtualSizeMB <= 0 {
		return nil, "", errors.New("it has neither image nor size")
	}
	return []string{"create", "-q", "-f", format, "", strconv.FormatInt(volume.VirtualSizeMB, 10) + "M"}, format, nil
}

func volumeReply(found *disk) map[string]any {
	reply := found.reply()
	reply["volume"] = map[string]any{"format": found.format, "virtualSizeMb": found.virtual >> 20}
	return reply
}
