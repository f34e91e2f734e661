package libvirt_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lxzan/gws"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
	"github.com/cattleio/cattle/workers/agent/driver/drivertest"
	"github.com/cattleio/cattle/workers/agent/driver/libvirt"
)

// TestMain lets more machines run beside each other than there are processors: most of
// their time they wait to be gone.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8")
	os.Exit(m.Run())
}

const greeting = drivertest.Greeting

// needLibvirt says whether there is a libvirtd to test with. Where the tests were asked
// to use one, its absence is a failure.
func needLibvirt(t *testing.T) {
	t.Helper()
	err := libvirt.Answers(t.Context())
	if err == nil {
		return
	}
	if os.Getenv("CATTLE_TEST_LIBVIRT") != "" {
		t.Fatalf("CATTLE_TEST_LIBVIRT asks for a libvirtd, and none answers: %v", err)
	}
	t.Skip("no libvirtd answers; './task test' starts one as root on Debian")
}

// host is a driver with a home and an image of its own.
type host struct {
	*libvirt.Driver
	home  string
	image map[string]any
	pool  map[string]any
}

func open(t *testing.T, change func(*libvirt.Config)) *host {
	t.Helper()
	needLibvirt(t)
	h := &host{home: t.TempDir(), image: map[string]any{"url": serve(t, "/boot.raw", drivertest.Bootable())}}
	config := libvirt.Config{AgentUUID: uuid.NewString(), HostUUID: uuid.NewString(), PhysicalHostUUID: "machine", Hostname: "node",
		Home: h.home, Type: "qemu"}
	if change != nil {
		change(&config)
	}
	var err error
	if h.Driver, err = libvirt.New(config); err != nil {
		t.Fatal(err)
	}
	all, err := h.Report(t.Context(), wire.PingOptions{Resources: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Type == "storagePool" {
			h.pool = map[string]any{"uuid": r.UUID}
		}
	}
	return h
}

// subject asks for no network: only root can make one, and the machine has no use for it.
func (h *host) subject() drivertest.Subject {
	return drivertest.Subject{Driver: h, ImageUUID: "boot", Image: h.image, Pool: h.pool,
		Break: func(instance map[string]any) {
			instance["data"] = map[string]any{"libvirt": map[string]any{"template": "nowhere.tmpl"}}
		}}
}

// alone is the override by which a machine has no network.
const alone = `{{define "network_interfaces"}}{{end}}`

func (h *host) template(t *testing.T, text string) {
	t.Helper()
	dir := filepath.Join(h.home, "libvirt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "custom_template.tmpl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, path string, content []byte) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + path
}

func TestStories(t *testing.T) {
	t.Parallel()
	needLibvirt(t)
	drivertest.Run(t, func(t *testing.T) drivertest.Subject {
		h := open(t, nil)
		h.template(t, alone)
		return h.subject()
	})
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, look := time.After(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("still waiting for %s", what)
		case <-look.C:
		}
	}
}

func (h *host) console(name string) string {
	text, _ := os.ReadFile(filepath.Join(h.home, "consoles", name+".log"))
	return string(text)
}

// seen is the reply to a start, as the server reads it.
func seen(t *testing.T, reply any) (xml, address, password string) {
	t.Helper()
	var read struct {
		Instance struct {
			Data struct {
				Libvirt struct{ XML string } `json:"+libvirt"`
				Fields  struct {
					Address  string `json:"libvirtVncAddress"`
					Password string `json:"libvirtVncPassword"`
				} `json:"+fields"`
			} `json:"+data"`
		}
	}
	text, err := json.Marshal(reply)
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read.Instance.Data.Libvirt.XML, read.Instance.Data.Fields.Address, read.Instance.Data.Fields.Password
}

