#!/bin/sh
# "make check" on other PostgreSQL versions, each in a Debian folder of its own.
#
#	matrix.sh [--prepare] VERSION...	17 (trixie) and 18 (forky)
#
# Folders are made once, by debootstrap from the mirror this machine's apt
# uses, below VECEXT_MATRIX_DIR (/var/cache/vecext-matrix) and used again while
# they are whole.  --prepare only makes them.  Needs root.  The tests run with a
# process table and mounts of their own where the machine allows that, so
# nothing stays behind.  Ends with the sum of all versions.
set -eu
cd "$(dirname "$0")/.."
folders=${VECEXT_MATRIX_DIR:-/var/cache/vecext-matrix}

die()
{
	echo "matrix: $*" >&2
	exit 1
}

# shellcheck source=test/folder.sh
. test/folder.sh

only_prepare=
if [ "${1:-}" = --prepare ]
then
	only_prepare=yes
	shift
fi
[ $# -gt 0 ] || die "usage: matrix.sh [--prepare] VERSION..."
[ "$(id -u)" -eq 0 ] || die "needs root, for chroot"

mkdir -p "$folders"
log=$(mktemp)
place=
trap 'rm -f "$log"; [ -z "$place" ] || rm -rf "$place"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

passed=0
failed=0
for version
do
	prepare_folder "$folders/$version" "$version" libipc-run-perl
	[ -z "$only_prepare" ] || continue
	echo "== PostgreSQL $version"

	# a folder that the server's user cannot read, as a checkout may be
	place=$(mktemp -d "$folders/$version/root/vecext.XXXXXX")
	export_checkout "$place"
	inside "$folders/$version" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" \
		STRICT="${STRICT:-}" VECEXT_NO_SKIP="${VECEXT_NO_SKIP:-}" \
		make -s -C "${place#"$folders/$version"}" check >"$log" 2>&1 </dev/null || true
	cat "$log"
	result=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
	if [ -n "$result" ]
	then
		passed=$((passed + ${result%% passed*}))
		result=${result#*, }
		failed=$((failed + ${result%% failed}))
	else
		failed=$((failed + 1))
	fi
	rm -rf "$place"
	place=
done
[ -z "$only_prepare" ] || exit 0
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
