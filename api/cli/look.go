package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/lxzan/gws"
	"golang.org/x/term"

	"github.com/cattleio/cattle/api/client"
)

// Looks tells whether a command looks at an instance: those are not made of schemas.
func Looks(name string) bool { return name == "logs" || name == "exec" }

// Look carries out 'logs ID' and 'exec ID -- COMMAND'. What a command in an instance has
// exited with is the code of the *Exit.
func Look(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	return exit(looking(ctx, args, env, in, out))
}

func looking(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	name, args := args[0], args[1:]
	var command []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, command = args[:i], args[i+1:]
	}
	id := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		id, args = args[0], args[1:]
	}
	given := parse(args)
	config := configFrom(given, env)
	input := map[string]any{}
	switch {
	case id == "":
		return wrong("say which instance: cattle %s ID", name)
	case name == "exec" && len(command) == 0:
		return wrong("say which command: cattle exec %s -- COMMAND", id)
	case name == "exec":
		name, input["command"], input["tty"], input["attachStdin"] = "execute", command, given.boolean("tty"), true
	default:
		input["follow"] = given.boolean("follow")
		if text := given.first("lines"); text != "" {
			lines, err := strconv.Atoi(text)
			if err != nil {
				return wrong("--lines takes a number, not %q", text)
			}
			input["lines"] = lines
		}
	}
	c, err := client.New(config)
	if err != nil {
		return wrong("%w", err)
	}
	if _, err := cached(ctx, c, config, env); err != nil {
		return err
	}
	address, err := ticket(ctx, c, id, name, input)
	if err != nil {
		return err
	}
	return watch(ctx, address, name == "execute", given.boolean("tty"), in, out)
}

// ticket asks for a look at an instance, of whichever type it is.
func ticket(ctx context.Context, c *client.Client, id, action string, input any) (string, error) {
	var one *client.Resource
	var err error
	for _, typ := range []string{"container", "virtualMachine"} {
		if one, err = client.Of[client.Resource](c, typ).Get(ctx, id); !client.IsNotFound(err) {
			break
		}
	}
	if err != nil {
		return "", err
	}
	var given struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	}
	err = c.Do(ctx, http.MethodPost, one.Links["self"]+"/?action="+action, input, &given)
	return given.URL + "?token=" + url.QueryEscape(given.Token), err
}

// viewer is the command line's end of a look.
type viewer struct {
	gws.BuiltinEventHandler
	out  io.Writer
	once sync.Once
	over chan error
}

func (v *viewer) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Opcode == gws.OpcodeBinary {
		if _, err := v.out.Write(m.Bytes()); err != nil {
			v.end(err)
		}
		return
	}
	var says struct {
		Exit *int `json:"exit"`
	}
	if json.Unmarshal(m.Bytes(), &says) == nil && says.Exit != nil && *says.Exit != 0 {
		v.end(&Exit{*says.Exit, fmt.Errorf("the command has ended with %d", *says.Exit)})
	}
}

func (v *viewer) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	switch {
	case errors.As(err, &closed) && closed.Code == 1000:
		v.end(nil)
	case errors.As(err, &closed):
		v.end(errors.New(string(closed.Reason)))
	default:
		v.end(err)
	}
}

func (v *viewer) end(err error) { v.once.Do(func() { v.over <- err }) }

// watch shows what comes, and sends what is typed, until either side has ended.
func watch(ctx context.Context, address string, typing, tty bool, in io.Reader, out io.Writer) error {
	v := &viewer{out: out, over: make(chan error, 1)}
	conn, response, err := gws.NewClient(v, &gws.ClientOption{Addr: address, ReadMaxPayloadSize: 16 << 20})
	if err != nil {
		if response != nil {
			err = fmt.Errorf("the server answers %s", response.Status)
		}
		return err
	}
	defer conn.NetConn().Close()
	go conn.ReadLoop()
	if typing {
		if keyboard, ok := in.(*os.File); ok && tty && term.IsTerminal(int(keyboard.Fd())) {
			if old, err := term.MakeRaw(int(keyboard.Fd())); err == nil {
				defer term.Restore(int(keyboard.Fd()), old)
			}
			defer fitted(conn, int(keyboard.Fd()))()
		}
		go send(conn, in)
	}
	select {
	case <-ctx.Done():
		_ = conn.WriteClose(1000, nil)
		return ctx.Err()
	case err := <-v.over:
		return err
	}
}

// send sends what is typed, and says when no more comes.
func send(conn *gws.Conn, in io.Reader) {
	b := make([]byte, 16<<10)
	for {
		n, err := in.Read(b)
		if n > 0 && conn.WriteMessage(gws.OpcodeBinary, b[:n]) != nil {
			return
		}
		if err != nil {
			_ = conn.WriteString(`{"eof":true}`)
			return
		}
	}
}

// fitted says how large the terminal is, now and when that changes, until the returned
// function is called.
func fitted(conn *gws.Conn, terminal int) (stop func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			if width, height, err := term.GetSize(terminal); err == nil {
				_ = conn.WriteString(fmt.Sprintf(`{"width":%d,"height":%d}`, width, height))
			}
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(changed); close(done) }
}
