package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, the same on every Linux.
const tick = 10 * time.Millisecond

// effort is what processes have used of the processor so far.
type effort map[string]time.Duration

// used reads the use of one process, and of the databases of this machine by name:
// all that run here, since whose they are is not to be seen.
func used(pid int) effort {
	u := effort{"server": cpu(pid, false)}
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range files {
		name, _ := os.ReadFile(file)
		switch n := strings.TrimSpace(string(name)); n {
		case "postgres", "redis-server":
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			u[n] += cpu(pid, true)
		}
	}
	return u
}

// per shares the use since before among n, in milliseconds.
func (u effort) per(before effort, name string, n int) float64 {
	return float64(u[name]-before[name]) / float64(time.Millisecond) / float64(n)
}

// cpu is the processor time of a process; with those it has waited for, if ended,
// so that the sum over a family of processes never shrinks.
func cpu(pid int, ended bool) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name may hold anything
	if len(fields) < 15 {
		return 0
	}
	if fields = fields[11:15]; !ended {
		fields = fields[:2]
	}
	var ticks int64
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// residentMB is the memory of a process that is in RAM.
func residentMB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("process %d tells no VmRSS", pid)
}
