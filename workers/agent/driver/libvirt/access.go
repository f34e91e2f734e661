package libvirt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Access opens the screen of a machine, or what it has written to its serial console.
func (d *Driver) Access(ctx context.Context, a wire.Access) (driver.Way, error) {
	if a.Instance != filepath.Base(a.Instance) {
		return nil, errors.New("the machine is not on this host")
	}
	switch a.What {
	case wire.AccessLogs:
		return d.follow(ctx, a)
	case wire.AccessScreen:
		address, _, err := d.screenOf(ctx, a.Instance)
		if err != nil {
			return nil, err
		}
		if address == "" {
			return nil, errors.New("the machine shows no screen")
		}
		screen, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("the machine shows no screen: %w", err)
		}
		return lookedAt{screen}, nil
	}
	return nil, fmt.Errorf("machines have no %s", a.What)
}

// lookedAt is the screen of a machine.
type lookedAt struct{ net.Conn }

func (lookedAt) End() error                { return nil }
func (lookedAt) Resize(int, int) error     { return nil }
func (lookedAt) Code(context.Context) *int { return nil }

// longestTail is how much of a console is looked through for the last lines.
const longestTail = 1 << 20

func (d *Driver) follow(ctx context.Context, a wire.Access) (driver.Way, error) {
	file, err := os.Open(d.console(a.Instance))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("the machine has written nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the console: %w", err)
	}
	if err := lastLines(file, a.Lines); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cannot read the console: %w", err)
	}
	if !a.Follow {
		return driver.Output{ReadCloser: file}, nil
	}
	return driver.Output{ReadCloser: &growing{file, ctx}}, nil
}

// lastLines moves to where the last lines of a file begin; a negative number is all.
func lastLines(file *os.File, lines int64) error {
	if lines < 0 {
		return nil
	}
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	from := max(end-longestTail, 0)
	text := make([]byte, end-from)
	if _, err := file.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	at := len(text)
	for n := int64(0); n <= lines && at >= 0; n++ {
		if n == 0 && !bytes.HasSuffix(text, []byte("\n")) {
			continue // the last one has not ended
		}
		at = bytes.LastIndexByte(text[:at], '\n')
	}
	_, err = file.Seek(from+int64(at+1), io.SeekStart)
	return err
}

// growing is a file that is written to.
type growing struct {
	*os.File
	ctx context.Context
}

// Read waits for what is written.
func (g *growing) Read(b []byte) (int, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := g.File.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return 0, io.EOF
		}
	}
}
