package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cattleio/cattle/shared/testkit"
	"github.com/cattleio/cattle/workers/agent/driver/drivertest"
)

// libvirtWay is a way to the libvirtd of this machine on which what an agent does to a
// virtual machine is counted: what it asks libvirt for, the image that it fetches, and the
// file that it has made.
type libvirtWay struct {
	steps
	t      *testing.T
	socket string
	dir    string // of the qemu-img that tells
	images string // where an image is fetched
	home   string // of the agent

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newLibvirtWay(t *testing.T) *libvirtWay {
	t.Helper()
	w := &libvirtWay{t: t, dir: t.TempDir(), conns: map[net.Conn]bool{}}
	var ln net.Listener
	ln, w.socket = listenUnix(t)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			agent, err := ln.Accept()
			if err != nil {
				return
			}
			go w.serve(agent)
		}
	}()
	files := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		n := w.take("fetch " + r.URL.Path)
		w.pulls(point{n, false})
		if r.Context().Err() != nil {
			return
		}
		_, _ = out.Write(drivertest.Bootable()) // its reader may be gone
		_ = http.NewResponseController(out).Flush()
		w.pulls(point{n, true})
	}))
	t.Cleanup(files.CloseClientConnections)
	w.images = files.URL
	asked, told := listenUnix(t)
	tell := &http.Server{Handler: http.HandlerFunc(w.made)}
	go func() { _ = tell.Serve(asked) }()
	t.Cleanup(func() { _ = tell.Close() })
	program, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncurl -s --unix-socket %[1]s http://test/before\n%[2]s \"$@\"\ncode=$?\ncurl -s --unix-socket %[1]s http://test/after\nexit $code\n", told, program)
	if err := os.WriteFile(filepath.Join(w.dir, "qemu-img"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// once counts a step unless it only repeats the last: a machine is asked to shut down until
// it hears, and a file is told of before it is made and after.
func (w *libvirtWay) once(what string) int {
	w.steps.mu.Lock()
	n := len(w.taken)
	again := n > 0 && w.taken[n-1] == what
	w.steps.mu.Unlock()
	if again {
		return n
	}
	return w.take(what)
}

func (w *libvirtWay) made(_ http.ResponseWriter, r *http.Request) {
	w.pulls(point{w.once("qemu-img"), r.URL.Path == "/after"})
}

// refuse cuts all connections and lets no new ones in, or lets them in again.
func (w *libvirtWay) refuse(yes bool) {
	w.steps.refuse(yes)
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if yes {
			_ = c.Close()
		}
	}
}

// The calls to libvirt that count, by the numbers of its protocol.
var calls = map[uint32]string{10: "create", 12: "destroy", 23: "find", 258: "shut down"}

// packet is a message of libvirt's protocol.
type packet struct {
	bytes                   []byte
	procedure, kind, serial uint32
}

func readPacket(from io.Reader) (packet, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return packet{}, err
	}
	p := packet{bytes: make([]byte, binary.BigEndian.Uint32(length[:]))}
	copy(p.bytes, length[:])
	if _, err := io.ReadFull(from, p.bytes[4:]); err != nil {
		return packet{}, err
	}
	p.procedure, p.kind, p.serial = binary.BigEndian.Uint32(p.bytes[12:]), binary.BigEndian.Uint32(p.bytes[16:]), binary.BigEndian.Uint32(p.bytes[20:])
	return p, nil
}

// serve carries one conversation.
func (w *libvirtWay) serve(agent net.Conn) {
	libvirt, err := net.Dial("unix", "/var/run/libvirt/libvirt-sock")
	if err != nil {
		_ = agent.Close()
		return
	}
	w.mu.Lock()
	w.conns[agent] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.conns, agent)
		w.mu.Unlock()
		_ = agent.Close()
		_ = libvirt.Close()
	}()
	if w.refuses() {
		return
	}
	var asked sync.Map // steps by serial
	go func() {
		defer agent.Close()
		for {
			p, err := readPacket(libvirt)
			if err != nil {
				return
			}
			if n, counts := asked.Load(p.serial); counts && p.kind == 1 {
				w.pulls(point{n.(int), true})
			}
			if _, err := agent.Write(p.bytes); err != nil || w.refuses() {
				return
			}
		}
	}()
	for from := bufio.NewReader(agent); ; {
		p, err := readPacket(from)
		if err != nil {
			return
		}
		if what := calls[p.procedure]; what != "" && p.kind == 0 {
			n := w.once(what)
			asked.Store(p.serial, n)
			w.pulls(point{n, false})
			if gone(agent, from) {
				return
			}
		}
		if _, err := libvirt.Write(p.bytes); err != nil || w.refuses() {
			return
		}
	}
}

