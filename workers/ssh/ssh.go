// Package ssh brings the agent to hosts that let the server log in. A command for
// an agent with an ssh:// address that nobody holds opens this way: the server logs
// in with the key of the installation, copies its own program there unless the host
// has it, and starts it as an agent under the host's service manager, or detached
// where there is none. From then on the agent dials in by itself like any other; no
// SSH connection is kept.
//
// A host shows who it is by its host key: the first one is believed and kept in SQL,
// a different one later is refused.
package ssh

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/lock"
	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// Settings is what is read of the configuration.
type Settings interface {
	Get(name string) string
	Int(name string) int64
}

// Ways brings agents to hosts.
type Ways struct {
	Store    *store.Store
	Locks    *lock.Locks
	Settings Settings
	Log      *slog.Logger

	mu   sync.Mutex
	last map[int64]attempt // by agent
}

// attempt is how the latest one went.
type attempt struct {
	running bool
	again   time.Time // not before
	err     error
}

// longest is how long an attempt may take.
const longest = 4 * time.Minute

// Open has the agent of a host installed and started, in the background, unless
// that was tried a moment ago. It tells why the latest attempt failed, nil if none did.
func (w *Ways) Open(ctx context.Context, agent *schema.Row) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[int64]attempt{}
	}
	was := w.last[agent.ID()]
	if was.running || time.Now().Before(was.again) {
		return was.err
	}
	w.last[agent.ID()] = attempt{running: true, err: was.err}
	id, uri, account := agent.ID(), agent.Str("uri"), agent.Int("accountId")
	go func() {
		err := w.attempt(context.WithoutCancel(ctx), id, uri, account)
		w.mu.Lock()
		defer w.mu.Unlock()
		pause := time.Duration(w.Settings.Int("ssh.retry.millis")) * time.Millisecond
		w.last[id] = attempt{again: time.Now().Add(pause), err: err}
	}()
	return was.err
}

// attempt is made by one server at a time.
func (w *Ways) attempt(ctx context.Context, id int64, uri string, account int64) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	free, ok := w.Locks.Try(ctx, fmt.Sprintf("AGENT.SSH.%d", id), longest)
	if !ok {
		return nil
	}
	defer free()
	begun := time.Now()
	did, err := w.install(ctx, id, uri, account)
	if err != nil {
		w.Log.WarnContext(ctx, "agent was not started over SSH", "agent", id, "err", err)
		return err
	}
	w.Log.InfoContext(ctx, "agent is on its host", "agent", id, "did", did, "took", time.Since(begun))
	return nil
}

// install logs in, brings the program there and starts it.
func (w *Ways) install(ctx context.Context, id int64, uri string, account int64) (did string, err error) {
	to, err := parse(uri)
	if err != nil {
		return "", err
	}
	keys, err := signers(ctx, w.Store)
	if err != nil {
		return "", err
	}
	met, err := known(ctx, w.Store, to.host)
	if err != nil {
		return "", err
	}
	step := time.Duration(max(w.Settings.Int("ssh.timeout.millis"), 1000)) * time.Millisecond
	l, err := dial(ctx, to, met, keys, step)
	if err != nil {
		return "", err
	}
	defer l.close()
	if met == nil {
		if err := meet(ctx, w.Store, to.host, l.key); err != nil {
			return "", err
		}
	}
	env, err := w.environment(ctx, l, id, account)
	if err != nil {
		return "", err
	}
	return bring(ctx, l, env)
}

// environment is what the agent is started with: its keys and where the server is.
func (w *Ways) environment(ctx context.Context, l *login, id, account int64) (environment, error) {
	found, err := w.Store.Find(ctx, resource.All.Type("credential"),
		process.Match{"accountId": account, "kind": "agentApiKey", "state": "active", "removed": nil})
	if err != nil {
		return nil, err
	}
	if account == 0 || len(found) == 0 {
		return nil, fmt.Errorf("agent %d has no key to log in with", id)
	}
	key := found[len(found)-1] // the newest
	url, err := w.url(l, id)
	if err != nil {
		return nil, err
	}
	env := environment{"CATTLE_HOME": defaultHome}
	if err := env.add(w.Settings.Get("ssh.agent.env")); err != nil {
		return nil, err
	}
	env["CATTLE_URL"], env["CATTLE_ACCESS_KEY"], env["CATTLE_SECRET_KEY"] = url, key.Str("publicValue"), key.Str("secretValue")
	return env, env.check()
}
