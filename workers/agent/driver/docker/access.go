package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Access opens the log of a container, or runs a command in it.
func (d *Driver) Access(ctx context.Context, a wire.Access) (driver.Way, error) {
	found, err := d.inspect(ctx, a.Instance)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, errors.New("the container is not on this host")
	}
	switch a.What {
	case wire.AccessLogs:
		return d.logs(ctx, a, found.Config != nil && found.Config.Tty)
	case wire.AccessExecute:
		return d.execute(ctx, a)
	}
	return nil, fmt.Errorf("containers have no %s", a.What)
}

func (d *Driver) logs(ctx context.Context, a wire.Access, tty bool) (driver.Way, error) {
	tail := "all"
	if a.Lines >= 0 {
		tail = strconv.FormatInt(a.Lines, 10)
	}
	out, err := d.engine.ContainerLogs(ctx, a.Instance, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: a.Follow, Tail: tail})
	if err != nil {
		return nil, fmt.Errorf("cannot read the log: %w", err)
	}
	if tty {
		return driver.Output{ReadCloser: out}, nil
	}
	return driver.Output{ReadCloser: woven(out, out.Close)}, nil
}

// woven puts what the engine sends of two outputs into one, in its order.
func woven(out io.Reader, closing func() error) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(w, w, out)
		_ = w.CloseWithError(err) // nil is the end
	}()
	return &weaving{r, closing}
}

type weaving struct {
	*io.PipeReader
	closing func() error
}

func (w *weaving) Close() error { return errors.Join(w.PipeReader.Close(), w.closing()) }

func (d *Driver) execute(ctx context.Context, a wire.Access) (driver.Way, error) {
	made, err := d.engine.ExecCreate(ctx, a.Instance, client.ExecCreateOptions{Cmd: a.Command, TTY: a.TTY, AttachStdin: a.Input, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, fmt.Errorf("cannot run the command: %w", err)
	}
	attached, err := d.engine.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: a.TTY})
	if err != nil {
		return nil, fmt.Errorf("cannot run the command: %w", err)
	}
	e := &execution{engine: d.engine, id: made.ID, conn: attached.HijackedResponse}
	e.out = io.NopCloser(attached.Reader)
	if !a.TTY {
		e.out = woven(attached.Reader, func() error { return nil })
	}
	return e, nil
}

// execution is a command in a container.
type execution struct {
	engine *client.Client
	id     string
	conn   client.HijackedResponse
	out    io.ReadCloser
}

func (e *execution) Read(b []byte) (int, error)  { return e.out.Read(b) }
func (e *execution) Write(b []byte) (int, error) { return e.conn.Conn.Write(b) }
func (e *execution) End() error                  { return e.conn.CloseWrite() }

// Close leaves the command alone: on a terminal it is hung up, else it sees that nobody
// reads it.
func (e *execution) Close() error {
	e.conn.Close()
	return e.out.Close()
}

func (e *execution) Resize(width, height int) error {
	_, err := e.engine.ExecResize(context.Background(), e.id, client.ExecResizeOptions{Width: uint(width), Height: uint(height)})
	return err
}

func (e *execution) Code(ctx context.Context) *int {
	state, err := e.engine.ExecInspect(ctx, e.id, client.ExecInspectOptions{})
	if err != nil || state.Running {
		return nil
	}
	return &state.ExitCode
}
