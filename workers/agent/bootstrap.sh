#!/bin/sh
# Runs an agent of the server on this host, with the keys that the environment names: for the
# image of older agents, which asks for this script when it has registered, and again when the
# agent ends. The program is kept in CATTLE_HOME; the server brings newer ones by itself.
set -e
[ -z "$CATTLE_SCRIPT_DEBUG" ] || set -x
export CATTLE_HOME="${CATTLE_HOME:-/var/lib/cattle}"
for settings in /etc/cattle/agent/bootstrap.conf "$CATTLE_HOME/etc/cattle/agent/bootstrap.conf"; do
    [ ! -r "$settings" ] || . "$settings"
done

# In the container of such an image the agent has the network and the name of the host.
if [ -z "$CATTLE_ENTERED" ] && [ -e /host/proc/1/ns/net ] && [ -e /host/proc/1/ns/uts ] && command -v nsenter >/dev/null; then
    export CATTLE_ENTERED=true
    exec nsenter --net=/host/proc/1/ns/net --uts=/host/proc/1/ns/uts -- sh "$0" "$@"
fi

while [ $# -gt 0 ]; do
    case "$1" in
    --port) export CATTLE_AGENT_PORT="${CATTLE_AGENT_PORT:-$2}" && shift ;;
    --ip) export CATTLE_AGENT_IP="${CATTLE_AGENT_IP:-$2}" && shift ;;
    --read-env) read -r line && eval "$line" ;;
    esac
    shift
done

fail() { echo "bootstrap: $1" >&2 && exit 1; }
[ -n "$CATTLE_URL" ] || fail "CATTLE_URL has to name the server"
[ -n "$CATTLE_ACCESS_KEY" ] && [ -n "$CATTLE_SECRET_KEY" ] || fail "CATTLE_ACCESS_KEY and CATTLE_SECRET_KEY have to name a key of the agent"

program=$CATTLE_HOME/bin/cattle
if ! "$program" version >/dev/null 2>&1; then
    mkdir -p "$CATTLE_HOME/bin"
    server=${CATTLE_URL%/}
    # The key is no argument, which every user of the host could read.
    printf 'user = "%s:%s"\n' "$CATTLE_ACCESS_KEY" "$CATTLE_SECRET_KEY" |
        curl -fsS -K - -o "$program.new" "${server%/v1}/v1/agentprogram" || fail "the server does not give its program"
    chmod 755 "$program.new"
    "$program.new" version >/dev/null || fail "the server's program does not run on this host"
    mv -f "$program.new" "$program"
fi
case "$0" in
/tmp/*) rm -f "$0" ;;
esac
exec "$program" agent
