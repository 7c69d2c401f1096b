# shellcheck shell=sh
# Sourced by bench/run and bench/report, which are in the top folder of the
# checkout: the Debian folder in which everything runs, and Python in it.
#
#	need_folder				makes $root complete, or dies
#	python_inside MODULE ARG...	runs python3 -m MODULE in it; wants cwd, command, commit
#
# The machine itself needs nothing but debootstrap and root.

: "${VECEXT_BENCH_PG:=17}"
root=${VECEXT_BENCH_ROOT:-/var/cache/vecext-bench/$VECEXT_BENCH_PG}
version=$VECEXT_BENCH_PG
# numpy with a BLAS that uses the processor, which FAISS needs too
needed="libopenblas0-pthread python3-numpy python3-psycopg2 python3-h5py python3-matplotlib"
optional="python3-hnswlib python3-faiss"

die()
{
	echo "bench: $*" >&2
	exit 1
}

# shellcheck source=test/folder.sh
. test/folder.sh

has_packages()
{
	chroot "$root" dpkg -s "$@" >/dev/null 2>&1
}

apt_inside()
{
	inside "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >>"$root/var/log/vecext-bench.log" \
		2>&1 </dev/null
}

# the folder, made like those of test/matrix.sh, from a copy of one if there is one
need_folder()
{
	[ "$(id -u)" -eq 0 ] || die "needs root, for chroot"
	unshare --mount --pid --fork true 2>/dev/null || die "this machine does not allow unshare"
	like=${VECEXT_MATRIX_DIR:-/var/cache/vecext-matrix}/$version
	mkdir -p "$(dirname "$root")"
	if [ ! -e "$root" ] && whole "$like" "$version" libipc-run-perl
	then
		echo "copying $like to $root"
		rm -rf "$root.new"
		cp -a --reflink=auto "$like" "$root.new"
		mv "$root.new" "$root"
	fi
	prepare_folder "$root" "$version" libipc-run-perl
	mkdir -p "$root/host" "$root/var/lib/vecext-bench"

	# shellcheck disable=SC2086
	if ! has_packages $needed
	then
		echo "installing $needed in $root"
		cp /etc/resolv.conf "$root/etc/resolv.conf"
		apt_inside update || true
		apt_inside install --no-install-recommends $needed ||
			die "installation failed: $root/var/log/vecext-bench.log"
	fi
	for package in $optional
	do
		if ! has_packages "$package" && [ ! -e "$root/var/lib/vecext-bench/no-$package" ]
		then
			echo "installing $package in $root"
			if ! apt_inside install --no-install-recommends "$package"
			then
				echo "bench: PostgreSQL $version's Debian has no $package that installs: left out" >&2
				touch "$root/var/lib/vecext-bench/no-$package"
			fi
		fi
	done
}

# files of this machine are below /host; vb/paths.py translates
python_inside()
{
	module=$1
	shift
	# shellcheck disable=SC2154		# cwd, command, commit: of the caller
	VECEXT_SHM=60% inside "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LC_ALL=C.UTF-8 PYTHONPATH="/host$PWD/bench" PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp \
		VB_TOP="/host$PWD" VB_CWD="$cwd" VB_COMMAND="$command" VB_COMMIT="$commit" \
		VB_PG="$version" VB_THREADS="$(getconf _NPROCESSORS_ONLN)" VB_DEBUG="${VB_DEBUG:-}" \
		python3 -m "$module" "$@"
}
