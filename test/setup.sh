# shellcheck shell=sh
# Sourced by the test scripts, which set TOP first: finds a PostgreSQL server
# or installs one, builds the extension, and runs a private copy of the server
# with the extension in it.
#
#	need_server demo|check		sets PG_CONFIG; "check": IPC::Run for TAP tests too
#	build_extension NAME		builds into build/NAME; sets BUILD
#	make_private_server		copies the server tree, installs BUILD into it
#	start_server			initdb and start; sets SOCKET, port is 5432
#	as_server_user COMMAND...	runs it as the user the server runs as
#
# PostgreSQL finds its share and library folders relative to its own binary, so
# a copy of the tree is a complete server.  It lives under a fresh folder in
# /tmp: a socket path must be short (107 bytes), and the server's user must be
# able to read it, wherever the checkout lies.  All of it goes at exit.

: "${TOP:?set TOP before sourcing setup.sh}"

WORK=
SERVER_DATA=
SERVER_ENV=					# what only the server process gets
SMALL_DISK=					# a file system of 16 MB, or empty
SETUP_DROPIN=
CREATECLUSTER_D=/etc/postgresql-common/createcluster.d

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# Nothing of the caller's environment may steer clients elsewhere; PGOPTIONS
# stays, the tests of the instruction sets use it.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGDATA PGPASSWORD PGPASSFILE \
	PGSERVICE PGSERVICEFILE PGSSLMODE PGTZ PGDATESTYLE PGCLIENTENCODING PGAPPNAME PERL5LIB || true
LC_ALL=C
export LC_ALL

# make's own variables would reach the inner builds
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES || true

# ---------------------------------------------------------------------------
# finding and installing

# true if $1 is the pg_config of a server that can run and be built against
usable_server()
{
	[ -x "$1" ] || return 1
	_bin=$("$1" --bindir 2>/dev/null) || return 1
	[ -x "$_bin/postgres" ] && [ -x "$_bin/initdb" ] && [ -f "$("$1" --pgxs)" ] &&
		[ -f "$("$1" --includedir-server)/postgres.h" ]
}

# the highest installed version, or what PG_CONFIG names
find_server()
{
	if [ -n "${PG_CONFIG:-}" ]
	then
		_candidates=$(command -v "$PG_CONFIG") || die "PG_CONFIG=$PG_CONFIG: no such program"
	else
		_candidates=$(find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null |
			sort -t/ -k5,5nr)
		_candidates="$_candidates $(command -v pg_config || true)"
	fi
	for _c in $_candidates
	do
		if usable_server "$_c"
		then
			PG_CONFIG=$_c
			return 0
		fi
	done
	return 1
}

# the Debian packages that are missing, for the highest server already there,
# else for the distribution's default version
missing_packages()
{
	if ! find_server
	then
		_major=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null |
			cut -d/ -f5 | sort -nr | head -n 1)
		if [ -z "$_major" ]
		then
			_major=$(apt-cache depends postgresql 2>/dev/null |
				sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
		fi
		printf 'postgresql-%s postgresql-server-dev-%s ' "${_major:-NN}" "${_major:-NN}"
	fi
	if [ "$1" = check ] && ! perl -MIPC::Run -MTest::More -e 1 2>/dev/null
	then
		printf 'libipc-run-perl '
	fi
	if ! command -v "${CC:-cc}" >/dev/null 2>&1
	then
		printf 'gcc libc6-dev '
	fi
}

# apt, as root or through a sudo that asks nothing; without creating or
# starting a database cluster the user did not ask for
apt_install()
{
	_sudo=
	if [ "$(id -u)" -ne 0 ]
	then
		_sudo='sudo -n'
	fi
	_apt="$_sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120"

	# shellcheck disable=SC2086
	$_apt install --no-install-recommends postgresql-common </dev/null
	if grep -q "^include_dir.*$CREATECLUSTER_D" /etc/postgresql-common/createcluster.conf 2>/dev/null
	then
		$_sudo mkdir -p "$CREATECLUSTER_D"
		SETUP_DROPIN=$CREATECLUSTER_D/vecext-setup.conf
		echo 'create_main_cluster = false' | $_sudo tee "$SETUP_DROPIN" >/dev/null
	fi
	# shellcheck disable=SC2086
	$_apt install --no-install-recommends "$@" </dev/null
	remove_dropin
}

remove_dropin()
{
	[ -n "$SETUP_DROPIN" ] || return 0
	_sudo=
	[ "$(id -u)" -eq 0 ] || _sudo='sudo -n'
	$_sudo rm -f "$SETUP_DROPIN"
	$_sudo rmdir "$CREATECLUSTER_D" 2>/dev/null || true
	SETUP_DROPIN=
}

