package drivertest

import "encoding/hex"

// machine is the first sector of a disk, and a whole operating system: it greets on
// the serial console, says back what it is told there, and turns itself off when
// somebody presses the power button. localdev/images/machine holds one with a kernel.
//
//	start: cli; ax, ds, ss = 0; sp = 0x7c00; cld; sti
//	       outw 0x602, 0x100                       the power button is to be noticed
//	say:   wait for port 0x3fd bit 5; outb 0x3f8, next character of the greeting
//	idle:  hlt; if port 0x3fd bit 0: outb 0x3f8, inb 0x3f8
//	       if inw 0x600 bit 8: outw 0x604, 0x2000  off
//	       idle
const machine = "fa31c08ed88ed0bc007cfcfbba0206b80001efbe4d7cac84c0741288c4bafd03eca82074fbbaf80388e0eeebe9f4" +
	"bafd03eca8017405baf803eceeba0006edf6c40174e9ba0406b80020efebe061206d616368696e652069732075700d0a00"

// Greeting is what it says.
const Greeting = "a machine is up"

// Bootable is a disk with it.
func Bootable() []byte {
	disk := make([]byte, 1<<20)
	code, _ := hex.DecodeString(machine) // it is as it is written here
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}
