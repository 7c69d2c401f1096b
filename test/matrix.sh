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

# sets codename and script for a PostgreSQL version
release_of()
{
	case $1 in
	17)	codename=trixie ;;
	18)	codename=forky ;;
	*)	die "no Debian release is known for PostgreSQL $1" ;;
	esac
	# an older debootstrap does not know the newest names; all are like sid
	script=/usr/share/debootstrap/scripts/sid
	[ ! -e "/usr/share/debootstrap/scripts/$codename" ] || script=
}

# the mirror of Debian's main archive in this machine's apt configuration
apt_mirror()
{
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(CODENAME) $(RELEASE)' \
		'Created-By: Packages' |
		awk '$2 == "main" && $1 ~ /debian\/?$/ && $1 !~ /security/ && ($3 $4) !~ /-/ \
			{ print $1; exit }'
}

# is the folder complete?  It must hold what the tests use, and run it.
whole()
{
	[ -e "$1/.complete" ] &&
		chroot "$1" /bin/sh -c "
			set -e
			/usr/lib/postgresql/$2/bin/postgres --version
			test -x /usr/lib/postgresql/$2/bin/initdb
			test -f \$(/usr/lib/postgresql/$2/bin/pg_config --pgxs)
			test -f \$(/usr/lib/postgresql/$2/bin/pg_config --includedir-server)/postgres.h
			gcc --version
			make --version
			perl -MIPC::Run -MTest::More -e 1
			test -z \"\$(dpkg --audit)\"" >/dev/null 2>&1
}

# rm -rf, unless something is mounted inside
remove_folder()
{
	if grep -q " $1[/ ]" /proc/mounts
	then
		die "something is mounted below $1"
	fi
	rm -rf "$1"
}

prepare()
{
	root=$folders/$1
	if whole "$root" "$1"
	then
		return 0
	fi
	command -v debootstrap >/dev/null || die "debootstrap is not installed"
	release_of "$1"
	mirror=$(apt_mirror)
	[ -n "$mirror" ] || die "apt is configured with no Debian mirror"
	for old in "$root" "$root".new.*
	do
		[ ! -e "$old" ] || remove_folder "$old"
	done

	# made beside and renamed, so that half a folder never has the name
	new=$root.new.$$
	mkdir -p "$new"
	echo "matrix: making $root from $codename"
	# shellcheck disable=SC2086
	if ! debootstrap --variant=minbase --include="postgresql-$1,postgresql-$1-pgvector,\
postgresql-server-dev-$1,build-essential,libipc-run-perl" \
		"$codename" "$new" "$mirror" $script >"$new.log" 2>&1 </dev/null
	then
		tail -n 30 "$new.log" >&2
		remove_folder "$new"
		die "debootstrap failed: $new.log"
	fi
	rm -rf "$new"/var/cache/apt/archives/*.deb "$new.log"
	touch "$new/.complete"
	mv "$new" "$root"
	whole "$root" "$1" || die "$root was made and is not whole"
}

# the files of the checkout, as they are now
export_checkout()
{
	mkdir -p "$1"
	# shellcheck disable=SC2016
	if git -c safe.directory='*' rev-parse >/dev/null 2>&1
	then
		git -c safe.directory='*' ls-files -z --cached --others --exclude-standard
	else
		find . -type f ! -path './build/*' ! -name '*.o' ! -name '*.bc' ! -name '*.so' -print0
	fi | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
		tar --null -T - -cf - | tar -C "$1" -xf -
}

# run COMMAND... inside, with /proc and shared memory if this machine lets us
inside()
{
	_root=$1
	shift
	if unshare --mount --pid --fork --kill-child true 2>/dev/null
	then
		# shellcheck disable=SC2016
		unshare --mount --pid --fork --kill-child sh -c '
			root=$1
			shift
			mount -t proc proc "$root/proc" 2>/dev/null || true
			mount -t tmpfs -o size=2g tmpfs "$root/dev/shm" 2>/dev/null || true
			exec chroot "$root" "$@"' sh "$_root" "$@"
	else
		chroot "$_root" "$@"
	fi
}

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
	prepare "$version"
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