need_server()
{
	_missing=$(missing_packages "$1")
	if [ -n "$_missing" ]
	then
		[ -z "${PG_CONFIG:-}" ] || find_server ||
			die "PG_CONFIG=$PG_CONFIG is not a server with headers: unset it or name another"
		command -v apt-get >/dev/null 2>&1 ||
			die "Missing here: PostgreSQL 15 or later with server headers, perl's IPC::Run, a C compiler." \
				"Install them, set PG_CONFIG if pg_config is not on the path, and try again."

		_can=no
		if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
		then
			_can=yes
			say "Installing: $_missing"
			_log=$(mktemp)
			_update=apt-get
			[ "$(id -u)" -eq 0 ] || _update='sudo -n apt-get'
			# a mirror that does not answer may still have left usable lists
			$_update -q -y update </dev/null >"$_log" 2>&1 || true
			_missing=$(missing_packages "$1")
			case $_missing in
			*-NN*)	cat "$_log" >&2
					die "apt knows no package postgresql: see the messages above" ;;
			esac
			# shellcheck disable=SC2086
			if ! apt_install $_missing >>"$_log" 2>&1
			then
				remove_dropin
				tail -n 40 "$_log" >&2
				die "Installation failed, see above (everything: $_log)"
			fi
			rm -f "$_log"
		fi
		[ "$_can" = yes ] || die "Missing packages, and no right to install them. Please run

    sudo apt-get install --no-install-recommends $_missing

and try again."
		_still=$(missing_packages "$1")
		[ -z "$_still" ] || die "Still missing after installation: $_still"
	fi
	find_server || die "no PostgreSQL server found"

	PG_BIN=$("$PG_CONFIG" --bindir)
	PG_LIB=$("$PG_CONFIG" --pkglibdir)
	PG_SHARE=$("$PG_CONFIG" --sharedir)
	PG_PGXS=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")
	PG_VERSION=$("$PG_CONFIG" --version)
	PG_MAJOR=$(say "$PG_VERSION" | sed 's/^PostgreSQL \([0-9]*\).*/\1/')

	# bitcode needs the very clang the server was built with
	WITH_LLVM=${VECEXT_LLVM:-}
	_clang=$(sed -n 's/^CLANG *= *//p' "$PG_PGXS/Makefile.global")
	if [ -n "$_clang" ] && ! command -v "$_clang" >/dev/null 2>&1
	then
		WITH_LLVM=no
	fi
	[ "$PG_MAJOR" -ge 15 ] || die "vecext needs PostgreSQL 15 or later; $PG_CONFIG is $PG_VERSION"
}

# ---------------------------------------------------------------------------
# building

# Copies the sources of the extension below build/ and builds there, so that
# builds with different servers and flags do not meet.  Objects of an earlier
# run are used again if nothing that matters has changed.  From the
# environment: STRICT, OPENMP, COPT, and VECEXT_CC and VECEXT_LLVM=no.
build_extension()
{
	BUILD=$TOP/build
	if ! mkdir -p "$BUILD" 2>/dev/null || ! [ -w "$BUILD" ]
	then
		make_work_folder
		BUILD=$WORK/build
	fi
	BUILD=$BUILD/$1

	_stamp="$PG_CONFIG $PG_VERSION $WITH_LLVM|${STRICT:-}|${OPENMP:-}|${COPT:-}|${VECEXT_CC:-}"
	if [ "$(cat "$BUILD/.stamp" 2>/dev/null)" != "$_stamp" ]
	then
		rm -rf "$BUILD"
	fi
	mkdir -p "$BUILD"
	find "$BUILD" -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' -delete
	(cd "$TOP" && tar -cf - --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		Makefile vecext.control src) | tar -C "$BUILD" -xf -
	say "$_stamp" >"$BUILD/.stamp"

	if ! pgxs_make "$BUILD" -j"$(getconf _NPROCESSORS_ONLN)" all >"$BUILD/make.log" 2>&1
	then
		head -n 60 "$BUILD/make.log" >&2
		die "The build failed; everything it said: $BUILD/make.log"
	fi
	cat "$BUILD/make.log" >&2		# warnings
}

# pgxs_make DIR ARG...
pgxs_make()
{
	_dir=$1
	shift
	make -C "$_dir" -s PG_CONFIG="$PG_CONFIG" ${STRICT:+STRICT=1} ${OPENMP:+OPENMP=1} \
		${WITH_LLVM:+with_llvm=$WITH_LLVM} ${VECEXT_CC:+CC="$VECEXT_CC"} "$@"
}