// gone tells whether whoever asked has died.
func gone(conn net.Conn, from *bufio.Reader) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := from.Peek(1)
	_ = conn.SetReadDeadline(time.Time{})
	return err != nil && !os.IsTimeout(err)
}

func (w *libvirtWay) kind() string { return "libvirt" }

// behind is run as root: of libvirt its agent sees our way to it.
const behind = `mount --make-rprivate /
mount --bind "$1" /var/run/libvirt/libvirt-sock
shift
exec "$@"`

func (w *libvirtWay) agent(home, program string, args ...string) (env, command []string) {
	custom := filepath.Join(home, "libvirt", "custom_template.tmpl")
	err := os.MkdirAll(filepath.Dir(custom), 0o755)
	if err == nil {
		err = os.WriteFile(custom, []byte(`{{define "network_interfaces"}}{{end}}`), 0o644)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.home = home
	return []string{"PATH=" + w.dir + ":" + os.Getenv("PATH"), "CATTLE_LIBVIRT_TYPE=qemu"},
		append([]string{"unshare", "--mount", "sh", "-c", behind, "sh", w.socket, program}, args...)
}

func (w *libvirtWay) instance(h *plugged) (collection string, body object) {
	return "virtualmachines", object{"imageId": h.p.active("images", object{"url": w.images + "/machine.raw", "instanceKind": "virtualMachine"}), "memoryMb": 16}
}

func (w *libvirtWay) forget(uuid string) {
	_ = exec.Command("virsh", "-q", "-c", "qemu:///system", "destroy", uuid).Run()
}

// has counts what a machine leaves anywhere: its QEMU, and each file but its image.
func (w *libvirtWay) has(h *plugged, _ object) (n int, same bool, seen string) {
	var all []string
	cmdlines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range cmdlines {
		text, _ := os.ReadFile(path) // it may have ended
		if strings.HasPrefix(filepath.Base(strings.Split(string(text), "\x00")[0]), "qemu-system") && strings.Contains(string(text), h.uuid) {
			all = append(all, "a QEMU")
		}
	}
	machines := len(all)
	out, err := exec.Command("virsh", "-q", "-c", "qemu:///system", "list", "--all", "--name").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	domains := strings.Count(string(out), h.uuid)
	for range domains {
		all = append(all, "a domain")
	}
	files := 0
	for _, dir := range []string{"pools", "consoles"} {
		_ = filepath.WalkDir(filepath.Join(w.home, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o200 == 0 {
				return nil // an image
			}
			files++
			all = append(all, path)
			return nil
		})
	}
	seen = strings.Join(all, ", ")
	if machines > 1 {
		return machines, false, seen
	}
	return min(len(all), 1), machines == 1 && domains == 1 && files == 2, seen // its volume and what it says
}

// The same for a virtual machine: in the end there is one, once, or nothing of it.
func TestAPlugIsPulledAtEachStepOfAMachine(t *testing.T) {
	t.Parallel()
	needMachines(t)
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_DB_URL=" + testkit.PostgresSchema(t), "CATTLE_REDIS_URL=" + testkit.RedisDB(t),
		"CATTLE_AGENT_TIMEOUT_MILLIS=2000", "CATTLE_PROCESS_RETRY_BACKOFF_MAX_MS=2000"}}
	p := in.part("")
	in.pulled(t, machinePlugs, p, p, func(t *testing.T) machinery { return newLibvirtWay(t) })
}

var machinePlugs = []plug{
	{name: "libvirt", ways: []func(h *plugged){pullEngine}},
	{name: "the agent", ways: []func(h *plugged){pullAgent}},
	{name: "the network", beside: true, ways: []func(h *plugged){pullNetwork, stallNetwork}},
	// What was done is not heard of, and then nobody knows any more that it was done.
	{name: "the network and the agent", beside: true, ways: []func(h *plugged){func(h *plugged) {
		h.cable.Stall(true)
		h.mend(aMoment, func() {
			h.agent.kill()
			h.cable.Refuse(true)
			h.cable.Stall(false)
			h.cable.Refuse(false)
			h.agent = h.restart()
		})
	}}},
}
