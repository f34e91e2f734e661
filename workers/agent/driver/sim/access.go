package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Access plays the log of an instance, or a command in it. Of commands it knows
//
//	echo WORDS    writes the words
//	cat           writes what it reads
//	yes           writes lines without end
//	exit CODE     ends
//
// and says of any other that it is simulated.
func (s *Simulator) Access(_ context.Context, a wire.Access) (driver.Way, error) {
	s.mu.Lock()
	_, runs := s.running[a.Instance]
	s.mu.Unlock()
	if !runs {
		return nil, errors.New("the instance is not on this host")
	}
	switch a.What {
	case wire.AccessLogs:
		return driver.Output{ReadCloser: played(a)}, nil
	case wire.AccessExecute:
		return execute(a.Command), nil
	}
	return nil, fmt.Errorf("simulated instances have no %s", a.What)
}

// played is the log of an instance; who follows it waits in vain for more.
func played(a wire.Access) io.ReadCloser {
	lines := []string{"simulated instance " + a.Instance, "it runs"}
	if n := int(a.Lines); n >= 0 && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	var text string
	if len(lines) > 0 {
		text = strings.Join(lines, "\n") + "\n"
	}
	if !a.Follow {
		return io.NopCloser(strings.NewReader(text))
	}
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, text) }()
	return r
}

// command is a command that is played.
type command struct {
	out  *io.PipeReader
	in   *io.PipeWriter
	once sync.Once
	code int
}

func execute(words []string) *command {
	r, w := io.Pipe()
	inR, inW := io.Pipe()
	c := &command{out: r, in: inW}
	go func() {
		defer inR.Close()
		c.code = run(words, inR, w)
		_ = w.Close()
	}()
	return c
}

func run(words []string, in io.Reader, out io.Writer) (code int) {
	name, rest := "", []string{}
	if len(words) > 0 {
		name, rest = words[0], words[1:]
	}
	switch name {
	case "echo":
		_, _ = fmt.Fprintln(out, strings.Join(rest, " "))
	case "cat":
		_, _ = io.Copy(out, in)
	case "yes":
		line := bytes.Repeat([]byte("y\n"), 4096)
		for {
			if _, err := out.Write(line); err != nil {
				return 141
			}
		}
	case "exit":
		if len(rest) > 0 {
			code, _ = strconv.Atoi(rest[0])
		}
		return code
	default:
		_, _ = fmt.Fprintf(out, "simulated: %s\n", strings.Join(words, " "))
	}
	return 0
}

func (c *command) Read(b []byte) (int, error)  { return c.out.Read(b) }
func (c *command) Write(b []byte) (int, error) { return c.in.Write(b) }
func (c *command) End() error                  { return c.in.Close() }
func (c *command) Resize(int, int) error       { return nil }
func (c *command) Code(context.Context) *int   { return &c.code }

func (c *command) Close() error {
	c.once.Do(func() {
		_ = c.in.Close()
		_ = c.out.Close()
	})
	return nil
}
