package faulty

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// Share is a probability in thousandths that may be changed at any time.
type Share struct{ atomic.Int64 }

// Meets decides by chance.
func (s *Share) Meets() bool { return rand.Int64N(1000) < s.Load() }

// Commits passes on what a Postgres says, and loses some of its answers to a
// commit together with the connection: what was done looks as if it were not.
type Commits struct {
	Lose Share
	Lost atomic.Int64
}

// committed is how Postgres says that a transaction is durable.
var committed = []byte("C\x00\x00\x00\x0bCOMMIT\x00")

// Relay is for a Proxy.
func (c *Commits) Relay(to io.Writer, from *bufio.Reader) error {
	if _, err := from.Peek(1); err != nil {
		return err
	}
	b, err := from.Peek(from.Buffered())
	if err != nil {
		return err
	}
	if bytes.Contains(b, committed) && c.Lose.Meets() {
		c.Lost.Add(1)
		return errLost
	}
	return whole(to, from)
}

// Messages passes on what a Redis says, and loses, repeats and delays some of the
// messages to its subscribers. A delayed one is overtaken by others. Some of the
// answers to commands get lost together with the connection: what was done looks as if
// it were not.
type Messages struct {
	Lose, Repeat, Delay, Mute      Share
	Lost, Repeated, Delayed, Muted atomic.Int64
}

// Relay is for a Proxy.
func (m *Messages) Relay(to io.Writer, from *bufio.Reader) error {
	b, err := value(nil, from)
	if err != nil {
		return err
	}
	if !isMessage(b) {
		if m.Mute.Meets() {
			m.Muted.Add(1)
			return errLost
		}
		_, err := to.Write(b)
		return err
	}
	if m.Lose.Meets() {
		m.Lost.Add(1)
		return nil
	}
	if m.Repeat.Meets() {
		m.Repeated.Add(1)
		later(to, b)
	}
	if m.Delay.Meets() {
		m.Delayed.Add(1)
		later(to, b)
		return nil
	}
	_, err = to.Write(b)
	return err
}

// later writes a message within a quarter of a second.
func later(to io.Writer, b []byte) {
	time.AfterFunc(rand.N(250*time.Millisecond), func() { _, _ = to.Write(b) }) // a connection that ended loses it
}

// isMessage tells a message to a subscriber from an answer.
func isMessage(b []byte) bool {
	if b[0] != '*' && b[0] != '>' {
		return false
	}
	_, rest, _ := bytes.Cut(b, []byte("\r\n"))
	return bytes.HasPrefix(rest, []byte("$7\r\nmessage\r\n")) || bytes.HasPrefix(rest, []byte("$8\r\npmessage\r\n"))
}

// value reads one value of the protocol of Redis and appends it as it came.
func value(b []byte, from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadBytes('\n')
	b = append(b, line...)
	if err != nil || len(line) < 3 {
		return b, err
	}
	n, _ := strconv.Atoi(string(line[1 : len(line)-2])) // -1 is none, and text is no number
	switch line[0] {
	case '$', '=', '!':
		if n < 0 || string(line[1:len(line)-2]) == "-1" {
			return b, nil
		}
		at := len(b)
		b = append(b, make([]byte, n+2)...)
		_, err := io.ReadFull(from, b[at:])
		return b, err
	case '*', '~', '>':
		return values(b, from, n)
	case '%':
		return values(b, from, 2*n)
	case '|':
		return values(b, from, 2*n+1) // and what it says something about
	case '+', '-', ':', '_', '#', ',', '(':
		return b, nil
	}
	return b, fmt.Errorf("Redis says %q", line)
}

func values(b []byte, from *bufio.Reader, n int) ([]byte, error) {
	var err error
	for i := 0; i < n && err == nil; i++ {
		b, err = value(b, from)
	}
	return b, err
}
