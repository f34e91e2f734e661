package engine

import (
	"testing"
	"time"
)

// A thousand agents that never answer: the first runs wait for them, at most half the
// slots at a time; later ones give up their slots at once, but for a chance now and
// then. Who answers is trusted again.
func TestSlowAgentsGetLittleTime(t *testing.T) {
	p := newPatience(10)
	var ends []func(bool)
	for n := range 10 {
		wait, end := p.begin("silent", time.Minute)
		if long := wait == inlineWait; long != (n < 5) {
			t.Errorf("run %d waits %s", n, wait)
		}
		ends = append(ends, end)
	}
	for _, end := range ends {
		end(false)
	}
	wait, end := p.begin("silent", time.Minute)
	if wait != shortWait {
		t.Errorf("after a wait in vain a run waits %s", wait)
	}
	end(false)
	if wait, end := p.begin("quick", time.Minute); wait != inlineWait {
		t.Errorf("an agent that answers gets %s", wait)
	} else {
		end(true)
	}
	p.slow["silent"].until = time.Now().Add(-time.Second)
	chance, first := p.begin("silent", time.Minute)
	other, second := p.begin("silent", time.Minute)
	if chance != inlineWait || other != shortWait {
		t.Errorf("the chance goes to one run, not %s and %s", chance, other)
	}
	second(false)
	first(true)
	if wait, _ := p.begin("silent", time.Minute); wait != inlineWait {
		t.Errorf("who has answered gets %s", wait)
	}
}
