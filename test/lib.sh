# test/lib.sh: what test/run, test/hard and test/versions share.  It is sourced.
# shellcheck shell=bash disable=SC2034,SC2154,SC2164
#
# It expects $top, the checkout; it keeps the private folder in $work, PostgreSQL's
# programs in $bindir, and in $user the account that runs everything when the caller
# is root.  Nothing but as_root runs anything as root then.
#

work=			# the private folder
user=			# the account for everything, when the caller is root
bindir=			# the server's programs
job=			# the process group of what runs now
passed=0
failed=0
told=			# why it fails has been said

#--- words -----------------------------------------------------------------------

# Says what is going on; the results themselves go to stdout.
say()
{
	printf 'airun: %s\n' "$*" >&2
}

# Says why it cannot go on, and ends.
die()
{
	say "$@"
	told=1
	exit 1
}

# Counts one verdict, ok or FAILED, and says it.
count()
{
	if [ "$1" = ok ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	printf '%-6s %s\n' "$1" "$2"
}

# The last word: how many, and the status to end with.
show_sum()
{
	echo "$passed passed, $failed failed"
	told=1
	[ "$failed" = 0 ]
}

# The sum that another script has ended with, from what it has printed.
sum_of()
{
	grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1 || true
}

# Notes a figure for the table with which test/run ends.
proven()
{
	[ -z "${AIRUN_PROVEN:-}" ] || printf '%s\t%s\n' "$1" "$2" >>"$AIRUN_PROVEN"
}

#--- running ---------------------------------------------------------------------

# Runs a command as the ordinary user.
as_user()
{
	if [ -n "$user" ]; then
		setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
	else
		"$@"
	fi
}

# Runs a command as root.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Runs a command as the ordinary user in a process group of its own, so that a
# signal to the script can end it at once with everything that it started.
run()
{
	local rc=0

	set -m
	as_user "$@" </dev/null &
	job=$!
	set +m
	wait "$job" || rc=$?
	job=
	return $rc
}

# The same, quietly: $1 names it, and the output is shown only when it fails.
quietly()
{
	local what=$1 log=$work/$1.log
	shift

	if ! run "$@" >"$log" 2>&1; then
		tail -n 60 "$log" >&2
		die "$what failed"
	fi
}

# Ends a process group, by force when it is still there after so many seconds.
end_group()
{
	local try

	kill -TERM -- "-$1" 2>/dev/null
	for ((try = 0; try < 10 * $2; try++)); do
		kill -0 -- "-$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL -- "-$1" 2>/dev/null
}

# Stops every server whose data lie in the private folder, those that tests
# started included.
stop_servers()
{
	local file pid

	[ -n "$bindir" ] || return 0
	find "$work" -name postmaster.pid -type f 2>/dev/null | while read -r file; do
		as_user "$bindir/pg_ctl" -D "$(dirname "$file")" -m immediate -w -t 60 stop >/dev/null 2>&1 ||
			{
				pid=$(head -n 1 "$file" 2>/dev/null) || continue
				if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(dirname "$file")" ]; then
					kill -KILL "$pid" 2>/dev/null || true
				fi
			}
	done
}

# Ends what runs and removes the private folder.
remove_work()
{
	[ -z "$job" ] || end_group "$job" 1
	[ -n "$work" ] || return 0
	stop_servers
	rm -rf "$work"
	work=
}

# Installs packages, quietly, with fresh package lists if the old ones don't do.
apt_install()
{
	local log try

	command -v apt-get >/dev/null || die "missing, and there is no apt-get to install it: $*"
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "missing: $*; be root, or have sudo"
	log=$(mktemp)
	say "installing $* (apt-get)"
	for try in 1 2; do
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
			install --no-install-recommends "$@" </dev/null >"$log" 2>&1 && { rm -f "$log"; return 0; }
		[ $try = 2 ] || apt_update
	done
	tail -n 40 "$log" >&2
	rm -f "$log"
	die "apt-get install failed"
}

# Fetches the package lists.
apt_update()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		update </dev/null >&2 || die "apt-get update failed"
}

#--- the private folder and what is built there ------------------------------------

# Chooses the account for everything that is not the caller's; installing
# PostgreSQL may bring a better one.
choose_user()
{
	[ "$(id -u)" = 0 ] || return 0
	user=nobody
	! id postgres >/dev/null 2>&1 || user=postgres
	[ -z "$work" ] || chown "$user" "$work"
}

