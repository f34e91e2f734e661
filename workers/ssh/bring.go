package ssh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/program"
)

const defaultHome = "/var/lib/cattle"

// copying is how long the program may take to get to a host.
const copying = 2 * time.Minute

// environment is what a program is started with.
type environment map[string]string

// add takes in NAME=VALUE words.
func (e environment) add(words string) error {
	for _, word := range strings.Fields(words) {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fmt.Errorf("ssh.agent.env holds %q, which is not NAME=VALUE", word)
		}
		e[name] = value
	}
	return nil
}

// check refuses what a shell or a service manager could read in another way.
func (e environment) check() error {
	for name, value := range e {
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") != "" || strings.ContainsAny(value, "'\\\r\n\x00") {
			return fmt.Errorf("the agent's variable %q cannot be handed on", name)
		}
	}
	if !strings.HasPrefix(e["CATTLE_HOME"], "/") || strings.ContainsAny(e["CATTLE_HOME"], " %\"$") {
		return errors.New("CATTLE_HOME in ssh.agent.env is no plain absolute path")
	}
	return nil
}

// text is the file of an environment, read by shells and service managers alike.
func (e environment) text() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(&b, "%s='%s'\n", name, e[name])
	}
	return b.String()
}

// direct is where an agent finds the server by itself: what is set, else the address by
// which we have reached its host.
func (w *Ways) direct(l *login, a agent) (string, error) {
	if url := w.set(a); url != "" {
		return url, nil
	}
	ours, ok := l.local.(*net.TCPAddr)
	if !ok {
		return "", errors.New("cannot tell the agent where the server is: set cattle.url")
	}
	host := w.Settings.Get("http.host")
	switch ip := net.ParseIP(host); {
	case ip != nil && ip.IsUnspecified():
		host = ours.IP.String()
	case (host == "localhost" || ip != nil && ip.IsLoopback()) && !ours.IP.IsLoopback():
		return "", fmt.Errorf("the server listens on %s, where the host cannot reach it: set http.host, or cattle.url", host)
	}
	return "http://" + net.JoinHostPort(host, w.Settings.Get("http.port")) + "/v1", nil
}

// machines are the names that hosts have for the machines a program is built for.
var machines = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}

const probeScript = `uname -s
uname -m
[ ! -e "$1/agent.env" ] || grep -q '^CATTLE_AGENT_PORT=' "$1/agent.env" && echo - || echo direct
sha256sum "$1/bin/cattle" 2>/dev/null | cut -d" " -f1`

const copyScript = `set -e
umask 022
mkdir -p "$1/bin"
cat >"$1/bin/cattle.new"
[ "$(sha256sum <"$1/bin/cattle.new" | cut -d" " -f1)" = "$2" ] || { echo "the program arrived damaged" >&2; exit 1; }
chmod 755 "$1/bin/cattle.new"
mv -f "$1/bin/cattle.new" "$1/bin/cattle"`

// startScript starts the program, or anew where it or its environment is another. Of a
// tunnel the port may be: the agent finds it in the file.
const startScript = `set -e
home=$1 bin=$1/bin/cattle env=$1/agent.env again=$2
umask 077
cat >"$env.new"
kept() { if grep -q '^CATTLE_AGENT_PORT=' "$1"; then sed -e 's/^CATTLE_URL=.*/CATTLE_URL/' -e 's/^CATTLE_AGENT_PORT=.*/CATTLE_AGENT_PORT/' "$1"; else cat "$1"; fi; }
[ -e "$env" ] && [ "$(kept "$env")" = "$(kept "$env.new")" ] || again=yes
mv -f "$env.new" "$env"
if [ -d /run/systemd/system ]; then
	umask 022
	printf '%s\n' '[Unit]' 'Description=Cattle agent' 'After=network-online.target docker.service' '[Service]' \
		"EnvironmentFile=$env" "ExecStart=$bin agent" 'Restart=always' 'RestartSec=2' 'KillMode=process' \
		'[Install]' 'WantedBy=multi-user.target' >/etc/systemd/system/cattle-agent.service
	systemctl daemon-reload
	systemctl enable cattle-agent.service >/dev/null 2>&1
	if [ "$again" ]; then systemctl restart cattle-agent.service; else systemctl start cattle-agent.service; fi
	echo service
	exit
fi
pid=$(cat "$home/agent.pid" 2>/dev/null || true)
runs() { [ "$pid" ] && case $(readlink "/proc/$pid/exe" 2>/dev/null) in "$bin" | "$bin (deleted)") ;; *) return 1 ;; esac; }
if runs; then
	if [ -z "$again" ]; then echo running; exit; fi
	kill "$pid"
	tries=0
	while runs && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
	if runs; then kill -9 "$pid"; fi
fi
cd /
setsid sh -c 'echo $$ >"$1/agent.pid"; set -a; . "$1/agent.env"; set +a; exec "$1/bin/cattle" agent' sh "$home" >>"$home/agent.log" 2>&1 </dev/null &
echo detached`

// facts are what is to be known of a host.
type facts struct {
	program string // digest of the one that is there
	direct  bool   // its agent was told to reach the server by itself
}

// look looks around on a host.
func look(ctx context.Context, l *login, home string) (facts, error) {
	told, err := l.run(ctx, l.step, nil, probeScript, home)
	if err != nil {
		return facts{}, fmt.Errorf("cannot look around on the host as root: %w", err)
	}
	words := append(strings.Fields(told), "", "", "", "")
	if !strings.EqualFold(words[0], runtime.GOOS) || machines[words[1]] != runtime.GOARCH {
		return facts{}, fmt.Errorf("the host is a %s %s; this server brings a program for %s %s", words[0], words[1], runtime.GOOS, runtime.GOARCH)
	}
	return facts{program: words[3], direct: words[2] == "direct"}, nil
}

// bring copies the program unless the host has it, and starts it unless it runs so
// already.
func bring(ctx context.Context, l *login, there facts, env environment) (did string, err error) {
	home := env["CATTLE_HOME"]
	digest, err := program.Digest()
	if err != nil {
		return "", fmt.Errorf("cannot read our own program: %w", err)
	}
	again := ""
	if there.program != digest {
		again = "yes"
		if err := transfer(ctx, l, home, digest); err != nil {
			return "", fmt.Errorf("cannot copy the agent to the host: %w", err)
		}
	}
	if did, err = l.run(ctx, 2*l.step, strings.NewReader(env.text()), startScript, home, again); err != nil {
		return "", fmt.Errorf("cannot start the agent on the host: %w", err)
	}
	return did, nil
}

func transfer(ctx context.Context, l *login, home, digest string) error {
	f, err := program.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = l.run(ctx, copying, f, copyScript, home, digest)
	return err
}
