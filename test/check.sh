#!/bin/sh
# Runs the tests in a throw-away server and ends with "N passed, N failed".
#
#	check.sh [PART...]
#
# Parts: unit regress isolation tap layers symbols tests meta; all by default.
# "regress:NAME" and "tap:NNN" run one.  From the environment:
#
#	VECEXT_SIMD=NAME	forces that instruction set, and checks that it runs
#	VECEXT_NO_SKIP=1	a skipped test counts as a failure
#	VECEXT_VARIANT=NAME	name of the folder below build/
#	VECEXT_KEEP=1		leaves the server's folder behind
#	VECEXT_SERVER_ENV=...	NAME=VALUE words for the environment of the server alone
#	PG_CONFIG, STRICT, OPENMP, COPT, VECEXT_CC, VECEXT_LLVM: see setup.sh
set -eu
TOP=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$TOP/test/setup.sh"

[ $# -gt 0 ] || set -- unit regress isolation tap layers symbols tests meta
parts=" $* "

# wants PART: was it asked for, whole or by name?
wants()
{
	case $parts in
	*" $1 "* | *" $1:"*) return 0 ;;
	esac
	return 1
}

# chosen PART DEFAULT...: the names asked for with PART:NAME, or all
chosen()
{
	_part=$1
	shift
	_names=$(say "$parts" | tr ' ' '\n' | sed -n "s/^$_part://p")
	say "${_names:-$*}"
}

started=$(date +%s)
need_server check
make_work_folder
SERVER_ENV=${VECEXT_SERVER_ENV:-}
results=$WORK/results
mkdir "$results"
: >"$results/report"

if wants regress || wants isolation || wants tap || wants symbols
then
	say "Building for $PG_VERSION"
	build_extension "${VECEXT_VARIANT:-pg$PG_MAJOR}"
fi

if wants regress || wants isolation || wants tap
then
	make_private_server
	STAGE=$WORK/stage
	mkdir "$STAGE"
	(cd "$TOP" && tar -cf - META.json vecext.control src/sql sql expected test) |
		tar -C "$STAGE" -xf -
	chmod -R a+rX "$STAGE"
	for dir in regress isolation tap
	do
		mkdir "$WORK/run/$dir"
		[ "$(id -u)" -ne 0 ] || chown "$SERVER_USER" "$WORK/run/$dir"
	done
