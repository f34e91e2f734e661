package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A program of a story whose CATTLE_TEST_CLOCK is a duration has a clock that is wrong by
// it, for all that it is linked with. How much time passes it measures as before, as a
// machine does whose clock is set. A process has no clock of its own to set, so the
// function that reads it is replaced.
func init() {
	wrong, err := time.ParseDuration(os.Getenv("CATTLE_TEST_CLOCK"))
	if err != nil {
		return
	}
	begun = time.Now().Add(wrong).UnixNano() - nanotime()
	if err := replace(wall, wrongWall); err != nil {
		panic(err)
	}
}

type clock func() (sec int64, nsec int32, mono int64)

//go:linkname wall time.now
func wall() (sec int64, nsec int32, mono int64)

//go:linkname nanotime runtime.nanotime
func nanotime() int64

var begun int64 // what the wrong clock said when the machine began to count

//go:nosplit
//go:norace
func wrongWall() (sec int64, nsec int32, mono int64) {
	mono = nanotime()
	at := begun + mono
	return at / 1e9, int32(at % 1e9), mono
}

// replace makes a function go on as another: mov r11, to; jmp r11.
func replace(from, to clock) error {
	jump := []byte{0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xff, 0xe3}
	for at, i := uintptr(code(to)), 2; i < 10; i++ {
		jump[i] = byte(at)
		at >>= 8
	}
	at, page := code(from), os.Getpagesize()
	pages := unsafe.Slice((*byte)(unsafe.Add(at, -int(uintptr(at)%uintptr(page)))), 2*page)
	err := syscall.Mprotect(pages, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC)
	if err == nil {
		copy(unsafe.Slice((*byte)(at), len(jump)), jump)
	}
	return err
}

// code is where a function begins.
func code(f clock) unsafe.Pointer { return **(**unsafe.Pointer)(unsafe.Pointer(&f)) }

// Of each part there are two, and their clocks are two hours apart; that of the database is
// right. What is asked of either is done once, nobody takes from another what that works on
// before it is dead, and what is due is so by the clock of the database alone.
func TestServersWhoseClocksAreWrong(t *testing.T) {
	t.Parallel()
	b := breakable(t, true)
	b.env = append(b.env, "CATTLE_TASK_PURGE_RESOURCES_SCHEDULE=1", "CATTLE_OBJECT_REMOVE_TIME_DELAY_SECONDS=2")
	begun := time.Now().UnixMilli()
	two := map[string][]*program{}
	for _, profile := range []string{"api", "worker", "gateway", "scheduler"} {
		two[profile] = []*program{
			b.part(profile, "CATTLE_SERVER_ID=early", "CATTLE_TEST_CLOCK=1h"), b.part(profile, "CATTLE_SERVER_ID=late", "CATTLE_TEST_CLOCK=-1h")}
	}
	early, late := two["api"][0], two["api"][1]
	early.isWrong(time.Hour)
	late.isWrong(-time.Hour)
	early.simulators(2)
	for i := range 20 {
		two["api"][i%2].container(nil)
	}
	late.allRun(20, 60*time.Second)
	for what, text := range map[string]string{
		"processes were taken from a worker that lives": "process_instance where attempts > 1 or terminated",
		"processes have moments of other clocks":        "process_instance where start_time < %d or end_time > %d or held_since > end_time",
		"instances have moments of other clocks":        "instance where created < %d or created > %d or first_running < created",
	} {
		if strings.Contains(text, "%d") {
			text = fmt.Sprintf(text, begun, time.Now().UnixMilli())
		}
		if n := b.query(t, "select count(*) from "+text); n > 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	b.inherit(t, "early", two["worker"][0], early)
	two["worker"][0] = b.part("worker", "CATTLE_SERVER_ID=early", "CATTLE_TEST_CLOCK=1h")
	b.inherit(t, "late", two["worker"][1], late)

	// Whoever does not answer is waited for as long as it says.
	path := early.container(nil)
	early.becomes(path, "running")
	h := early.attach("nobody", object{"processNames": []any{"instance.stop"}, "timeoutMillis": 1000, "retries": 2})
	early.ask("POST", path+"?action=stop", object{})
	const stop = "from process_instance where process_name = 'instance.stop' and "
	until(t, "the wait to end", 20*time.Second, func() bool { return b.query(t, "select count(*) "+stop+"exit_reason = 'TIMEOUT'") == 1 })
	if n := b.query(t, "select (due_at - start_time)::int "+stop+"exit_reason = 'TIMEOUT'"); n < 2000 || n > 20_000 {
		t.Errorf("after two seconds of waiting it is due %d ms after it was asked for", n)
	}
	late.ask("POST", "/v1/externalhandlers/"+h.id()+"?action=deactivate", object{})
	late.becomes(path, "stopped")

	// What is removed is purged when it is time, whoever leads.
	const purges = "select count(*) from process_instance p join instance i on p.resource_id = cast(i.id as varchar) where process_name = 'instance.purge'"
	for n := range 2 {
		path := late.container(nil)
		late.becomes(path, "running")
		early.ask("DELETE", path, nil)
		until(t, "it to be purged", 30*time.Second, func() bool { return b.query(t, purges) == n+1 })
		if b.query(t, purges+" and (start_time < remove_time or start_time > remove_time + 10000)") > 0 {
			t.Error("it was purged too early or too late")
		}
		two["scheduler"][0].kill() // it leads, or the other does
	}
	for _, k := range two["worker"] {
		for _, took := range regexp.MustCompile(`reason=DONE took=(\S+)`).FindAllStringSubmatch(k.log.String(), -1) {
			if d, err := time.ParseDuration(took[1]); err != nil || d < 0 || d > 10*time.Minute {
				t.Errorf("it says that a process took %s", took[1])
			}
		}
	}
}

// isWrong looks at the clock of a server.
func (p *program) isWrong(by time.Duration) {
	p.t.Helper()
	resp, err := http.Get(p.url + "/ping")
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if off := time.Since(at) + by; err != nil || off.Abs() > time.Minute {
		p.t.Fatalf("its clock says %s, which is not wrong by %s: %v", at, by, err)
	}
}

// inherit kills a worker that has work in hand, with which the other goes on.
func (b *broken) inherit(t *testing.T, name string, worker, api *program) {
	t.Helper()
	there := len(api.list("/v1/containers?limit=1000"))
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		api.post(30, object{"imageUuid": "sim:x", "data": object{"simDelayMillis": 100}})
	}()
	held := "select count(*) from process_instance where running_process_server_id = '" + name + "' and end_time is null"
	until(t, "it to work", 20*time.Second, func() bool { return b.query(t, held) > 0 })
	worker.kill()
	<-posted
	api.allRun(there+30, 40*time.Second)
}