# Copies the tree, without what git and make keep in it, to a folder.
copy_tree()
{
	mkdir -p "$1"
	tar -C "$top" --anchored --exclude=./.git --exclude='./airun--[0-9]*.sql' --exclude=./results \
		--exclude=./output_iso --exclude=./tmp_check --exclude=./log --exclude='./regression.*' \
		--no-anchored --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . |
		tar -C "$1" --no-same-owner -xf -
}

# From here on only the private folder counts, and nothing that the caller has set
# for PostgreSQL or make.
enter_work()
{
	mkdir "$work/home" "$work/tmp" "$work/socket"
	[ -z "$user" ] || chown -R "$user" "$work"
	unset MAKEFLAGS MFLAGS MAKELEVEL
	# shellcheck disable=SC2046
	unset $(compgen -v PG | grep -v '^PG_CONFIG$' || true)
	export HOME="$work/home" LC_ALL=C.UTF-8 PGCLIENTENCODING=UTF8
	cd "$work/tree"
}

# Builds the tree for the server of pg_config $1 and installs it into the stage; the
# rest are make's arguments.  The stage's settings make a server find it, and say
# which way rows are written (AIRUN_DIRECT); the TAP tests give them to their own
# servers too.
build()
{
	local config=$1 stage=$work/stage
	shift

	bindir=$("$config" --bindir)
	say "building for $("$config" --version)${*:+ with $*}"
	quietly build make -C "$work/tree" -j2 PG_CONFIG="$config" "$@"
	quietly install make -C "$work/tree" PG_CONFIG="$config" DESTDIR="$stage" "$@" install
	{
		if "$bindir/postgres" --describe-config | grep '^extension_control_path	' >/dev/null; then
			echo "extension_control_path = '$stage$("$config" --sharedir):\$system'"
			echo "dynamic_library_path = '$stage$("$config" --pkglibdir):\$libdir'"
		else
			echo "extension_destdir = '$stage'"
		fi
		[ "${AIRUN_DIRECT:-on}" = on ] || echo "airun.direct_writes = $AIRUN_DIRECT"
	} >"$work/stage.conf"
	export AIRUN_STAGE="$stage" AIRUN_STAGE_CONF="$work/stage.conf"
}

# Makes a cluster that finds the stage, on a private socket.  Arguments are lines for
# its configuration.
make_cluster()
{
	quietly initdb "$bindir/initdb" -D "$work/cluster" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
	{
		cat "$work/stage.conf"
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work/socket'" \
			"unix_socket_permissions = 0700" "timezone = 'UTC'" "log_timezone = 'UTC'" "$@"
	} >>"$work/cluster/postgresql.conf"
	export PGHOST="$work/socket" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

#--- tests -----------------------------------------------------------------------

# The value of one of the Makefile's variables.
make_value()
{
	make -s --no-print-directory -C "$top" ${pg_config:+PG_CONFIG="$pg_config"} \
		--eval="airun-value: ; @echo \$($1)" airun-value
}

# Sorts the names given into $regress, $isolation and $tap; no names means all tests.
# A regression test has "helpers" before it; those that show which way rows are
# written (DIRECT_ONLY in the Makefile) run where nothing has been set, and so do, where
# no names are given, those for which that does not matter (ONCE).
choose_tests()
{
	local name before once=''

	regress='' isolation='' tap=''
	[ $# -gt 0 ] || once=$(make_value ONCE)
	# shellcheck disable=SC2046
	[ $# -gt 0 ] || set -- $(make_value REGRESS) $(make_value ISOLATION) "$top"/test/t/*.pl
	for name; do
		name=$(basename "$name")
		name=${name%.*}
		before=$regress$isolation$tap
		case " $regress $name " in
			*" $name "*" $name "*) continue ;;
		esac
		[ ! -f "$top/sql/$name.sql" ] || regress="$regress $name"
		[ ! -f "$top/test/specs/$name.spec" ] || isolation="$isolation $name"
		[ ! -f "$top/test/t/$name.pl" ] || tap="$tap test/t/$name.pl"
		[ "$regress$isolation$tap" != "$before" ] ||
			die "no test $name in sql/, test/specs/ or test/t/"
	done
	if [ "${AIRUN_DIRECT:-on}" != on ]; then
		for name in $(make_value DIRECT_ONLY) $once; do
			regress=$(sed "s/ $name\>//" <<<"$regress")
			tap=$(sed "s# test/t/$name.pl##" <<<"$tap")
		done
	fi
	[ -z "$regress" ] || regress="helpers${regress/ helpers/}"
}
