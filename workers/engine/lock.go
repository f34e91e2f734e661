package engine

import (
	"context"
	"hash/fnv"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
)

// lockWaits names the settings that say how long the locks of a name that begins so are
// waited for; the others have default.lock.wait.millis. NAME.wait goes before all.
var lockWaits = map[string]string{
	"TEMPLATE.REGISTER.": "external.template.register.lock.wait.millis",
}

// betweenTries is how often a lock that another has is tried.
const betweenTries = 20 * time.Millisecond

// Lock waits for a lock for as long as the settings say. Then the resource counts as busy:
// the attempt ends, and the process is tried again.
func (f *frame) Lock(ctx context.Context, name string) error {
	tx, err := f.r.unit(ctx)
	if err != nil {
		return err
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	for end := time.Now().Add(f.lockWait(name)); ; {
		got, err := tx.TryLock(ctx, int64(h.Sum64()))
		if err != nil {
			return err
		}
		if got {
			clear(f.r.found) // what was found before the lock may be old
			return nil
		}
		if time.Now().After(end) {
			return &process.BusyError{Resource: "the lock " + name}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(betweenTries):
		}
	}
}

func (f *frame) lockWait(name string) time.Duration {
	setting := "default.lock.wait.millis"
	for begin, other := range lockWaits {
		if strings.HasPrefix(name, begin) {
			setting = other
		}
	}
	if f.Setting(name+".wait") != "" {
		setting = name + ".wait"
	}
	return time.Duration(f.r.e.Settings.Int(setting)) * time.Millisecond
}
