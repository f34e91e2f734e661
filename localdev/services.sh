# A Postgres and a Redis for one purpose, shared by the scripts beside it; sourced after lib.sh.
# They are started by hand on loopback ports that are free, reused while they live, and keep out of the
# way of any other server on the machine. Where their programs are missing, containers stand in.

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# listening_or_gone PORT PID: a server that has ended need not be waited for.
listening_or_gone() { listening "$1" || gone "$2"; }

# port FILE: the port kept in that file, or a new one when there is none or somebody else took it.
# Below 32768, where the kernel begins to hand out ports to clients.
port() {
	local number
	number=$(cat "$1" 2>/dev/null || true)
	while [ -z "$number" ] || listening "$number"; do
		number=$((20000 + RANDOM % 12000))
	done
	echo "$number" | tee "$1"
}

# postgres_bin: the folder of the newest Postgres server here. Debian keeps it off PATH.
postgres_bin() {
	local dir
	dir=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
	if [ -n "$dir" ] && [ -x "$dir/initdb" ]; then
		echo "$dir"
	elif have initdb; then
		dirname "$(command -v initdb)"
	else
		return 1
	fi
}

# as_postgres COMMAND...: Postgres refuses to run as root.
as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid postgres --regid postgres --init-groups -- "$@"
	else
		"$@"
	fi
}

# start_postgres DIR: a database server of our own in DIR, reached on a loopback port of its choice
# without a password. Prints its port. Running already is success.
# Commits wait for the disk unless CATTLE_DEV_FSYNC=off, so that what is measured here is real.
start_postgres() {
	local dir=$1 bin major number
	bin=$(postgres_bin) || return 1
	major=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
	mkdir -p "$dir"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$dir"; fi
	if [ "$(cat "$dir/major" 2>/dev/null)" != "$major" ] || [ ! -s "$dir/data/PG_VERSION" ]; then
		# Only test data lives here: a new major version starts afresh.
		stop "$dir/data/postmaster.pid" postgres INT
		rm -rf "$dir/data"
		(cd "$dir" && as_postgres "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
			</dev/null >"$dir/initdb.log" 2>&1 9>&-) || { tail -n 5 "$dir/initdb.log" >&2; return 1; }
		echo "$major" >"$dir/major"
	fi
	if alive "$dir/data/postmaster.pid" postgres && listening "$(cat "$dir/port")"; then
		cat "$dir/port"
		return
	fi
	number=$(port "$dir/port")
	(cd "$dir" && as_postgres "$bin/pg_ctl" start -w -t 60 -D "$dir/data" -l "$dir/log" -o "-h 127.0.0.1 -p $number \
		-k '' -c max_connections=300 -c fsync=${CATTLE_DEV_FSYNC:-on}" </dev/null >"$dir/start.log" 2>&1 9>&-) ||
		{ tail -n 5 "$dir/log" >&2; return 1; }
	echo "$number"
}

# start_redis DIR: the same for Redis, which keeps nothing: what must last is in SQL.
start_redis() {
	local dir=$1 number
	have redis-server || return 1
	mkdir -p "$dir"
	if alive "$dir/pid" redis-server && listening "$(cat "$dir/port")"; then
		cat "$dir/port"
		return
	fi
	number=$(port "$dir/port")
	detach "$dir/log" redis-server --bind 127.0.0.1 --port "$number" --save '' --appendonly no --dir "$dir"
	echo "$detached" >"$dir/pid"
	wait_for 20 listening_or_gone "$number" "$detached" || true
	listening "$number" || { tail -n 5 "$dir/log" >&2; return 1; }
	echo "$number"
}

# container NAME PORT PROBE IMAGE OPTION... -- ARGUMENT...: keeps a container of that name running
# and prints the loopback port it is reached on.
container() {
	local name=cattle-dev-$1 inner=$2 probe=$3 image=$4 options=()
	shift 4
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	docker start "$name" >/dev/null 2>&1 ||
		docker run -d --name "$name" -p "127.0.0.1::$inner" "${options[@]}" "$image" "$@" >/dev/null || return 1
	# The probe runs inside: from outside, Docker's proxy accepts before the server does.
	wait_for 60 docker exec "$name" sh -c "$probe" || return 1
	docker port "$name" "$inner/tcp" | head -n 1 | sed 's/.*://'
}

# with_docker: may a container stand in for a server that this machine lacks?
with_docker() { engine_up && "$root/localdev/images/build" "$1"; }

# start_services PURPOSE: both servers, whose addresses go to $state/PURPOSE/env.
start_services() {
	local dir=$state/$1 postgres redis
	mkdir -p "$dir"
	postgres=$(start_postgres "$dir/postgres") ||
		postgres=$(with_docker postgres && container "$1-postgres" 5432 'pg_isready -h 127.0.0.1' \
			cattle-test/postgres:15 -e POSTGRES_HOST_AUTH_METHOD=trust -- -c max_connections=300) ||
		die "cannot start Postgres: install its server, or start Docker"
	redis=$(start_redis "$dir/redis") ||
		redis=$(with_docker redis && container "$1-redis" 6379 'redis-cli ping' cattle-test/redis:7 \
			--label cattle-dev -- redis-server --protected-mode no --save '' --appendonly no) ||
		die "cannot start Redis: install redis-server, or start Docker"
	{
		echo "postgres_url=postgres://postgres@127.0.0.1:$postgres/postgres?sslmode=disable"
		echo "redis_url=redis://127.0.0.1:$redis/0"
	} >"$dir/env"
	say "Postgres on port $postgres, Redis on port $redis"
}

# stop_services PURPOSE: ends what start_services started, and nothing else.
stop_services() {
	local dir=$state/$1
	stop "$dir/postgres/data/postmaster.pid" postgres INT
	stop "$dir/redis/pid" redis-server TERM
	if engine_up; then
		docker stop "cattle-dev-$1-postgres" "cattle-dev-$1-redis" >/dev/null 2>&1 || true
	fi
}
