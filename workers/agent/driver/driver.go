// Package driver says what the host agent asks of whatever runs instances on its
// host, and turns commands from the wire into such questions.
//
//	event ──Decode──▶ Task{Kind, Resource} ──Run(driver of that kind)──▶ reply data or error
//
// Which driver gets a task, what may run beside what, and how an answer travels
// are the agent's business.
package driver

import (
	"context"
	"errors"
	"io"

	"github.com/cattleio/cattle/shared/wire"
)

// ErrAbsent says that what the driver drives is not there, or keeps silent.
var ErrAbsent = errors.New("its engine does not answer")

// ErrNobody says that there is nobody to hear a command, which gets no answer then: it is
// sent again.
var ErrNobody = errors.New("nobody is there to hear it")

// Driver runs instances and their storage on one host. Every method may be called
// again with the same arguments: doing nothing because it is already so is
// success, and the answer is read from the system, not from what was done. What
// is answered besides an error is the data of the reply; nil is an empty reply.
type Driver interface {
	// Kind is the kind of the hosts and pools that are served.
	Kind() string
	// Report tells host, pools and physical host, and the running instances, as
	// the options ask. ErrAbsent: nobody there knows.
	Report(ctx context.Context, options wire.PingOptions) ([]wire.Resource, error)

	ActivateImage(ctx context.Context, cmd ImageCommand) (any, error)
	DeactivateImage(ctx context.Context, cmd ImageCommand) (any, error)
	ActivateVolume(ctx context.Context, cmd VolumeCommand) (any, error)
	DeactivateVolume(ctx context.Context, cmd VolumeCommand) (any, error)
	RemoveVolume(ctx context.Context, cmd VolumeCommand) (any, error)
	Start(ctx context.Context, cmd InstanceCommand) (any, error)
	Stop(ctx context.Context, cmd InstanceCommand) (any, error)
}

// Console is a driver that can say how to reach the console of an instance. Nil is
// that it has none.
type Console interface {
	Console(ctx context.Context, instance string) (any, error)
}

// Delegator is a driver whose instances may have agents inside.
type Delegator interface {
	// Delegate hands a command to the agent in an instance and gives its reply, also one
	// that says that it failed.
	Delegate(ctx context.Context, cmd DelegateCommand) (*wire.Event, error)
}

// Accessor is a driver that opens ways for bytes to its instances.
type Accessor interface {
	// Access opens one, until ctx ends. What of it a host does not have is an error.
	Access(ctx context.Context, a wire.Access) (Way, error)
}

// Way is a way for bytes to an instance. Read ends with io.EOF when nothing more comes;
// Close ends it from any goroutine.
type Way interface {
	io.ReadWriteCloser
	// End says that no more is written.
	End() error
	// Resize says how large the user's terminal is, in characters.
	Resize(width, height int) error
	// Code is what a command has exited with once Read has ended; nil where none was.
	Code(ctx context.Context) *int
}

// Output is a Way that is only read.
type Output struct{ io.ReadCloser }

// Write refuses what nobody reads.
func (Output) Write([]byte) (int, error) { return 0, errors.New("nobody reads this") }

// End does nothing.
func (Output) End() error { return nil }

// Resize does nothing.
func (Output) Resize(int, int) error { return nil }

// Code is none.
func (Output) Code(context.Context) *int { return nil }

// Runner is a driver that has something to do besides commands, until ctx ends.
type Runner interface {
	Run(ctx context.Context) error
}

// Command is one decoded command.
type Command[T any] struct {
	Event    *wire.Event
	Map      T
	Progress Progress
}

// Progress tells the asker how far the work is. A negative percent is unknown.
type Progress func(message string, percent int)

// The kinds of commands.
type (
	ImageCommand    = Command[wire.ImageStoragePoolMap]
	VolumeCommand   = Command[wire.VolumeStoragePoolMap]
	InstanceCommand = Command[wire.InstanceHostMap]
	DelegateCommand = Command[wire.DelegateData]
)
