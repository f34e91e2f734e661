package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// address is what an agent's URI says: ssh://USER[:PASSWORD]@HOST[:PORT].
type address struct {
	user, password, host string // host with port
}

func parse(uri string) (address, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "ssh" || u.Hostname() == "" || u.User.Username() == "" {
		return address{}, errors.New("the agent's address is not of the form ssh://USER@HOST:PORT") // never with its password
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	password, _ := u.User.Password()
	return address{user: u.User.Username(), password: password, host: net.JoinHostPort(u.Hostname(), port)}, nil
}

// login is one SSH connection.
type login struct {
	client *ssh.Client
	local  net.Addr // where the host sees us come from
	remote net.Addr // where we have reached it
	key    ssh.PublicKey
	root   bool
	step   time.Duration
}

// errChanged is a host that cannot show the key it was met with.
func errChanged(host string, met ssh.PublicKey) error {
	return fmt.Errorf("the key of host %s has changed: it was met with %s %s. If the host was installed anew, delete the data named %q",
		host, met.Type(), ssh.FingerprintSHA256(met), fmt.Sprintf(hostKeyName, host))
}

// dial logs in. A host that was met before must show the same key; a new one is
// believed, and its key is in the result. No secret is sent before.
func dial(ctx context.Context, by net.Dialer, to address, met ssh.PublicKey, keys []ssh.Signer, step time.Duration) (*login, error) {
	by.Timeout = step
	conn, err := by.DialContext(ctx, "tcp", to.host)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the host: %w", err)
	}
	l := &login{local: conn.LocalAddr(), remote: conn.RemoteAddr(), root: to.user == "root", step: step}
	config := &ssh.ClientConfig{User: to.user, Timeout: step, Auth: []ssh.AuthMethod{ssh.PublicKeys(keys...)}}
	if to.password != "" {
		config.Auth = append(config.Auth, ssh.Password(to.password))
	}
	if met != nil {
		config.HostKeyAlgorithms = algorithms(met)
	}
	changed := false
	config.HostKeyCallback = func(_ string, _ net.Addr, shown ssh.PublicKey) error {
		l.key = shown
		if changed = met != nil && !bytes.Equal(shown.Marshal(), met.Marshal()); changed {
			return errors.New("another host key")
		}
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(step))
	c, channels, requests, err := ssh.NewClientConn(conn, to.host, config)
	if err != nil {
		_ = conn.Close()
		if changed || met != nil && strings.Contains(err.Error(), "no common algorithm for host key") {
			return nil, errChanged(to.host, met)
		}
		return nil, fmt.Errorf("cannot log in as %s; the keys of /v1/authorized_keys must be among those it accepts: %w", to.user, err)
	}
	_ = conn.SetDeadline(time.Time{})
	l.client = ssh.NewClient(c, channels, requests)
	return l, nil
}

// algorithms are those by which a host proves that it has a key.
func algorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

func (l *login) close() { _ = l.client.Close() }

// run has a shell do a script as root, with values as its positional parameters. The
// connection is given up when it takes longer than limit.
func (l *login) run(ctx context.Context, limit time.Duration, input io.Reader, script string, values ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	session, err := l.client.NewSession()
	if err != nil {
		return "", fmt.Errorf("cannot run a command on the host: %w", err)
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	words := []string{"sh", "-c", script, "sh"}
	if !l.root {
		words = append([]string{"sudo", "-n"}, words...)
	}
	words = append(words, values...)
	for i, w := range words {
		words[i] = quote(w)
	}
	var out, trouble bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = input, &out, &trouble
	if err := session.Run(strings.Join(words, " ")); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("the host did not do it within %s", limit)
		}
		return "", fmt.Errorf("%w: %.300s", err, strings.TrimSpace(trouble.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// quote makes one word of a shell out of any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
