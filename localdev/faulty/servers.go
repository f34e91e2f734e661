package faulty

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a program of one's own on a port that stays the same, which may die and
// come back.
type Server struct {
	port   string
	dir    string
	args   []string
	as     *syscall.Credential
	cmd    *exec.Cmd
	ended  chan struct{}
	answer func(s *Server) error // nil once it serves
}

// Address is host:port.
func (s *Server) Address() string { return "127.0.0.1:" + s.port }

// Postgres starts a database server below dir, which others must be able to enter:
// root has it run as the user postgres. Commits do not wait for the disk: what is
// killed here is the server, never the machine.
func Postgres(dir string) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	s, err := newServer(filepath.Join(dir, "postgres"))
	if err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if s.as, err = another("postgres"); err != nil {
			return nil, err
		}
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(s.dir, "data")
	init := s.command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot make a database: %w: %s", err, out)
	}
	s.args = []string{filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", s.port, "-k", "",
		"-c", "max_connections=300", "-c", "fsync=off", "-c", "shared_buffers=64MB"}
	s.answer = (*Server).postgresServes
	return s, s.Start()
}

// Replica starts a server below dir that follows a Postgres and answers reads.
func Replica(dir string, primary *Server) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	s, err := newServer(filepath.Join(dir, "replica"))
	if err != nil {
		return nil, err
	}
	if s.as = primary.as; s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(s.dir, "data")
	copied := s.command(filepath.Join(bin, "pg_basebackup"), "-h", "127.0.0.1", "-p", primary.port, "-U", "postgres", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if out, err := copied.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot copy a database: %w: %s", err, out)
	}
	s.args = []string{filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", s.port, "-k", "",
		"-c", "max_connections=300", "-c", "fsync=off", "-c", "shared_buffers=64MB"}
	s.answer = (*Server).postgresServes
	return s, s.Start()
}

// Redis starts a Redis below dir that keeps nothing but what Save is told to keep.
func Redis(dir string) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("a Redis of one's own is needed: %w", err)
	}
	s, err := newServer(filepath.Join(dir, "redis"))
	if err != nil {
		return nil, err
	}
	s.args = []string{program, "--bind", "127.0.0.1", "--port", s.port, "--save", "", "--appendonly", "no", "--dir", s.dir}
	s.answer = func(s *Server) error { _, err := s.say("PING"); return err }
	return s, s.Start()
}

// Save makes a Redis come back with what it has now, whenever it is started.
func (s *Server) Save() error {
	_, err := s.say("SAVE")
	return err
}

// Forget makes a Redis come back empty.
func (s *Server) Forget() { _ = os.Remove(filepath.Join(s.dir, "dump.rdb")) }

// Flush empties a Redis.
func (s *Server) Flush() error {
	_, err := s.say("FLUSHALL")
	return err
}

// Kill ends the server without a word to it.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// Stop ends the server and takes away what it kept.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			s.Kill()
		}
	}
	_ = os.RemoveAll(s.dir)
}

// Start brings the server back and waits until it serves. One that was killed may
// have left something behind that has to end first.
func (s *Server) Start() error {
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if err = s.run(); err != nil {
			return err
		}
		for err = s.answer(s); err != nil && time.Now().Before(end); err = s.answer(s) {
			select {
			case <-s.ended:
			case <-time.After(20 * time.Millisecond):
				continue
			}
			break
		}
		if err == nil {
			return nil
		}
	}
	said, _ := os.ReadFile(s.dir + ".log")
	return fmt.Errorf("%s does not serve: %w: %s", filepath.Base(s.args[0]), err, said[max(0, len(said)-500):])
}

func (s *Server) run() error {
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = s.command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := make(chan struct{}), s.cmd
	s.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as}
	return c
}

func newServer(dir string) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return &Server{port: port, dir: dir}, errors.Join(err, os.Mkdir(dir, 0o700))
}

// say sends a Redis one word and returns the line that it answers.
func (s *Server) say(word string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Address(), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(word + "\r\n")); err != nil {
		return "", err
	}
	b := make([]byte, 200)
	n, err := c.Read(b)
	if err == nil && b[0] == '-' {
		err = errors.New(string(b[:n]))
	}
	return string(b[:n]), err
}

// postgresServes asks as pg_isready does: a server that recovers refuses to begin.
func (s *Server) postgresServes() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	begin := "\x00\x03\x00\x00user\x00postgres\x00\x00"
	size := byte(len(begin) + 4)
	if _, err := c.Write(append([]byte{0, 0, 0, size}, begin...)); err != nil {
		return err
	}
	b := make([]byte, 1)
	if _, err := c.Read(b); err != nil {
		return err
	}
	if b[0] != 'R' {
		return errors.New("it starts")
	}
	return nil
}

// postgresBin finds the folder of the newest server; Debian keeps it off PATH.
func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return major(b) - major(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	at, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("a Postgres of one's own is needed: %w", err)
	}
	return filepath.Dir(at), nil
}

func major(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

func another(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
