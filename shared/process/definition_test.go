package process

import (
	"testing"
	"time"
)

func TestEveryProcessHasADeadline(t *testing.T) {
	if got := (&Definition{Name: "volume.snapshot", Timeout: time.Hour}).Deadline(); got != time.Hour {
		t.Errorf("the deadline of a process that declares an hour is %s", got)
	}
	if got := (&Definition{Name: "volume.create"}).Deadline(); got != DefaultDeadline {
		t.Errorf("the deadline of a process that declares none is %s, not %s", got, DefaultDeadline)
	}
}
