package libvirt

import (
	"context"
	"crypto/sha1" //nolint:gosec // names a file by its content, protects nothing
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// configDrive gives the file of a disk that tells the machine who it is, "" for an
// instance that has nothing to tell, or on a host that cannot make one.
func (d *Driver) configDrive(ctx context.Context, instance, host row) (string, error) {
	if given, ok := param(instance, host, "config-drive-iso").(string); ok {
		return given, nil
	}
	told := instance.below("data", "metadata")
	meta, ok := told["meta-data"].(map[string]any)
	user, given := told["user-data"]
	if _, err := exec.LookPath(d.config.Maker); err != nil || !ok || !given {
		return "", nil
	}
	files, err := configFiles(meta, user)
	if err != nil {
		return "", err
	}
	return d.makeConfigDrive(ctx, instance.text("uuid"), files)
}

// configFiles are the names and contents on the disk, in the forms of EC2 and of
// OpenStack.
func configFiles(meta map[string]any, user any) (map[string]string, error) {
	ec2, openstack := maps.Clone(meta), map[string]any{
		"uuid": meta["instance-id"], "hostname": meta["hostname"], "availability_zone": "nova",
		"files": []any{}, "meta": map[string]any{},
	}
	host, _ := meta["hostname"].(string)
	openstack["name"], _, _ = strings.Cut(host, ".")
	numbers, keys := map[string]any{}, map[string]any{}
	public, _ := meta["public-keys"].(map[string]any)
	for name, key := range public {
		number, label, _ := strings.Cut(name, "=")
		numbers[number], keys[label] = key, key
	}
	if public != nil {
		ec2["public-keys"] = numbers
	}
	openstack["public_keys"] = keys
	text, _ := user.(string)
	files := map[string]string{}
	for _, form := range []struct {
		root, meta, user string
		versions         []string
		data             map[string]any
	}{
		{"ec2", "meta-data.json", "user-data", []string{"2009-04-04", "latest"}, ec2},
		{"openstack", "meta_data.json", "user_data", []string{"2012-08-10", "latest"}, openstack},
	} {
		content, err := json.Marshal(form.data)
		if err != nil {
			return nil, err
		}
		for _, version := range form.versions {
			files[filepath.Join(form.root, version, form.meta)] = string(content)
			files[filepath.Join(form.root, version, form.user)] = text
		}
	}
	return files, nil
}

func (d *Driver) makeConfigDrive(ctx context.Context, name string, files map[string]string) (string, error) {
	content, err := json.Marshal(files)
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(content) //nolint:gosec // as above
	path := filepath.Join(d.config.ConfigDrives, "config-"+name+"-"+hex.EncodeToString(sum[:])+".iso")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(d.config.ConfigDrives, 0o755); err != nil {
		return "", err
	}
	stage, err := os.MkdirTemp(d.config.ConfigDrives, ".stage-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(stage)
	for file, text := range files {
		file = filepath.Join(stage, "root", file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // the machine's users read it
			return "", err
		}
	}
	made := filepath.Join(stage, "drive.iso")
	out, err := exec.CommandContext(ctx, d.config.Maker, "-quiet", "-output", made, "-ldots", "-allow-lowercase", "-allow-multidot", "-l",
		"-publisher", "Cattle", "-J", "-r", "-V", "config-2", filepath.Join(stage, "root")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", d.config.Maker, err, strings.TrimSpace(string(out)))
	}
	return path, os.Rename(made, path)
}
