package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cattleio/cattle/shared/program"
	"github.com/cattleio/cattle/shared/wire"
)

// ErrUpdated says that the server's program has taken the place of this one and is to be
// started in its stead.
var ErrUpdated = errors.New("the program of the server is here")

const (
	updateTime  = 10 * time.Minute // for a program to come, and for a moment without work
	probeTime   = 20 * time.Second
	mostTries   = 3                 // starts of a new program that reaches no server
	largest     = 1 << 30           // bytes
	pendingFile = ".update-pending" // in the home: what was put in place and has not proved itself
	failedFile  = ".update-failed"  // in the home: what never did
)

// pending is a program that was put in place. Until it has reached a server the one
// before it is kept, and comes back if that never happens.
type pending struct {
	Digest string `json:"digest"`
	Tries  int    `json:"tries"`
}

// consider has the server's program come, where it is another than this, fit for this
// host, and from a server that nobody else can pretend to be.
func (a *agent) consider(ctx context.Context, offered *wire.Program) {
	if offered == nil || !a.config.Update || offered.Platform != program.Platform() || !a.secure() {
		return
	}
	own, err := program.Digest()
	if err != nil || own == offered.Digest || a.home.text(failedFile) == offered.Digest || !a.updating.CompareAndSwap(false, true) {
		return
	}
	a.desk.work.Go(func() {
		defer a.updating.Store(false)
		if err := a.update(ctx, offered.Digest); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the server's program did not take our place", "err", err)
		}
	})
}

// secure tells whether what comes from a server is the server's. At the port of a tunnel
// that is gone anybody on this host may listen.
func (a *agent) secure() bool {
	ip := net.ParseIP(a.base.Hostname())
	return a.base.Scheme == "https" || !a.config.Tunnel && (ip != nil && ip.IsLoopback() || a.base.Hostname() == "localhost")
}

// update puts the server's program in the place of this one, at a moment without work.
func (a *agent) update(ctx context.Context, digest string) error {
	if !sleep(ctx, rand.N(a.config.UpdateWithin+1)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	path, err := os.Executable()
	if err != nil {
		return err
	}
	fresh := path + ".new"
	defer os.Remove(fresh)
	if err := a.fetch(ctx, fresh, digest); err != nil {
		return fmt.Errorf("cannot get it: %w", err)
	}
	if out, err := probe(ctx, fresh); err != nil {
		return errors.Join(a.home.write(failedFile, []byte(digest)), fmt.Errorf("it does not run here: %w: %.200s", err, out))
	}
	for !a.desk.idle() {
		if !sleep(ctx, 100*time.Millisecond) {
			return errors.New("there was no moment without work")
		}
	}
	text, err := json.Marshal(pending{Digest: digest})
	if err != nil {
		return err
	}
	if err := replace(path, fresh, func() error { return a.home.write(pendingFile, text) }); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "the server's program takes our place", "version", digest)
	a.over(ErrUpdated)
	return nil
}

// probe tries whether a program runs here. A child that was begun elsewhere while the
// file was written holds it open for a moment.
func probe(ctx context.Context, path string) (out []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for {
		out, err = exec.CommandContext(ctx, path, "version").CombinedOutput()
		if !errors.Is(err, syscall.ETXTBSY) || !sleep(ctx, 50*time.Millisecond) {
			return out, err
		}
	}
}

// fetch writes the server's program to a file.
func (a *agent) fetch(ctx context.Context, path, digest string) error {
	login, err := a.join(ctx)
	if err != nil {
		return err
	}
	address := *a.base.JoinPath("v1", "agentprogram")
	if login.agentID != "" {
		address.RawQuery = url.Values{"agentId": {login.agentID}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	if login.accessKey != "" {
		request.SetBasicAuth(login.accessKey, login.secretKey)
	}
	client := *a.http
	client.Timeout = 0 // ctx has one
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", response.Status)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, sum), io.LimitReader(response.Body, largest))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("it is not what the server has announced: %s", got)
	}
	return nil
}

// replace puts a new program in the place of another, which it keeps. Whatever is cut
// off, one of them is there.
func replace(path, fresh string, note func() error) error {
	old := path + ".old"
	_ = os.Remove(old)
	if err := os.Link(path, old); err != nil {
		return fmt.Errorf("cannot keep the program that runs: %w", err)
	}
	if err := note(); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("cannot put the new program in its place: %w", err)
	}
	return nil
}

// begun counts the starts of a program that has not proved itself. After too many the one
// before it comes back, and this one is not taken again.
func (a *agent) begun() error {
	var p pending
	own, err := program.Digest()
	if err != nil || json.Unmarshal([]byte(a.home.text(pendingFile)), &p) != nil || p.Digest != own {
		return nil //nolint:nilerr // there is nothing to count
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if p.Tries++; p.Tries <= mostTries {
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return a.home.write(pendingFile, text)
	}
	if err := os.Rename(path+".old", path); err != nil {
		return nil //nolint:nilerr // there is no other
	}
	a.log.Warn("the program before this one comes back: this one reached no server", "version", own)
	return errors.Join(a.home.write(failedFile, []byte(own)), os.Remove(a.home.path(pendingFile)), ErrUpdated)
}

// proved ends the trial of a program that has reached a server.
func (a *agent) proved() {
	if os.Remove(a.home.path(pendingFile)) != nil {
		return // there was none
	}
	if path, err := os.Executable(); err == nil {
		_ = os.Remove(path + ".old")
	}
}

// text is what a file of the home holds, "" without one.
func (h home) text(name string) string {
	b, _ := os.ReadFile(h.path(name))
	return string(b)
}
