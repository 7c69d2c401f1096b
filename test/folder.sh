# shellcheck shell=sh
# Sourced by test/matrix.sh and bench/run: Debian folders with another
# PostgreSQL and its pgvector, made by debootstrap.
#
#	prepare_folder ROOT VERSION PACKAGE...	make it, unless it is whole
#	export_checkout DIR			the files of the checkout, as they are now
#	inside ROOT COMMAND...		run in it, with a process table of its own
#
# Needs root.  The caller is in the top folder of the checkout and defines die.

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

# whole ROOT VERSION PACKAGE...: is the folder complete?  It must hold what is
# used, and run it.
whole()
{
	[ -e "$1/.complete" ] || return 1
	_root=$1
	_bin=/usr/lib/postgresql/$2/bin
	shift 2
	chroot "$_root" /bin/sh -c "
		set -e
		$_bin/postgres --version
		test -x $_bin/initdb
		test -f \$($_bin/pg_config --pgxs)
		test -f \$($_bin/pg_config --includedir-server)/postgres.h
		gcc --version
		make --version
		test \"\$(dpkg-query -W -f '\${db:Status-Abbrev}' $*)\" = \"$(printf 'ii %.0s' "$@")\"
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

# prepare_folder ROOT VERSION PACKAGE...: the packages come on top of the server
# with pgvector and what builds an extension; whole() decides what is complete
prepare_folder()
{
	root=$1
	version=$2
	shift 2
	if whole "$root" "$version" "$@"
	then
		return 0
	fi
	command -v debootstrap >/dev/null || die "debootstrap is not installed"
	release_of "$version"
	mirror=$(apt_mirror)
	[ -n "$mirror" ] || die "apt is configured with no Debian mirror"
	for old in "$root" "$root".new.*
	do
		[ ! -e "$old" ] || remove_folder "$old"
	done

	# made beside and renamed, so that half a folder never has the name
	new=$root.new.$$
	mkdir -p "$new"
	echo "making $root from $codename"
	packages="postgresql-$version,postgresql-$version-pgvector,\
postgresql-server-dev-$version,build-essential$(printf ',%s' "$@")"
	# shellcheck disable=SC2086
	if ! debootstrap --variant=minbase --include="$packages" \
		"$codename" "$new" "$mirror" $script >"$new.log" 2>&1 </dev/null
	then
		tail -n 30 "$new.log" >&2
		remove_folder "$new"
		die "debootstrap failed: $new.log"
	fi
	rm -rf "$new"/var/cache/apt/archives/*.deb "$new.log"
	touch "$new/.complete"
	mv "$new" "$root"
	whole "$root" "$version" "$@" || die "$root was made and is not whole"
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

# inside ROOT COMMAND...: with /proc and shared memory if this machine lets us.
# A folder "host" in it shows this machine's files.
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
			mount -t tmpfs -o "size=${VECEXT_SHM:-2g}" tmpfs "$root/dev/shm" 2>/dev/null || true
			[ ! -d "$root/host" ] || mount --rbind / "$root/host"
			exec chroot "$root" "$@"' sh "$_root" "$@"
	else
		chroot "$_root" "$@"
	fi
}