func TestAMachineBootsFromItsVolumeAndShutsDownWhenAsked(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.template(t, alone)
	stage := drivertest.NewStage(t, h.subject())
	if stage.Do("start") != "running" {
		t.Fatal(stage.Err)
	}
	until(t, "the greeting", func() bool { return strings.Contains(h.console(stage.UUID), greeting) })
	xml, address, password := seen(t, stage.Reply)
	if !strings.HasPrefix(address, "127.0.0.1:59") || len(password) != 64 {
		t.Errorf("its screen is at %q with the password %q", address, password)
	}
	if strings.Contains(xml, password[:8]) || strings.Count(xml, "<disk ") != 1 || !strings.Contains(xml, "<vcpu placement='static'>1</vcpu>") || !strings.Contains(xml, ">65536</memory>") {
		t.Errorf("the server is told %s", xml)
	}
	begin := time.Now()
	if stage.Do("stop") != "gone" {
		t.Fatal(stage.Err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v, as if nobody had heard", took)
	}
	if stage.Do("start") != "running" {
		t.Fatal(stage.Err)
	}
	until(t, "the second greeting", func() bool { return strings.Count(h.console(stage.UUID), greeting) == 2 })
}

func TestAMachineThatHearsNothingIsTurnedOff(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *libvirt.Config) { c.StopTimeout = 100 * time.Millisecond })
	h.template(t, alone+`{{define "feature"}}{{end}}`) // without a power button
	stage := drivertest.NewStage(t, h.subject())
	for _, step := range []struct{ verb, want string }{{"start", "running"}, {"stop", "gone"}, {"remove", "gone"}} {
		if got := stage.Do(step.verb); got != step.want {
			t.Fatalf("after %s it is %s: %v", step.verb, got, stage.Err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(h.home, "pools", "libvirt", "volume-*"))
	if len(left) > 0 || h.console(stage.UUID) != "" {
		t.Errorf("%v is left, and of its console %q", left, h.console(stage.UUID))
	}
}

func TestAMachineThatDiesBehindOurBackIsNotReportedAndStartsAgain(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.template(t, alone)
	stage := drivertest.NewStage(t, h.subject())
	if stage.Do("start") != "running" {
		t.Fatal(stage.Err)
	}
	virsh(t, "destroy", stage.UUID)
	if stage.Runs() {
		t.Error("it is reported as if it ran")
	}
	if stage.Do("start") != "running" {
		t.Error(stage.Err)
	}
}

func virsh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "virsh", append([]string{"-q", "-c", "qemu:///system"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("virsh %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// byHand begins a machine as others do, to stay or to be gone when it stops. It has a disk.
func byHand(t *testing.T, stays bool) (name, id, disk string) {
	t.Helper()
	name, id, disk = "by-hand-"+uuid.NewString()[:8], uuid.NewString(), filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(disk, drivertest.Bootable(), 0o600); err != nil {
		t.Fatal(err)
	}
	description := filepath.Join(t.TempDir(), "machine.xml")
	text := fmt.Sprintf(`<domain type="qemu"><name>%s</name><uuid>%s</uuid><memory unit="MiB">48</memory><vcpu>2</vcpu>
		<os><type>hvm</type></os><features><acpi/></features>
		<devices><disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="%s"/><target dev="vda" bus="virtio"/></disk></devices></domain>`, name, id, disk)
	if err := os.WriteFile(description, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, verb := range []string{"destroy", "undefine"} {
			_ = exec.Command("virsh", "-q", "-c", "qemu:///system", verb, id).Run() //nolint:noctx // it is short
		}
	})
	if !stays {
		virsh(t, "create", description)
		return name, id, disk
	}
	virsh(t, "define", description)
	virsh(t, "start", name)
	return name, id, disk
}

func (h *host) told(t *testing.T, id string) *wire.Resource {
	t.Helper()
	all, err := h.Report(t.Context(), wire.PingOptions{Instances: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.UUID == id {
			return &r
		}
	}
	return nil
}

// A machine that others have begun is told, and can be stopped. One that is defined starts
// again as it is defined, and is forgotten when it is removed; of one that is not, nothing
// is left to start. Its disk is left to those who know what it is for.
func TestAMachineThatOthersHaveBegun(t *testing.T) {
	t.Parallel()
	for _, stays := range []bool{true, false} {
		t.Run(map[bool]string{true: "defined", false: "until it stops"}[stays], func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			name, id, disk := byHand(t, stays)
			one := h.told(t, id)
			if one == nil || one.Kind != wire.Foreign || one.Name != name || one.Data["instanceKind"] != "virtualMachine" || fmt.Sprint(one.Data["memoryMb"], one.Data["vcpu"]) != "48 2" {
				t.Fatalf("it is told as %+v", one)
			}
			number := virsh(t, "domid", name)
			instance := wire.Instance{UUID: id, Data: wire.InstanceData{Imported: true}}
			machine := driver.InstanceCommand{Map: wire.InstanceHostMap{Instance: instance}, Progress: func(string, int) {}}
			root := driver.VolumeCommand{Map: wire.VolumeStoragePoolMap{Volume: wire.Volume{UUID: uuid.NewString(), Instance: &instance}, StoragePool: wire.Place{UUID: h.pool["uuid"].(string)}}}
			if _, err := h.ActivateVolume(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			reply, err := h.Start(t.Context(), machine)
			if err != nil {
				t.Fatal(err)
			}
			if xml, _, _ := seen(t, reply); !strings.Contains(xml, name) || virsh(t, "domid", name) != number {
				t.Errorf("it did not run on: %s", xml)
			}
			if _, err := h.RemoveVolume(t.Context(), root); err == nil || !strings.Contains(err.Error(), "is up") {
				t.Errorf("removed while it is up: %v", err)
			}
			for range 2 {
				if _, err := h.Stop(t.Context(), machine); err != nil {
					t.Fatal(err)
				}
			}
			if h.told(t, id) != nil {
				t.Error("it runs although it was stopped")
			}
			_, err = h.Start(t.Context(), machine)
			if stays && (err != nil || h.told(t, id) == nil) {
				t.Errorf("it does not start again: %v", err)
			}
			if !stays && (err == nil || !strings.Contains(err.Error(), "not defined any more") || h.told(t, id) != nil) {
				t.Errorf("nothing is left of it, and it starts: %v", err)
			}
			if _, err := h.Stop(t.Context(), machine); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := h.RemoveVolume(t.Context(), root); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(virsh(t, "list", "--all", "--name"), name) {
				t.Error("libvirt still knows it")
			}
			if _, err := os.Stat(disk); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnotherAgentOnTheHostDoesNotReportOurMachines(t *testing.T) {
	t.Parallel()
	h, other := open(t, nil), open(t, nil)
	h.template(t, alone)
	stage := drivertest.NewStage(t, h.subject())
	if stage.Do("start") != "running" {
		t.Fatal(stage.Err)
	}
	all, err := other.Report(t.Context(), wire.PingOptions{Instances: true})
	for _, r := range all {
		if r.UUID == stage.UUID {
			t.Error("it does")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// An image may come packed, in either format, and is taken only as what it is said to be.
func TestWhatAnImageMayBe(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	boot := drivertest.Bootable()
	dir := t.TempDir()
	img := func(args ...string) []byte {
		t.Helper()
		path := filepath.Join(dir, uuid.NewString())
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "FILE", path)
		}
		if out, err := exec.CommandContext(t.Context(), "qemu-img", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	source := filepath.Join(dir, "boot.raw")
	if err := os.WriteFile(source, boot, 0o644); err != nil {
		t.Fatal(err)
	}
	cow := img("convert", "-f", "raw", "-O", "qcow2", source, "FILE")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(cow)
	_ = z.Close()
	sum := sha256.Sum256(packed.Bytes())
	for name, c := range map[string]struct {
		path, format, checksum string
		content                []byte
		want                   string
	}{
		"qcow2":                         {path: "/a.img", content: cow, want: "qcow2"},
		"packed":                        {path: "/a.qcow2.gz", content: packed.Bytes(), checksum: hex.EncodeToString(sum[:]), want: "qcow2"},
		"raw by its name":               {path: "/a.raw", content: boot, want: "raw"},
		"raw because it says so":        {path: "/a", format: "raw", content: boot, want: "raw"},
		"qcow2 as raw is raw":           {path: "/a.raw", content: cow, want: "raw"},
		"raw as qcow2":                  {path: "/a.img", content: boot, want: "Unsupported volume format"},
		"another format":                {path: "/a", format: "vmdk", content: boot, want: "Unsupported volume format"},
		"another checksum":              {path: "/a.img", content: cow, checksum: strings.Repeat("0", 64), want: "its checksum is"},
		"a checksum of no kind":         {path: "/a.img", content: cow, checksum: "12", want: "checksum of 2 characters"},
		"it stands on a file of ours":   {path: "/a.img", content: img("create", "-f", "qcow2", "-b", source, "-F", "raw", "FILE"), want: "refers to another file"},
		"its data is in a file of ours": {path: "/a.img", content: img("create", "-f", "qcow2", "-o", "data_file=FILE.data,data_file_raw=on", "FILE", "1M"), want: "refers to another file"},
		"a name that leads somewhere":   {path: "/a.img", content: cow, want: "cannot name a disk"},
		"nothing there":                 {path: "/gone", want: "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := wire.Image{UUID: uuid.NewString(), Format: c.format, Checksum: c.checksum}
			image.URL = serve(t, c.path, c.content)
			if c.content == nil {
				image.URL = serve(t, "/other", nil) + "-not"
			}
			if strings.HasPrefix(name, "a name") {
				image.UUID = "../outside"
			}
			var mu sync.Mutex
			told := 0
			reply, err := h.ActivateImage(t.Context(), driver.ImageCommand{Map: wire.ImageStoragePoolMap{Image: image,
				StoragePool: wire.Place{UUID: h.pool["uuid"].(string)}}, Progress: func(string, int) { mu.Lock(); told++; mu.Unlock() }})
			got := fmt.Sprint(err)
			if err == nil {
				got, _ = reply.(map[string]any)["format"].(string)
				if told == 0 {
					t.Error("nobody was told how far it was")
				}
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: got %s, want %s", name, got, c.want)
			}
		})
	}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(h.home, "pools", "libvirt", "work", "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// A second disk has a size of its own, and what is on it is never taken for a format.
func TestAnEmptyVolumeOfASize(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	for _, format := range []string{"", "raw", "qcow2"} {
		volume := wire.Volume{UUID: uuid.NewString(), DeviceNumber: 1, Format: format, VirtualSizeMB: 3}
		cmd := driver.VolumeCommand{Map: wire.VolumeStoragePoolMap{Volume: volume, StoragePool: wire.Place{UUID: h.pool["uuid"].(string)}}}
		for range 2 {
			reply, err := h.ActivateVolume(t.Context(), cmd)
			if err != nil {
				t.Fatal(err)
			}
			m := reply.(map[string]any)
			if m["virtualSizeMb"] != int64(3) || m["format"] != "raw" && m["format"] != "qcow2" || format != "" && m["format"] != format {
				t.Errorf("%q gave %v", format, m)
			}
		}
	}
	none := driver.VolumeCommand{Map: wire.VolumeStoragePoolMap{Volume: wire.Volume{UUID: "v"}, StoragePool: wire.Place{UUID: h.pool["uuid"].(string)}}}
	if _, err := h.ActivateVolume(t.Context(), none); err == nil || !strings.Contains(err.Error(), "neither image nor size") {
		t.Errorf("a volume of nothing: %v", err)
	}
}

// The classic example of a template: a directory of the host is seen by its machines.
func TestATemplateOfTheUsersGivesEachMachineADirectoryOfTheHost(t *testing.T) {
	t.Parallel()
	for language, form := range map[string]string{
		"ours":  `{{define "devices_other"}}%s{{end}}`,
		"older": "## hostfs\n<%%inherit file=\"/default_template.tmpl\"/>\n<%%block name=\"devices_other\">%s</%%block>\n",
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			shared := t.TempDir()
			text := fmt.Sprintf(form, `<filesystem type="mount" accessmode="passthrough"><source dir="`+shared+`"/><target dir="shared-fs"/><readonly/></filesystem>`)
			if language == "ours" {
				text += alone
			} else {
				text += `<%block name="network_interfaces"></%block>`
			}
			h.template(t, text)
			stage := drivertest.NewStage(t, h.subject())
			if stage.Do("start") != "running" {
				t.Fatal(stage.Err)
			}
			xml, _, _ := seen(t, stage.Reply)
			if !strings.Contains(xml, "<target dir='shared-fs'/>") || !strings.Contains(xml, shared) {
				t.Errorf("libvirt knows of no directory: %s", xml)
			}
			until(t, "the machine to boot with it", func() bool { return strings.Contains(h.console(stage.UUID), greeting) })
		})
	}
}

// What an instance has to be told lies on a disk of its own while it runs.
func TestAMachineIsToldWhoItIs(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.template(t, alone)
	subject := h.subject()
	subject.Break = func(instance map[string]any) {
		instance["data"] = map[string]any{"metadata": map[string]any{"user-data": "#!/bin/sh", "meta-data": map[string]any{
			"hostname": "small.example", "instance-id": "i-1", "public-keys": map[string]any{"0=mine": "ssh-rsa AAAA"}}}}
	}
	stage := drivertest.NewStage(t, subject)
	if stage.Do("start:broken") != "running" {
		t.Fatal(stage.Err)
	}
	drives, _ := filepath.Glob(filepath.Join(h.home, "pools", "config-drive", "config-"+stage.UUID+"-*.iso"))
	xml, _, _ := seen(t, stage.Reply)
	if len(drives) != 1 || !strings.Contains(xml, drives[0]) || !strings.Contains(xml, "device='cdrom'") {
		t.Fatalf("of %v libvirt knows %s", drives, xml)
	}
	for file, want := range map[string]string{
		"/openstack/latest/meta_data.json":     `"name":"small"`,
		"/openstack/2012-08-10/meta_data.json": `"public_keys":{"mine":"ssh-rsa AAAA"}`,
		"/ec2/latest/meta-data.json":           `"public-keys":{"0":"ssh-rsa AAAA"}`,
		"/ec2/2009-04-04/user-data":            "#!/bin/sh",
	} {
		out, err := exec.CommandContext(t.Context(), "isoinfo", "-R", "-x", file, "-i", drives[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s holds %s, %v", file, out, err)
		}
	}
	if stage.Do("stop") != "gone" {
		t.Fatal(stage.Err)
	}
	if _, err := os.Stat(drives[0]); err == nil {
		t.Error("the disk outlives the machine")
	}
}

// What an agent that was killed left half done may be for something that is never asked
// for again.
func TestWhatWasLeftHalfDoneIsRemoved(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	pool := filepath.Join(home, "pools", "libvirt")
	half := []string{filepath.Join(pool, ".a-volume.new"), filepath.Join(pool, "work", "cattle-temp-an-image-1"), filepath.Join(home, "pools", "config-drive", ".stage-1", "ec2")}
	whole := []string{filepath.Join(pool, "a-volume.qcow2"), filepath.Join(pool, ".of-the-user"), filepath.Join(home, "pools", "config-drive", "config-a.iso")}
	for _, path := range slices.Concat(half, whole) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := libvirt.New(libvirt.Config{Home: home, Socket: filepath.Join(home, "none")}); err != nil {
		t.Fatal(err)
	}
	for _, path := range half {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for _, path := range whole {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("it is gone: %v", err)
		}
	}
}

func TestALibvirtdThatIsAwayIsAbsentAndOneThatHangsEndsWithItsCommand(t *testing.T) {
	t.Parallel()
	gone, err := libvirt.New(libvirt.Config{Home: t.TempDir(), Socket: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Report(t.Context(), wire.PingOptions{Instances: true}); err == nil || !strings.Contains(err.Error(), driver.ErrAbsent.Error()) {
		t.Errorf("without a libvirtd: %v", err)
	}
	socket := filepath.Join(t.TempDir(), "deaf")
	hear(t, socket)
	deaf, err := libvirt.New(libvirt.Config{Home: t.TempDir(), Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := deaf.Report(ctx, wire.PingOptions{Instances: true}); err == nil {
		t.Error("one that says nothing has reported")
	}
}

// viewer is a browser that looks at a screen.
type viewer struct {
	gws.BuiltinEventHandler
	shown chan string
}

func (v *viewer) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	select {
	case v.shown <- m.Data.String():
	default:
	}
}

// The screen of a machine is shown to whoever has a token for it, and to nobody else.
func TestAScreenIsShownToWhoHasAToken(t *testing.T) {
	t.Parallel()
	h := open(t, func(c *libvirt.Config) { c.Screens = "127.0.0.1:0" })
	h.template(t, alone)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})
	stage := drivertest.NewStage(t, h.subject())
	if nothing, err := h.Console(t.Context(), stage.UUID); nothing != nil || err != nil {
		t.Errorf("a machine that is not there has the console %v, %v", nothing, err)
	}
	if stage.Do("start") != "running" {
		t.Fatal(stage.Err)
	}
	answer, err := h.Console(t.Context(), stage.UUID)
	if err != nil {
		t.Fatal(err)
	}
	console := answer.(map[string]any)
	url := console["url"].(string)
	if console["kind"] != "websocket-vnc" || len(console["password"].(string)) != 64 || !strings.HasSuffix(url, "/"+console["path"].(string)) {
		t.Errorf("users are told %v", console)
	}
	v := &viewer{shown: make(chan string, 1)}
	conn, _, err := gws.NewClient(v, &gws.ClientOption{Addr: url, RequestHeader: http.Header{"Sec-Websocket-Protocol": {"binary"}}})
	if err != nil {
		t.Fatal(err)
	}
	go conn.ReadLoop()
	defer conn.NetConn().Close()
	select {
	case first := <-v.shown:
		if !strings.HasPrefix(first, "RFB 003") {
			t.Errorf("the screen says %q", first)
		}
	case <-time.After(10 * time.Second):
		t.Error("the screen says nothing")
	}
	_ = conn.WriteMessage(gws.OpcodeBinary, []byte("RFB 003.008\n"))
	select {
	case types := <-v.shown:
		if types != "\x01\x02" { // one way in, by password
			t.Errorf("the screen lets in by %q", types)
		}
	case <-time.After(10 * time.Second):
		t.Error("the screen does not answer")
	}
	_, response, err := gws.NewClient(v, &gws.ClientOption{Addr: url + "0"})
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("with another token: %v, %v", response, err)
	}
}

// hear takes connections and says nothing.
func hear(t *testing.T, socket string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
}
