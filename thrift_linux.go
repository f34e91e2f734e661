package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// forgetBeginning gives back the pages of the program that were only read while it
// began: most of its parts are a server's, and an agent never comes to them again.
// What is still needed is in the system's cache, from where it comes back by itself.
func forgetBeginning() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != self || strings.Contains(fields[1], "w") {
			continue // only what is as it is in the file
		}
		if n, _ := fmt.Sscanf(fields[0], "%x-%x", &from, &to); n == 2 {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED) // what stays costs memory only
		}
	}
}
