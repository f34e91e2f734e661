# Shared by the scripts beside it; sourced, never run.
#
# Everything that outlives a command is kept in $state, outside the repository, so that all clones on
# a machine share the same servers. For root that is under /var/lib: root's home is closed to the
# postgres user, as whom the database must run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ "$(id -u)" = 0 ]; then
	state=${XDG_STATE_HOME:-/var/lib}/cattle-dev
else
	state=${XDG_STATE_HOME:-$HOME/.local/state}/cattle-dev
fi

say() { echo "${0##*/}: $*" >&2; }

die() {
	say "$*"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# running PID: a dead process that nobody has taken note of yet still takes signals.
running() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

# alive PIDFILE NAME: is the process of that file running? After a restart of the machine its number may
# be somebody else's, so the name is compared as well.
alive() {
	local pid name
	[ -s "$1" ] || return 1
	pid=$(head -n 1 "$1")
	running "$pid" || return 1
	name=$(cat "/proc/$pid/comm" 2>/dev/null || ps -o comm= -p "$pid" 2>/dev/null) || return 1
	[ "${name##*/}" = "$2" ]
}

# detach LOG COMMAND...: starts a daemon that holds neither our terminal, our output nor our lock;
# whoever reads our output would otherwise wait for the daemon's end. Its pid is in $detached.
detach() {
	local log=$1
	shift
	if have setsid; then
		setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
	else
		nohup "$@" </dev/null >>"$log" 2>&1 9>&- &
	fi
	detached=$!
}

# wait_for SECONDS COMMAND...: repeats a command until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# stop PIDFILE NAME SIGNAL: ends the process of that file, forcibly when it takes more than 20 s.
stop() {
	local pid
	if alive "$1" "$2"; then
		pid=$(head -n 1 "$1")
		kill "-$3" "$pid" 2>/dev/null || true
		wait_for 20 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$1"
}

gone() { ! running "$1"; }

# Docker: a client may be on PATH without an engine behind it.
engine_up() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# libvirt: it is there if it and QEMU say who they are.
libvirt_up() { virsh --connect qemu:///system version >/dev/null 2>&1; }