fi
if wants tap
then
	for module in "$TOP"/test/modules/*/
	do
		[ -d "$module" ] || continue
		copy=$WORK/modules/$(basename "$module")
		mkdir -p "$copy"
		cp -a "$module/." "$copy/"
		install_private "$copy"
	done
fi
# a disk to fill, for t/125 and t/224_*_disk_full.pl; who may not mount has none
if wants tap
then
	[ "$(id -u)" -ne 0 ] || make_small_disk
	[ -n "$SMALL_DISK" ] ||
		say "NOT RUN: indexes on a full file system (t/125, t/224_*_disk_full.pl; only root can mount one)"
fi
if [ -n "${VECEXT_SIMD:-}" ]
then
	PGOPTIONS="${PGOPTIONS:-} -c vecext.simd=$VECEXT_SIMD"
	export PGOPTIONS
fi

# ---------------------------------------------------------------------------
# the parts; each writes $results/KIND.NAME.log and .status

# record KIND NAME COMMAND...
record()
{
	_log=$results/$1.$2
	shift 2
	_rc=0
	"$@" >"$_log.log" 2>&1 || _rc=$?
	say "$_rc" >"$_log.status"
}

# one check script is one test
as_one_test()
{
	echo 1..1
	if _out=$(shift; "$@" 2>&1)
	then
		echo "ok 1 - $1"
	else
		echo "not ok 1 - $1"
	fi
	[ -z "$_out" ] || say "$_out" | sed 's/^/# /'
}

record_script()
{
	record tap "$1" as_one_test "$@"
}

run_unit()
{
	record unit unit env CC="${VECEXT_CC:-cc}" sh "$TOP/test/unit/run.sh" "$WORK/unit"
}

# the library must run the kernels that were asked for, not a fallback
check_simd()
{
	echo 1..1
	as_server_user psql -Xqd postgres -c 'CREATE EXTENSION vecext'
	_runs=$(as_server_user psql -XAtqd postgres -c 'SELECT vecext_simd()')
	if [ "$_runs" = "$VECEXT_SIMD" ]
	then
		echo "ok 1 - vecext_simd() is $VECEXT_SIMD"
	else
		echo "not ok 1 - vecext_simd() is $_runs, not $VECEXT_SIMD"
	fi
}

run_regress()
{
	[ -z "${VECEXT_SIMD:-}" ] || record tap simd check_simd
	# shellcheck disable=SC2046
	record regress regress as_server_user "$PG_PGXS/test/regress/pg_regress" \
		--bindir="$BIN" --inputdir="$STAGE" --outputdir="$WORK/run/regress" \
		--host="$SOCKET" --port=5432 --user=postgres \
		--dbname=vecext_regress --load-extension=vecext \
		$(chosen regress $(cd "$TOP/sql" && find . -maxdepth 1 -name '*.sql' |
			sed 's,^\./,,; s,\.sql$,,' | sort))
}

run_isolation()
{
	# shellcheck disable=SC2046
	record regress isolation as_server_user "$PG_PGXS/test/isolation/pg_isolation_regress" \
		--bindir="$BIN" --inputdir="$STAGE/test" --outputdir="$WORK/run/isolation" \
		--host="$SOCKET" --port=5432 --user=postgres \
		--dbname=vecext_isolation --load-extension=vecext \
		$(chosen isolation $(cd "$TOP/test/specs" && find . -name '*.spec' |
			sed 's,^\./,,; s,\.spec$,,' | sort))
}

# one TAP file; PGXS would set the same variables
run_tap_file()
{
	_own=$WORK/run/tap/$1
	as_server_user mkdir -p "$_own/log"
	record tap "$1" as_server_user env \
		TESTDIR="$_own" TESTDATADIR="$_own" TESTLOGDIR="$_own/log" \
		PG_TEST_PORT_DIR="$WORK/run/ports" PGPORT=65432 \
		PG_REGRESS="$PG_PGXS/test/regress/pg_regress" \
		VECEXT_SQL="$STAGE/src/sql" VECEXT_SMALL_DISK="$SMALL_DISK" \
		perl -I "$PG_PGXS/test/perl" -I "$STAGE/test/perl" "$STAGE/test/t/$1.pl"
}

# one file in each half at a time: a server each
run_tap_half()
{
	_half=$1
	shift
	_turn=0
	for _file
	do
		_turn=$((1 - _turn))
		[ "$_turn" -ne "$_half" ] || run_tap_file "$_file"
	done
}

tap_files()
{
	for _f in "$TOP"/test/t/*.pl
	do
		_base=$(basename "$_f" .pl)
		case " $(chosen tap all | tr '\n' ' ') " in
		*" all "* | *" ${_base%%_*} "* | *" $_base "*) say "$_base" ;;
		esac
	done
}

if wants regress || wants isolation
then
	start_server
fi
(
	if wants regress
	then
		run_regress
	fi
	if wants isolation
	then
		run_isolation
	fi
) &
jobs=$!
if wants tap
then
	unset PGHOST PGPORT PGUSER
	# shellcheck disable=SC2046
	(
		run_tap_half 0 $(tap_files) &
		run_tap_half 1 $(tap_files)
		wait
	) &
	jobs="$jobs $!"
fi
if wants layers
then
	record_script layers sh "$TOP/test/check_layers.sh"
fi
if wants tests
then
	record_script tests sh "$TOP/test/check_tests.sh"
fi
if wants meta
then
	record_script meta perl "$TOP/test/check_meta.pl" "$TOP/META.json" "$TOP/vecext.control"
fi
if wants symbols
then
	record_script symbols sh "$TOP/test/check_symbols.sh" "$BUILD/vecext.so"
fi
if wants unit
then
	run_unit
fi
for job in $jobs
do
	wait "$job" || die "a part of the tests stopped"
done

# ---------------------------------------------------------------------------
# the result

logs=$TOP/build/check
rm -rf "$logs" 2>/dev/null || true
mkdir -p "$logs" 2>/dev/null || true
passed=0
failed=0
skipped=0
for log in "$results"/*.log
do
	kind=$(basename "$log" .log)
	name=${kind#*.}
	kind=${kind%%.*}
	before=$failed
	# shellcheck disable=SC2046
	set -- $(perl "$TOP/test/count.pl" "$kind" "$name" "$log" "$(cat "${log%.log}.status")" \
		"$results/report")
	if [ $# -ne 3 ]
	then
		say "FAILED  $name: its log cannot be read" >>"$results/report"
		set -- 0 1 0
	fi
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	printf '  %-24s %5d passed %3d failed %3d skipped\n' "$name" "$1" "$2" "$3"
	if [ "$failed" -gt "$before" ]
	then
		say "---- $name"
		if [ "$kind" = regress ] && [ -s "$WORK/run/$name/regression.diffs" ]
		then
			cat "$WORK/run/$name/regression.diffs"
		else
			grep -v '^ok ' "$log" | tail -n 80 || true
		fi
		for server_log in "$WORK/run/tap/$name"/log/* "$WORK/run/tap/$name"/tmp_check/log/*
		do
			[ -s "$server_log" ] || continue
			say "---- $name: end of $(basename "$server_log")"
			tail -n 30 "$server_log"
		done
		say "----"
	fi
	cp "$log" "$logs/" 2>/dev/null || true
done
for part in regress isolation
do
	if [ -s "$WORK/run/$part/regression.diffs" ]
	then
		cp -R "$WORK/run/$part" "$logs/" 2>/dev/null || true
	fi
done
if grep -a -A 12 -E 'TRAP:|PANIC:|terminated by signal (4|6|7|8|11)|runtime error:|AddressSanitizer' \
	"$WORK/run/server.log" 2>/dev/null
then
	failed=$((failed + 1))
	say "FAILED  server: the lines above are in its log" >>"$results/report"
	cp "$WORK/run/server.log" "$logs/" 2>/dev/null || true
fi

cat "$results/report"
if [ "$skipped" -gt 0 ] && [ -n "${VECEXT_NO_SKIP:-}" ]
then
	say "$skipped skipped, which counts as failed here"
	failed=$((failed + skipped))
fi
say "PostgreSQL $PG_MAJOR${VECEXT_SIMD:+, $VECEXT_SIMD}: $(($(date +%s) - started)) s"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
