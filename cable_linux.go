package main

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall does not name.
const tcpUserTimeout = 18

// giveUp makes the system end a connection of this socket, or of one that it accepts, over
// which what was sent is not acknowledged for so long.
func giveUp(_, _ string, raw syscall.RawConn) error {
	var err error
	if outer := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(cableTime/time.Millisecond))
	}); outer != nil {
		return outer
	}
	return err
}