# ---------------------------------------------------------------------------
# running

make_work_folder()
{
	[ -z "$WORK" ] || return 0
	WORK=$(mktemp -d /tmp/vecext.XXXXXX)
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$WORK"

	SERVER_USER=$(id -un)
	if [ "$(id -u)" -eq 0 ]
	then
		SERVER_USER=nobody
		if id postgres >/dev/null 2>&1
		then
			SERVER_USER=postgres
		fi
	fi
	SOCKET=$WORK/s
	mkdir "$SOCKET" "$WORK/run" "$WORK/home"
	if [ "$(id -u)" -eq 0 ]
	then
		chown "$SERVER_USER" "$SOCKET" "$WORK/run" "$WORK/home"
	fi
}

as_server_user()
{
	if [ "$(id -u)" -eq 0 ]
	then
		# shellcheck disable=SC2016
		setpriv --reuid="$(id -u "$SERVER_USER")" --regid="$(id -g "$SERVER_USER")" \
			--clear-groups env HOME="$WORK/home" TMPDIR=/tmp \
			sh -c 'cd "$HOME" && exec "$@"' sh "$@"
	else
		"$@"
	fi
}

make_private_server()
{
	make_work_folder
	PRIVATE=$WORK/pg
	for _d in "$PG_BIN" "$PG_LIB" "$PG_SHARE"
	do
		mkdir -p "$PRIVATE$_d"
		cp -a "$_d/." "$PRIVATE$_d/"
	done
	# not the one that may be installed
	rm -rf "$PRIVATE$PG_LIB/vecext.so" "$PRIVATE$PG_LIB/bitcode/vecext" \
		"$PRIVATE$PG_LIB"/bitcode/vecext.index.bc "$PRIVATE$PG_SHARE"/extension/vecext*
	install_private "$BUILD"
	BIN=$PRIVATE$PG_BIN
	PATH=$BIN:$PATH
	export PATH
}

# mounts a file system of 16 MB that the server's user owns; sets SMALL_DISK, or
# leaves it empty where mounting is not allowed
make_small_disk()
{
	mkdir "$WORK/small"
	if mount -t tmpfs -o "size=16m,mode=700,uid=$(id -u "$SERVER_USER")" tmpfs "$WORK/small" \
		2>/dev/null
	then
		SMALL_DISK=$WORK/small
	fi
}

# "make install" of the module built in folder $1 into the private tree
install_private()
{
	if ! pgxs_make "$1" install DESTDIR="$PRIVATE" >"$WORK/install.log" 2>&1
	then
		cat "$WORK/install.log" >&2
		die "make install into the private copy failed"
	fi
}

start_server()
{
	SERVER_DATA=$WORK/run/data
	as_server_user "$BIN/initdb" -D "$SERVER_DATA" -U postgres -A trust --no-sync --no-locale \
		-E UTF8 >"$WORK/initdb.log" 2>&1 || {
		cat "$WORK/initdb.log" >&2
		die "initdb failed"
	}
	cat >>"$SERVER_DATA/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$SOCKET'
		port = 5432
		fsync = off
		max_wal_size = 2GB
		log_line_prefix = '%m [%p] %a '
		max_prepared_transactions = 2
	CONF
	# shellcheck disable=SC2086
	as_server_user env $SERVER_ENV \
		"$BIN/pg_ctl" -D "$SERVER_DATA" -l "$WORK/run/server.log" -w -t 120 start \
		>"$WORK/start.log" 2>&1 || {
		cat "$WORK/start.log" "$WORK/run/server.log" >&2
		die "the private server did not start"
	}
	PGHOST=$SOCKET
	PGPORT=5432
	PGUSER=postgres
	export PGHOST PGPORT PGUSER
}

stop_server()
{
	[ -n "$SERVER_DATA" ] || return 0
	if [ -f "$SERVER_DATA/postmaster.pid" ]
	then
		as_server_user "$BIN/pg_ctl" -D "$SERVER_DATA" -m immediate -w stop >/dev/null 2>&1 || true
	fi
	SERVER_DATA=
}

cleanup()
{
	_status=$?
	trap - EXIT
	remove_dropin
	stop_server
	cd /
	[ -z "$SMALL_DISK" ] || umount "$SMALL_DISK" || umount -l "$SMALL_DISK" || true
	SMALL_DISK=
	if [ -n "${VECEXT_KEEP:-}" ]
	then
		say "kept: $WORK" >&2
	else
		rm -rf "$WORK"
	fi
	exit "$_status"
}
