package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needMachines says whether there is a libvirtd to test with, and a disk to start from.
// Where the tests were asked to use them, their absence is a failure.
func needMachines(t *testing.T) string {
	t.Helper()
	disk := os.Getenv("CATTLE_TEST_MACHINE")
	_, err := os.Stat(disk)
	if err == nil {
		err = exec.Command("virsh", "-c", "qemu:///system", "version").Run()
	}
	if err == nil {
		return disk
	}
	if os.Getenv("CATTLE_TEST_LIBVIRT") != "" {
		t.Fatalf("CATTLE_TEST_LIBVIRT asks for virtual machines, and there are none: %v", err)
	}
	t.Skip("no libvirtd answers, or there is no disk to start from; './task test' provides both as root on Debian")
	return ""
}

func virsh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("virsh", append([]string{"-q", "-c", "qemu:///system"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("virsh %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// A real Linux boots from its volume, says so on its console, shuts down when asked,
// is put right when somebody turns it off, and leaves nothing behind.
func TestARealVirtualMachine(t *testing.T) {
	t.Parallel()
	disk := needMachines(t)
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(disk))))
	t.Cleanup(files.Close)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
	p := in.start()
	home, screens := t.TempDir(), freePort(t)
	custom := filepath.Join(home, "libvirt", "custom_template.tmpl")
	if err := os.MkdirAll(filepath.Dir(custom), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(custom, []byte(`{{define "network_interfaces"}}{{end}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, []string{"CATTLE_HOME=" + home, "CATTLE_LIBVIRT_TYPE=qemu", "CATTLE_LIBVIRT_WEBSOCKIFY_ENABLED=true",
		"CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_HOST=127.0.0.1", "CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_PORT=" + screens}, "agent", "--url", p.url, "--drivers", "libvirt")
	p.hosts(1, "&kind=libvirt")
	status, image := p.ask("POST", "/v1/images", object{"url": files.URL + "/" + filepath.Base(disk), "instanceKind": "virtualMachine", "name": "small"})
	if status != 201 {
		t.Fatalf("no image: %v", image)
	}
	p.becomes("/v1/images/"+image.id(), "active")
	status, vm := p.ask("POST", "/v1/virtualmachines", object{"imageId": image.id(), "memoryMb": 160, "instanceTriggeredStop": "restart"})
	if status != 201 {
		t.Fatalf("refused: %v", vm)
	}
	path, uuid := "/v1/virtualmachines/"+vm.id(), vm["uuid"].(string)
	t.Cleanup(func() { _ = exec.Command("virsh", "-q", "-c", "qemu:///system", "destroy", uuid).Run() })
	console := func() string {
		text, _ := os.ReadFile(filepath.Join(home, "consoles", uuid+".log"))
		return string(text)
	}
	p.becomes(path, "running")
	until(t, "Linux to be ready", 60*time.Second, func() bool { return strings.Contains(console(), "a machine is ready: Linux") })
	_, vm = p.ask("GET", path, nil)
	if at, _ := vm["libvirtVncAddress"].(string); !strings.HasPrefix(at, "127.0.0.1:59") || len(vm["libvirtVncPassword"].(string)) != 64 {
		t.Errorf("its screen is at %v with the password %v", vm["libvirtVncAddress"], vm["libvirtVncPassword"])
	}
	status, shown := p.ask("POST", path+"/?action=console", object{})
	if url, _ := shown["url"].(string); status != 200 || shown["kind"] != "websocket-vnc" || !strings.HasPrefix(url, "ws://127.0.0.1:"+screens+"/") {
		t.Errorf("%d: its console is %v", status, shown)
	}
	screen := p.look(path, "screen", object{})
	until(t, "its screen", 20*time.Second, func() bool { return strings.HasPrefix(screen.sees(), "RFB 003") })
	screen.types("RFB 003.008\n")
	until(t, "its screen to ask for the password", 20*time.Second, func() bool { return strings.HasSuffix(screen.sees(), "\x01\x02") })
	log := p.look(path, "logs", object{"follow": true, "lines": -1})
	until(t, "what it wrote", 20*time.Second, func() bool { return strings.Contains(log.sees(), "a machine is ready: Linux") })
	if _, image = p.ask("GET", "/v1/images/"+image.id(), nil); image["format"] != "raw" {
		t.Errorf("its image is of format %v", image["format"])
	}

	virsh(t, "destroy", uuid)
	until(t, "it to be started again", 60*time.Second, func() bool { return strings.Count(console(), "a machine is ready: Linux") == 2 })
	p.becomes(path, "running")
	until(t, "its log to go on", 20*time.Second, func() bool { return strings.Count(log.sees(), "a machine is ready: Linux") == 2 })

	p.ask("POST", path+"/?action=stop", object{})
	p.becomes(path, "stopped")
	if !strings.Contains(console(), "a machine goes off") || strings.Contains(virsh(t, "list", "--all", "--name"), uuid) {
		t.Errorf("it was not asked, or is still there; it said %s", console())
	}
	p.ask("DELETE", path, nil)
	p.becomes(path, "removed")
	p.ask("POST", path+"/?action=purge", object{})
	p.becomes(path, "purged")
	volume := p.list(path + "/volumes")[0]
	p.ask("POST", "/v1/volumes/"+volume.id()+"/?action=purge", object{})
	p.becomes("/v1/volumes/"+volume.id(), "purged")
	if left, _ := filepath.Glob(filepath.Join(home, "pools", "libvirt", "*.qcow2")); len(left) != 0 || console() != "" {
		t.Errorf("left behind: %v, and of its console %q", left, console())
	}
}

// Somebody begins machines with libvirt's own means, on a host that runs none of ours. An
// operator is told of them; a setting has them imported, and then they obey. One that is
// defined starts again, and is not defined any more when it is purged; its disk stays.
func TestMachinesThatOthersHaveBegun(t *testing.T) {
	t.Parallel()
	disk := needMachines(t)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
	p := in.start()
	start(t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_LIBVIRT_TYPE=qemu", "CATTLE_STOP_TIMEOUT=10"}, "agent", "--url", p.url, "--drivers", "libvirt")
	p.hosts(1, "&kind=libvirt")
	host := "/v1/hosts/" + p.list("/v1/hosts?kind=libvirt")[0].id()
	names, ids := map[string]string{}, map[string]string{}
	own := filepath.Join(t.TempDir(), "disk.raw")
	content, err := os.ReadFile(disk)
	if err == nil {
		err = os.WriteFile(own, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"create", "define"} {
		name, description := "by-hand-"+freePort(t), filepath.Join(t.TempDir(), "machine.xml")
		devices := ""
		if verb == "define" {
			devices = `<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="` + own + `"/><target dev="vda" bus="virtio"/></disk>`
		}
		if err := os.WriteFile(description, []byte(`<domain type="qemu"><name>`+name+`</name><memory unit="MiB">160</memory><vcpu>1</vcpu>
			<os><type>hvm</type></os><features><acpi/></features><devices>`+devices+`</devices></domain>`), 0o600); err != nil {
			t.Fatal(err)
		}
		virsh(t, verb, description)
		t.Cleanup(func() {
			_ = exec.Command("virsh", "-q", "-c", "qemu:///system", "destroy", name).Run()
			_ = exec.Command("virsh", "-q", "-c", "qemu:///system", "undefine", name).Run()
		})
		if verb == "define" {
			virsh(t, "start", name)
		}
		names[verb], ids[verb] = name, virsh(t, "domuuid", name)
		if one := p.audit(host, "unknown", ids[verb]); one["name"] != name || one["instanceId"] != nil {
			t.Errorf("of what others have begun it says %v", one)
		}
		if n := len(p.list("/v1/virtualmachines?uuid=" + ids[verb])); n != 0 {
			t.Fatalf("it was imported %d times", n)
		}
	}
	p.ask("POST", "/v1/settings", object{"name": "agent.import.instances", "value": "true"})
	p.ask("POST", "/v1/settings", object{"name": "task.agent.ping.schedule", "value": "1"})
	for verb, id := range ids {
		until(t, "it to be imported", 30*time.Second, func() bool { return len(p.list("/v1/virtualmachines?uuid="+id)) == 1 })
		path := "/v1/virtualmachines/" + p.list("/v1/virtualmachines?uuid=" + id)[0].id()
		number := virsh(t, "domid", names[verb])
		vm := p.becomes(path, "running")
		if vm["name"] != names[verb] || vm["memoryMb"] != 160.0 || vm["vcpu"] != 1.0 || number == "-" || virsh(t, "domid", names[verb]) != number {
			t.Errorf("it is imported as %v", vm)
		}
		if p.audit(host, "unknown", id) != nil {
			t.Error("then it is not known")
		}
		p.ask("POST", path+"/?action=stop", object{})
		p.becomes(path, "stopped")
		if strings.Contains(virsh(t, "list", "--name"), names[verb]) {
			t.Error("it runs although it was stopped")
		}
		p.ask("POST", path+"/?action=start", object{})
		if verb == "define" {
			p.becomes(path, "running")
			if !strings.Contains(virsh(t, "list", "--name"), names[verb]) {
				t.Error("it does not run although it was started")
			}
		} else {
			until(t, "its start to be refused", 60*time.Second, func() bool {
				_, vm := p.ask("GET", path, nil)
				why, _ := vm["transitioningMessage"].(string)
				return vm["state"] == "stopped" && strings.Contains(why, "not defined any more")
			})
		}
		volumes := p.list(path + "/volumes")
		p.ask("DELETE", path, nil)
		p.becomes(path, "removed")
		p.ask("POST", path+"/?action=purge", object{})
		p.becomes(path, "purged")
		p.ask("POST", "/v1/volumes/"+volumes[0].id()+"/?action=purge", object{})
		p.becomes("/v1/volumes/"+volumes[0].id(), "purged")
		if len(volumes) != 1 || strings.Contains(virsh(t, "list", "--all", "--name"), names[verb]) {
			t.Errorf("libvirt still knows it, or it has volumes %v", volumes)
		}
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
}

// An agent that is not told what to drive drives what is there.
func TestAHostJoinsWithWhatIsThere(t *testing.T) {
	t.Parallel()
	needEngine(t)
	needMachines(t)
	for variable, hosts := range map[string]string{"CATTLE_DRIVERS=": "docker libvirt", "CATTLE_LIBVIRT_ENABLED=false": "docker", "CATTLE_DRIVERS=libvirt": "libvirt"} {
		in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t)}}
		p := in.start()
		start(t, []string{"CATTLE_HOME=" + t.TempDir(), variable}, "agent", "--url", p.url)
		p.hosts(len(strings.Fields(hosts)), "")
		for _, kind := range strings.Fields(hosts) {
			if n := len(p.list("/v1/hosts?kind=" + kind)); n != 1 {
				t.Errorf("with %s there are %d hosts of kind %s", variable, n, kind)
			}
		}
	}
}

// With the first pool of a libvirt host come images that machines can be made of.
func TestImagesComeWithTheFirstPoolForMachines(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		p := in.start()
		for range 2 {
			if status, o := p.ask("POST", "/v1/storagepools", object{"kind": "libvirt"}); status != 201 {
				t.Fatalf("no pool: %v", o)
			}
		}
		until(t, "the images", 30*time.Second, func() bool {
			return len(p.list("/v1/storagepools?kind=libvirt&state=active")) == 2 && len(p.list("/v1/images?state=active&instanceKind=virtualMachine")) == 2
		})
		found := p.list("/v1/images?uuid=cirros")
		if len(found) != 1 {
			t.Fatalf("they are there more than once: %v", found)
		}
		_, owner := p.ask("GET", "/v1/accounts/"+found[0]["accountId"].(string), nil)
		if image := found[0]; owner["uuid"] != "system" || image["isPublic"] != true || image["name"] != "Cirros" ||
			image["checksum"] != "64d7c1cd2b6f60c92c14662941cb7913" || image["url"] != "http://download.cirros-cloud.net/0.3.2/cirros-0.3.2-x86_64-disk.img" {
			t.Errorf("of %v there is %v", owner["uuid"], image)
		}
	})
}
